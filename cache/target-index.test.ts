import fc from 'fast-check'
import { asciiOctets } from '../node/http/grammar.ts'
import { hashPath } from '../node/http/request-head.ts'
import { CachedObject } from './cached-object.ts'
import { CacheEntry } from './policy.ts'
import { MAX_INDEXED_OCTETS, TargetIndex } from './target-index.ts'

function entryOf(path: string): CacheEntry {
  const facts = { etag: '"1"', lastModified: 0, lastModifiedStrong: true, mediaType: '', stamp: '' }
  return new CacheEntry(path, new CachedObject({ path, octets: new Uint8Array(1), ...facts }), 0)
}

function add(index: TargetIndex, target: string, entry: CacheEntry, hash?: number): void {
  const octets = asciiOctets(target)
  index.add(octets, 0, octets.length, hash ?? hashPath(octets, 0, octets.length), entry)
}

function find(index: TargetIndex, target: string, hash?: number): CacheEntry | undefined {
  const octets = asciiOctets(`GET ${target} `)
  const end = octets.length - 1
  return index.find(octets, 4, end, hash ?? hashPath(octets, 4, end))
}

describe('the index', () => {
  it('finds by the octets, wherever they lie', () => {
    const index = new TargetIndex(4)
    const entry = entryOf('/a')
    add(index, '/a', entry)
    add(index, '/%61', entry)
    expect(find(index, '/a')).toBe(entry)
    expect(find(index, '/%61')).toBe(entry)
    expect(find(index, '/b')).toBeUndefined()
    expect(find(index, '/')).toBeUndefined()
  })

  it('keeps its own copy of the octets', () => {
    const index = new TargetIndex(4)
    const octets = asciiOctets('/a')
    const hash = hashPath(octets, 0, 2)
    index.add(octets, 0, 2, hash, entryOf('/a'))
    octets[1] = 0x62
    expect(index.find(octets, 0, 2, hash)).toBeUndefined()
    expect(find(index, '/a')).toBeDefined()
  })

  it('forgets what left the store, and takes the new entry in its place', () => {
    const index = new TargetIndex(4)
    const [old, current] = [entryOf('/a'), entryOf('/a')]
    add(index, '/a', old)
    old.object = undefined
    expect(find(index, '/a')).toBeUndefined()
    add(index, '/a', current)
    expect(find(index, '/a')).toBe(current)
  })

  it('never takes equal hashes for equal targets, and a flood of them pushes out only each other', () => {
    const index = new TargetIndex(4)
    const other = entryOf('/other')
    add(index, '/other', other, 1)
    for (let at = 0; at < 1_000; at++) add(index, `/${at}`, entryOf(`/${at}`), 0)
    const found = Array.from({ length: 1_000 }, (_, at) => find(index, `/${at}`, 0)).filter(
      entry => entry !== undefined,
    )
    expect(found).toHaveLength(4)
    expect(find(index, '/other', 1)).toBe(other)
  })

  it('does not hold very long targets', () => {
    const index = new TargetIndex(4)
    const target = `/${'a'.repeat(MAX_INDEXED_OCTETS)}`
    add(index, target, entryOf(target))
    expect(find(index, target)).toBeUndefined()
  })

  it('law: what it finds is what a Map of the targets holds', () => {
    const target = fc.stringMatching(/^\/[ab]{0,3}$/)
    fc.assert(
      fc.property(fc.array(fc.tuple(target, fc.boolean()), { maxLength: 60 }), actions => {
        const index = new TargetIndex(2)
        const map = new Map<string, CacheEntry>()
        for (const [path, adds] of actions) {
          if (adds) {
            const entry = entryOf(path)
            add(index, path, entry)
            map.set(path, entry)
          } else {
            const found = find(index, path)
            if (found !== undefined) expect(found).toBe(map.get(path))
          }
        }
      }),
    )
  })
})

it('the hash spreads paths that differ in one octet', () => {
  const sets = new Set<number>()
  const index = new TargetIndex()
  const paths = Array.from({ length: 4_000 }, (_, at) => `/images/photo-${at}.jpeg`)
  for (const path of paths) {
    const octets = asciiOctets(path)
    sets.add(hashPath(octets, 0, octets.length))
    add(index, path, entryOf(path))
  }
  expect(sets.size).toBe(paths.length)
  expect(paths.filter(path => find(index, path) === undefined)).toEqual([])
})
