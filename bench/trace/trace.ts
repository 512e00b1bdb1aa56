/**
 * Requests as the web makes them, from one seed: popularity by Zipf's law, sizes log-normal, now and then a scan over what
 * nobody else wants, and popularity that moves on. And what a cache makes of them.
 */
import { type CachedObject, OBJECT_OVERHEAD_OCTETS } from '../../cache/cached-object.ts'
import { CacheEntry, type CachePolicy } from '../../cache/policy.ts'
import { Random } from '../sim/network/random.ts'

export interface TraceOptions {
  readonly seed: number
  readonly objects: number
  readonly requests: number
  /** Exponent of Zipf's law: 0.6 to 1.0 was measured for web servers (Breslau et al., INFOCOM 1999). */
  readonly alpha: number
  /** Of the sizes, in octets, and of their logarithm. */
  readonly medianOctets: number
  readonly sigma: number
  readonly maxOctets: number
  /** Requests between two scans, and how many objects each of them reads; 0: none. */
  readonly scanEvery: number
  readonly scanObjects: number
  /** Requests after which a tenth of the objects changes its popularity; 0: never. */
  readonly shiftEvery: number
}

export interface Trace {
  /** Octets by object. */
  readonly sizes: Uint32Array
  /** Objects in the order in which they are asked for. */
  readonly requests: Uint32Array
}

export function createTrace(options: TraceOptions): Trace {
  const random = new Random(options.seed)
  const uniform = () => (random.int32() >>> 0) / 2 ** 32
  const sizes = Uint32Array.from({ length: options.objects }, () => {
    const normal = Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform())
    const octets = Math.round(options.medianOctets * Math.exp(options.sigma * normal))
    return Math.min(options.maxOctets, Math.max(1, octets))
  })
  const weights = new Float64Array(options.objects)
  let sum = 0
  for (let rank = 0; rank < options.objects; rank++) {
    sum += 1 / (rank + 1) ** options.alpha
    weights[rank] = sum
  }
  /** Object by rank. */
  const ranking = Uint32Array.from({ length: options.objects }, (_, object) => object)
  for (let at = ranking.length - 1; at > 0; at--) swap(ranking, at, random.int(at + 1))
  const requests = new Uint32Array(options.requests)
  let scanned = 0
  let scanLeft = 0
  for (let at = 0; at < requests.length; at++) {
    if (options.shiftEvery > 0 && at % options.shiftEvery === 0 && at > 0) {
      for (let moved = 0; moved < options.objects / 20; moved++) {
        swap(ranking, random.int(options.objects), random.int(options.objects))
      }
    }
    if (options.scanEvery > 0 && at % options.scanEvery === 0 && at > 0) scanLeft = options.scanObjects
    if (scanLeft > 0) {
      scanLeft--
      requests[at] = scanned++ % options.objects
    } else requests[at] = ranking[rankOf(weights, uniform() * sum)] as number
  }
  return { sizes, requests }
}

function swap(array: Uint32Array, a: number, b: number): void {
  const kept = array[a] as number
  array[a] = array[b] as number
  array[b] = kept
}

function rankOf(weights: Float64Array, point: number): number {
  let low = 0
  let high = weights.length - 1
  while (low < high) {
    const middle = (low + high) >> 1
    if ((weights[middle] as number) < point) low = middle + 1
    else high = middle
  }
  return low
}

export interface HitRatios {
  /** Of requests, and of octets. */
  readonly requests: number
  readonly octets: number
}

/** The part of the trace that only fills the cache. */
const WARM_SHARE = 0.2

class Tally {
  #requests = 0
  #octets = 0
  #hits = 0
  #hitOctets = 0
  readonly #from: number

  constructor(trace: Trace) {
    this.#from = WARM_SHARE * trace.requests.length
  }

