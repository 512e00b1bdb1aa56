import fc from 'fast-check'
import { LruPolicy } from '../bench/trace/policies.ts'
import { CachedObject, contentKey, OBJECT_OVERHEAD_OCTETS, splitContentKey } from './cached-object.ts'
import type { CacheEntry } from './policy.ts'
import { CacheStore, MAX_PENDING_CHANGES, MIN_OVERCOMMIT_OCTETS } from './store.ts'

function object(path: string, octets: number, version = 1): CachedObject {
  return new CachedObject({
    path,
    etag: `"${version}"`,
    lastModified: 0,
    lastModifiedStrong: true,
    mediaType: 'text/plain',
    octets: new Uint8Array(octets),
    stamp: String(version),
  })
}

/** Room for so many objects of 1,000 octets; the order of eviction is the simplest, the cache's own has its own tests. */
const roomFor = (count: number) => new CacheStore(count * (1_000 + OBJECT_OVERHEAD_OCTETS), new LruPolicy())
const paths = (store: CacheStore) => [...store.all()].map(held => held.path).sort()
const use = (store: CacheStore, path: string) => store.use(store.peek(path) as CacheEntry)

describe('an object', () => {
  it('is content that is resident whole', () => {
    const held = object('/a', 10)
    const run = { octets: new Uint8Array(0), start: 0, length: 0 }
    expect(held.locate(3, run)).toBe(true)
    expect(run.octets).toBe(held.octets)
    expect(run).toMatchObject({ start: 3, length: 7 })
  })
  it('has a key that names path and version', () => {
    expect(object('/a', 1).key).toBe(contentKey('/a', '"1"'))
    expect(splitContentKey(contentKey('/a b', '"x"'))).toEqual({ path: '/a b', etag: '"x"' })
    expect(splitContentKey('/a')).toBeUndefined()
  })
})

