import fc from 'fast-check'
import { LruPolicy } from '../bench/trace/policies.ts'
import { createTrace, replay, replayOptimum } from '../bench/trace/trace.ts'
import { CachedObject, OBJECT_OVERHEAD_OCTETS } from './cached-object.ts'
import type { CacheEntry } from './policy.ts'
import { CacheStore } from './store.ts'
import { WTinyLfuPolicy } from './w-tiny-lfu.ts'

const COST = 1_000 + OBJECT_OVERHEAD_OCTETS
const roomFor = (count: number) => new CacheStore(count * COST)

function object(path: string, octets = 1_000): CachedObject {
  return new CachedObject({
    path,
    etag: '"1"',
    lastModified: 0,
    lastModifiedStrong: true,
    mediaType: '',
    octets: new Uint8Array(octets),
    stamp: '',
  })
}

const use = (store: CacheStore, path: string) => store.use(store.peek(path) as CacheEntry)
const holds = (store: CacheStore, path: string) => store.peek(path) !== undefined

describe('W-TinyLFU', () => {
  it('a scan pushes out nothing that is used', () => {
    const store = roomFor(100)
    for (let at = 0; at < 80; at++) {
      store.put(object(`/used/${at}`), 0)
      for (let uses = 0; uses < 8; uses++) use(store, `/used/${at}`)
    }
    for (let at = 0; at < 5_000; at++) store.put(object(`/scan/${at}`), 0)
    expect(Array.from({ length: 80 }, (_, at) => holds(store, `/used/${at}`))).not.toContain(false)
    expect(store.usedOctets).toBe(store.capacityOctets)
  })

  it('what was popular and is no longer goes in the end', () => {
    const store = roomFor(20)
    store.put(object('/was'), 0)
    for (let uses = 0; uses < 1_000; uses++) use(store, '/was')
    for (let round = 0; round < 2_000; round++) {
      for (let at = 0; at < 25; at++) {
        if (!holds(store, `/is/${at}`)) store.put(object(`/is/${at}`), 0)
        else use(store, `/is/${at}`)
      }
    }
    expect(holds(store, '/was')).toBe(false)
  })

  it('laws: it is never over its room, holds what it says, and finds a victim as long as it holds one', () => {
    const action = fc.record({
      kind: fc.constantFrom('put', 'put', 'put', 'use', 'remove'),
      path: fc.integer({ min: 0, max: 12 }).map(at => `/${at}`),
      octets: fc.integer({ min: 0, max: 3_000 }),
    })
    fc.assert(
      fc.property(fc.array(action, { maxLength: 100 }), actions => {
        const policy = new WTinyLfuPolicy(4 * COST)
        const store = new CacheStore(4 * COST, policy)
        for (const { kind, path, octets } of actions) {
          if (kind === 'put') store.put(object(path, octets), 0)
          else if (kind === 'remove') store.remove(path)
          else if (holds(store, path)) use(store, path)
          const all = [...store.all()]
          const used = all.reduce((sum, held) => sum + held.length + OBJECT_OVERHEAD_OCTETS, 0)
          expect(store.usedOctets).toBe(used)
          expect(used).toBeLessThanOrEqual(store.capacityOctets)
        }
        for (const held of [...store.all()]) {
          const victim = policy.victim()
          expect(victim).toBeDefined()
          expect(store.remove((victim as CacheEntry).path)).toBe(true)
          expect(held).toBeDefined()
        }
        expect(policy.victim()).toBeUndefined()
      }),
    )
  })

  it('on a trace with scans and moving popularity has more hits than LRU, and no more than one can have', () => {
    const trace = createTrace({
      seed: 1,
      objects: 2_000,
      requests: 20_000,
      alpha: 0.9,
      medianOctets: 8_192,
      sigma: 1.4,
      maxOctets: 4_194_304,
      scanEvery: 2_000,
      scanObjects: 400,
      shiftEvery: 5_000,
    })
    const capacity = trace.sizes.reduce((sum, size) => sum + size + OBJECT_OVERHEAD_OCTETS, 0) / 10
    const ours = replay(trace, capacity, new WTinyLfuPolicy(capacity))
    const lru = replay(trace, capacity, new LruPolicy())
    const optimum = replayOptimum(trace, capacity)
    expect(ours.requests).toBeGreaterThan(lru.requests + 0.03)
    expect(ours.octets).toBeGreaterThan(lru.octets + 0.03)
    expect(optimum.requests).toBeGreaterThan(ours.requests)
    expect(optimum.octets).toBeGreaterThan(ours.octets)
  })
})
