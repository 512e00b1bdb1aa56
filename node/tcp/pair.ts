/**
 * For tests only: two or more ends over links that delay, lose, reorder and double packets, in simulated time and
 * from one seed. It turns what `nextSegment` says into segments without an IP packet in between; the simulator
 * of the whole stack, with real packets, is in `bench/sim`.
 */
import { createSegment, type Segment } from '../wire/segment.ts'
import { segmentArrives } from './arrival.ts'
import { takeEvents } from './events.ts'
import { checkInvariants, checkProgress } from './invariants.ts'
import { nextSegment } from './output.ts'
import type { Flow, Tcb } from './tcb.ts'
import { expire, pollAt } from './timers.ts'
import { createTransmission, type Transmission } from './transmission.ts'
import { retainUnread } from './user.ts'

/** Deterministic numbers in [0, 1) (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

interface Task {
  at: number
  order: number
  run: () => void
}

/** Simulated time. */
export class World {
  now = 0
  random: () => number
  private readonly tasks: Task[] = []
  private order = 0

  constructor(seed: number, start = 0) {
    this.random = seededRandom(seed)
    this.now = start
  }

  schedule(at: number, run: () => void): void {
    const task = { at: Math.max(at, this.now), order: this.order++, run }
    let low = 0
    let high = this.tasks.length
    while (low < high) {
      const middle = (low + high) >> 1
      const other = this.tasks[middle] as Task
      if (other.at > task.at) low = middle + 1
      else high = middle
    }
    this.tasks.splice(low, 0, task)
  }

  /** Runs until `done`, or the time `until`, or until nothing is left to do. */
  run(until: number, done: () => boolean = () => false): void {
    for (;;) {
      if (done()) return
      const task = this.tasks.pop()
      if (task === undefined) return
      if (task.at > until) {
        this.tasks.push(task)
        this.now = until
        return
      }
      this.now = task.at
      task.run()
    }
  }
}

export interface LinkOptions {
  delayMs: number
  /** Added at random to each packet, so that packets overtake each other. */
  jitterMs: number
  loss: number
  duplicate: number
  /** Octets a ms; Infinity: no bottleneck. */
  rate: number
  /** Octets that may wait for the bottleneck. */
  queueOctets: number
  /** Packets of one super-segment arrive merged (as with GRO) or each on its own. */
  merge: boolean
  /** Marks CE instead of dropping when the queue is half full. */
  ecn: boolean
  /** Longer packets vanish without a word: a black hole. */
  mtu: number
}

export const PERFECT: LinkOptions = {
  delayMs: 1,
  jitterMs: 0,
  loss: 0,
  duplicate: 0,
  rate: Number.POSITIVE_INFINITY,
  queueOctets: Number.POSITIVE_INFINITY,
  merge: false,
  ecn: false,
  mtu: Number.POSITIVE_INFINITY,
}

/** IPv4 and TCP with timestamps. */
const HEADER_OCTETS = 52

/** One direction. */
export class Link {
  packets = 0
  dropped = 0
  private busyUntil = 0
  private readonly world: World
  private readonly options: LinkOptions
  deliver: (segment: Segment) => void = () => {}

  constructor(world: World, options: Partial<LinkOptions>) {
    this.world = world
    this.options = { ...PERFECT, ...options }
  }

  send(segment: Segment): void {
    const { world, options } = this
    this.packets++
    if (world.random() < options.loss || segment.payloadLength + HEADER_OCTETS > options.mtu) {
      this.dropped++
      return
    }
    const octets = segment.payloadLength + HEADER_OCTETS
    let at = world.now
    if (options.rate !== Number.POSITIVE_INFINITY) {
      const waiting = Math.max(0, this.busyUntil - world.now) * options.rate
      if (waiting + octets > options.queueOctets) {
        this.dropped++
        return
      }
      if (options.ecn && segment.ecn !== 0 && waiting > options.queueOctets / 2) segment.ecn = 3
      this.busyUntil = Math.max(this.busyUntil, world.now) + octets / options.rate
      at = this.busyUntil
    }
    at += options.delayMs + world.random() * options.jitterMs
    world.schedule(at, () => this.deliver(segment))
    if (world.random() < options.duplicate)
      world.schedule(at + options.delayMs / 2, () => this.deliver(segment))
  }

  /** Sends what one transmission stands for: one packet, or as many as the link does not merge. */
  transmit(flow: Flow, out: Transmission, payload: Uint8Array): void {
    const size = this.options.merge ? Math.max(payload.length, 1) : Math.max(out.segmentSize, 1)
    let at = 0
    do {
      const end = Math.min(at + size, payload.length)
      this.send(toSegment(flow, out, payload.subarray(at, end), at, end === payload.length))
      at = end
    } while (at < payload.length)
  }
}