describe('the store', () => {
  it('evicts what was used least recently', () => {
    const store = roomFor(3)
    for (const path of ['/a', '/b', '/c']) store.put(object(path, 1_000), 0)
    use(store, '/a')
    store.put(object('/d', 1_000), 0)
    expect(paths(store)).toEqual(['/a', '/c', '/d'])
    use(store, '/c')
    store.put(object('/e', 2_000), 0)
    expect(paths(store)).toEqual(['/c', '/e'])
    expect(store.counters).toMatchObject({ hits: 2, inserted: 5, evicted: 3 })
  })

  it('is full to the last octet, and not one more', () => {
    const store = roomFor(2)
    store.put(object('/a', 1_000), 0)
    store.put(object('/b', 1_000), 0)
    expect(store.usedOctets).toBe(store.capacityOctets)
    store.put(object('/b', 1_001, 2), 0)
    expect(paths(store)).toEqual(['/b'])
  })

  it('refuses what is larger than the whole of it, and keeps the rest', () => {
    const store = roomFor(2)
    store.put(object('/a', 1_000), 0)
    expect(store.put(object('/b', 10_000), 0)).toBe('too-large')
    expect(paths(store)).toEqual(['/a'])
    expect(store.counters.refused).toBe(1)
  })

  it('has one version of a path: the old one lives on in responses under way', () => {
    const store = roomFor(3)
    const old = object('/a', 1_000, 1)
    store.put(old, 0)
    const entry = store.peek('/a') as CacheEntry
    store.put(object('/a', 500, 2), 0)
    expect(entry.object).toBeUndefined()
    expect(store.peek('/a')?.object?.etag).toBe('"2"')
    expect(store.count).toBe(1)
    expect(old.octets).toHaveLength(1_000)
    expect(store.outsideOctets).toBe(1_000)
    expect(store.counters).toMatchObject({ evicted: 0, removed: 1 })
  })

  it('drops a version that grew beyond it: it is no longer current', () => {
    const store = roomFor(2)
    store.put(object('/a', 1_000, 1), 0)
    store.takeChanges()
    expect(store.put(object('/a', 10_000, 2), 0)).toBe('too-large')
    expect(store.peek('/a')).toBeUndefined()
    expect(store.takeChanges()).toEqual({ complete: true, have: [], evicted: ['/a'] })
  })

  it('putting the same object again only notes that it was seen', () => {
    const store = roomFor(2)
    const held = object('/a', 1_000)
    store.put(held, 1)
    const entry = store.peek('/a')
    store.put(held, 5)
    expect(store.peek('/a')).toBe(entry)
    expect(entry?.checkedAt).toBe(5)
    expect(store.counters.inserted).toBe(1)
  })

  it('tells what came and went, a path at most once', () => {
    const store = roomFor(2)
    const [a, b, c] = [object('/a', 1_000), object('/b', 1_000), object('/c', 1_000)]
    store.put(a, 0)
    store.put(b, 0)
    expect(store.takeChanges()).toEqual({ complete: true, have: [a, b], evicted: [] })
    store.put(c, 0)
    store.remove('/b')
    expect(store.takeChanges()).toEqual({ complete: true, have: [c], evicted: ['/a', '/b'] })
    expect(store.takeChanges()).toEqual({ complete: true, have: [], evicted: [] })
    expect(store.remove('/b')).toBe(false)
  })

  it('asks for the whole list where there would be too much to tell', () => {
    const store = new CacheStore(1e9)
    for (let at = 0; at <= MAX_PENDING_CHANGES; at++) store.put(object(`/${at}`, 1), 0)
    expect(store.takeChanges()).toEqual({ complete: false, have: [], evicted: [] })
    store.put(object('/x', 1), 0)
    expect(store.takeChanges()).toMatchObject({ complete: true, have: [{ path: '/x' }] })
    expect([...store.all()]).toHaveLength(MAX_PENDING_CHANGES + 2)
  })

  it('counts what is out of it but perhaps still being sent against its memory', () => {
    const store = new CacheStore(MIN_OVERCOMMIT_OCTETS)
    const half = MIN_OVERCOMMIT_OCTETS / 2
    expect(store.room(half)).toBe(true)
    expect(store.room(half, 2 * MIN_OVERCOMMIT_OCTETS)).toBe(false)
    // Never filled, so the memory is never really taken.
    const large = () => object('/a', half)
    for (let version = 0; version < 2; version++) store.put(large(), 0)
    expect(store.outsideOctets).toBe(half)
    expect(store.room(half)).toBe(true)
    store.put(large(), 0)
    expect(store.room(half)).toBe(false)
  })
})

it('laws: it does what a plain list of paths does, and never holds more than it may', () => {
  const action = fc.record({
    kind: fc.constantFrom('put', 'put', 'use', 'remove'),
    path: fc.constantFrom('/a', '/b', '/c', '/d', '/e', '/f'),
    octets: fc.integer({ min: 0, max: 3_000 }),
  })
  fc.assert(
    fc.property(fc.array(action, { maxLength: 60 }), actions => {
      const store = roomFor(3)
      /** Oldest first. */
      let list: { path: string; cost: number }[] = []
      const without = (path: string) => list.filter(held => held.path !== path)
      for (const [version, { kind, path, octets }] of actions.entries()) {
        const known = list.find(held => held.path === path)
        if (kind === 'put') {
          store.put(object(path, octets, version), 0)
          list = [...without(path), { path, cost: octets + OBJECT_OVERHEAD_OCTETS }]
          while (list.reduce((sum, held) => sum + held.cost, 0) > store.capacityOctets) list.shift()
        } else if (kind === 'remove') {
          expect(store.remove(path)).toBe(known !== undefined)
          list = without(path)
        } else {
          expect(store.peek(path) === undefined).toBe(known === undefined)
          if (known === undefined) continue
          use(store, path)
          list = [...without(path), known]
        }
        expect(paths(store)).toEqual(list.map(held => held.path).sort())
        expect(store.usedOctets).toBe(list.reduce((sum, held) => sum + held.cost, 0))
      }
    }),
  )
})