  count(at: number, octets: number, hit: boolean): void {
    if (at < this.#from) return
    this.#requests++
    this.#octets += octets
    if (!hit) return
    this.#hits++
    this.#hitOctets += octets
  }

  ratios(): HitRatios {
    return { requests: this.#hits / this.#requests, octets: this.#hitOctets / this.#octets }
  }
}

/** The hit ratios of a policy over a trace, as the store applies it. */
export function replay(trace: Trace, capacityOctets: number, policy: CachePolicy): HitRatios {
  const held: (CacheEntry | undefined)[] = new Array(trace.sizes.length)
  const byEntry = new Map<CacheEntry, number>()
  const tally = new Tally(trace)
  let used = 0
  for (let at = 0; at < trace.requests.length; at++) {
    const object = trace.requests[at] as number
    const size = trace.sizes[object] as number
    const entry = held[object]
    tally.count(at, size, entry !== undefined)
    if (entry !== undefined) {
      policy.touch(entry)
      continue
    }
    // Of an object the policies see its size and its path alone.
    const added = new CacheEntry(`/${object}`, { memoryOctets: size } as CachedObject, 0)
    if (added.cost > capacityOctets) continue
    held[object] = added
    byEntry.set(added, object)
    used += added.cost
    policy.add(added)
    while (used > capacityOctets) {
      const victim = policy.victim() as CacheEntry
      policy.remove(victim)
      used -= victim.cost
      held[byEntry.get(victim) as number] = undefined
      byEntry.delete(victim)
    }
  }
  return tally.ratios()
}

/**
 * What a cache that knows the future makes of it. With sizes the true optimum is NP-hard, so the better of two rules counts:
 * what is wanted again farthest in the future goes (Belady), or the largest product of that distance and its size.
 */
export function replayOptimum(trace: Trace, capacityOctets: number): HitRatios {
  const next = nextUses(trace)
  const byTime = replayClairvoyant(trace, next, capacityOctets, false)
  const bySize = replayClairvoyant(trace, next, capacityOctets, true)
  return {
    requests: Math.max(byTime.requests, bySize.requests),
    octets: Math.max(byTime.octets, bySize.octets),
  }
}

function replayClairvoyant(
  trace: Trace,
  next: Float64Array,
  capacityOctets: number,
  bySize: boolean,
): HitRatios {
  const tally = new Tally(trace)
  /** When it is wanted again, by object held. */
  const due = new Map<number, number>()
  const heap: [number, number][] = []
  let used = 0
  const costOf = (object: number) => (trace.sizes[object] as number) + OBJECT_OVERHEAD_OCTETS
  for (let at = 0; at < trace.requests.length; at++) {
    const object = trace.requests[at] as number
    const wantedAt = next[at] as number
    const worth = (held: number) =>
      bySize ? ((due.get(held) as number) - at) * costOf(held) : (due.get(held) as number)
    const hit = due.has(object)
    tally.count(at, trace.sizes[object] as number, hit)
    if (wantedAt === Number.POSITIVE_INFINITY) {
      if (due.delete(object)) used -= costOf(object)
      continue
    }
    if (!hit) used += costOf(object)
    due.set(object, wantedAt)
    pushHeap(heap, [worth(object), object])
    while (used > capacityOctets) {
      const [was, worst] = popHeap(heap) as [number, number]
      if (!due.has(worst)) continue
      // It has come nearer since, and so may not be the worst any more: what is in the heap is never too small.
      const is = worth(worst)
      if (is < was) pushHeap(heap, [is, worst])
      else if (is === was) {
        due.delete(worst)
        used -= costOf(worst)
      }
    }
  }
  return tally.ratios()
}

function nextUses(trace: Trace): Float64Array {
  const next = new Float64Array(trace.requests.length)
  const seen = new Float64Array(trace.sizes.length).fill(Number.POSITIVE_INFINITY)
  for (let at = trace.requests.length - 1; at >= 0; at--) {
    const object = trace.requests[at] as number
    next[at] = seen[object] as number
    seen[object] = at
  }
  return next
}

/** The greatest first. */
function pushHeap(heap: [number, number][], item: [number, number]): void {
  let at = heap.push(item) - 1
  while (at > 0) {
    const parent = (at - 1) >> 1
    if ((heap[parent] as [number, number])[0] >= item[0]) break
    heap[at] = heap[parent] as [number, number]
    at = parent
  }
  heap[at] = item
}

function popHeap(heap: [number, number][]): [number, number] | undefined {
  const top = heap[0]
  const last = heap.pop()
  if (last === undefined || heap.length === 0) return top
  let at = 0
  for (;;) {
    let child = 2 * at + 1
    if (child >= heap.length) break
    if (
      child + 1 < heap.length &&
      (heap[child + 1] as [number, number])[0] > (heap[child] as [number, number])[0]
    )
      child++
    if ((heap[child] as [number, number])[0] <= last[0]) break
    heap[at] = heap[child] as [number, number]
    at = child
  }
  heap[at] = last
  return top
}