const FIN_AND_PSH = 0x09

/** The packet that carries octets `at` and on of `out`, as its receiver parses it. */
export function toSegment(
  flow: Flow,
  out: Transmission,
  payload: Uint8Array,
  at = 0,
  isLast = true,
): Segment {
  const segment = createSegment()
  segment.family = flow.family
  segment.src3 = flow.local3
  segment.dst3 = flow.remote3
  segment.srcPort = flow.localPort
  segment.dstPort = flow.remotePort
  segment.ecn = out.ecn
  segment.seq = (out.seq + at) | 0
  segment.ack = out.ack
  segment.flags = isLast ? out.flags : out.flags & ~FIN_AND_PSH
  segment.window = out.window
  segment.hasTimestamps = out.hasTimestamps
  segment.tsVal = out.tsVal
  segment.tsEcr = out.tsEcr
  segment.mss = out.mss
  segment.windowScale = out.windowScale
  segment.sackPermitted = out.sackPermitted
  segment.sackCount = out.sackCount
  segment.sackEdges.set(out.sackEdges)
  segment.octets = payload
  segment.payloadStart = 0
  segment.payloadLength = payload.length
  return segment
}

export function payloadOf(tcb: Tcb, out: Transmission): Uint8Array {
  const payload = new Uint8Array(out.payloadLength)
  if (out.probe || out.payloadLength === 0) return payload
  let at = 0
  const whole = tcb.sendQueue.gather(out.payloadSeq, out.payloadLength, {
    add(octets, start, length) {
      payload.set(octets.subarray(start, start + length), at)
      at += length
    },
  })
  if (!whole) throw new Error('the payload is not in the send queue')
  return payload
}

/** One end: a TCB, an application that is asked at every turn, and the link it sends on. */
export class Host {
  tcb: Tcb | undefined
  readonly world: World
  readonly link: Link
  /** Called at every turn, before anything is sent. */
  application: (host: Host, tcb: Tcb, events: number) => void = () => {}
  onTransmit: (out: Transmission, tcb: Tcb) => void = () => {}
  events = 0
  /** What this end's clock shows beyond the world's: no two machines' agree. */
  skewMs = 0
  private timerAt = Number.POSITIVE_INFINITY
  private readonly out = createTransmission()

  constructor(world: World, link: Link) {
    this.world = world
    this.link = link
  }

  get now(): number {
    return this.world.now + this.skewMs
  }

  receive(segment: Segment): void {
    const { tcb } = this
    if (tcb === undefined) return
    segmentArrives(tcb, segment, this.now)
    checkInvariants(tcb)
    this.turn()
  }

  /** Events, application, output, timer. */
  turn(): void {
    const { tcb } = this
    if (tcb === undefined) return
    const events = takeEvents(tcb)
    this.events |= events
    this.application(this, tcb, events)
    this.flush()
    retainUnread(tcb)
    this.arm()
  }

  private flush(): void {
    const { tcb, out } = this
    for (let count = 0; this.tcb !== undefined && tcb !== undefined && this.tcb === tcb; count++) {
      if (!nextSegment(tcb, this.now, out)) break
      if (count > 100_000) throw new Error('nextSegment never ends')
      checkInvariants(tcb)
      const payload = payloadOf(tcb, out)
      this.onTransmit(out, tcb)
      this.link.transmit(tcb.flow, out, payload)
    }
    if (tcb === undefined) return
    checkInvariants(tcb)
    if (this.tcb === tcb) checkProgress(tcb)
  }

  arm(): void {
    const { tcb, world } = this
    if (tcb === undefined) return
    const at = pollAt(tcb) - this.skewMs
    if (at >= this.timerAt && this.timerAt > world.now) return
    this.timerAt = at
    if (at === Number.POSITIVE_INFINITY) return
    world.schedule(at, () => {
      if (this.timerAt !== at) return
      this.timerAt = Number.POSITIVE_INFINITY
      this.onTimer()
    })
  }

  private onTimer(): void {
    const { tcb } = this
    if (tcb === undefined) return
    if (pollAt(tcb) <= this.now + 1e-6) {
      expire(tcb, this.now + 1e-6)
      checkInvariants(tcb)
      this.turn()
    } else this.arm()
  }
}

export function testFlow(
  localPort: number,
  remotePort: number,
  local3 = 0x0a000001,
  remote3 = 0x0a000002,
): Flow {
  return {
    family: 4,
    local0: 0,
    local1: 0,
    local2: 0xffff,
    local3,
    localPort,
    remote0: 0,
    remote1: 0,
    remote2: 0xffff,
    remote3,
    remotePort,
  }
}
