import { execFileSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import {
  type FileHandle,
  mkdtemp,
  open,
  rename,
  rm,
  symlink,
  truncate,
  unlink,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { BLOCK_OCTETS, BlockPool } from '../../cache/block-pool.ts'
import type { CachedObject } from '../../cache/cached-object.ts'
import { CacheStore } from '../../cache/store.ts'
import { Streams } from '../../cache/stream.ts'
import { ContentTags, MAX_WAITING_TAGS, tagOf } from './content-tag.ts'
import { FILE_SYSTEM, type FileAccess, type OpenHandle } from './file-access.ts'
import { Loader } from './loader.ts'
import { RepresentationSource } from './representation-source.ts'
import { StreamFiles } from './stream-files.ts'

const CAPACITY = 400_000
const SIZE = 1_500_000
const POOL_OCTETS = 8 * BLOCK_OCTETS

let root: string
let loader: Loader
let source: RepresentationSource
let octets: Buffer

async function begin(files: FileAccess = FILE_SYSTEM): Promise<void> {
  const store = new CacheStore(CAPACITY)
  loader?.streamFiles.close()
  loader = await Loader.open({
    root,
    room: (size, loading) => store.room(size, loading),
    capacityOctets: CAPACITY,
    streamFiles: new StreamFiles(new Streams(new BlockPool(POOL_OCTETS))),
    tags: new ContentTags(),
    files,
  })
  source = new RepresentationSource({ store, loader, now: () => performance.now() })
}

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'gyre-stream-'))
  octets = randomBytes(SIZE)
  await write('large', octets)
  await begin()
})

afterEach(async () => {
  loader.streamFiles.close()
  await rm(root, { recursive: true, force: true })
})

/** Aged beyond the time in which two writes have one time stamp. */
async function write(name: string, content: Uint8Array): Promise<void> {
  await writeFile(join(root, name), content)
  await settle()
}

const settle = () => new Promise(resolve => setTimeout(resolve, 30))
const want = (object: CachedObject, offset: number) =>
  new Promise<boolean>(resolve => object.stream?.want(offset, resolve))

async function loadLarge(path = '/large'): Promise<CachedObject> {
  const object = await source.load(path)
  expect(object.kind).toBe('object')
  expect((object as CachedObject).stream).toBeDefined()
  return object as CachedObject
}

/** The octets from `from` to `to` as a connection would send them; undefined where they cannot be read any more. */
async function readAll(object: CachedObject, from = 0, to = object.length): Promise<Buffer | undefined> {
  const parts: Uint8Array[] = []
  const run = { octets: new Uint8Array(0), start: 0, length: 0 }
  for (let at = from; at < to; ) {
    if (!object.locate(at, run)) {
      if (!(await want(object, at))) return undefined
      continue
    }
    const length = Math.min(run.length, to - at)
    parts.push(run.octets.slice(run.start, run.start + length))
    at += length
  }
  return Buffer.concat(parts)
}

describe('a file above the threshold', () => {
  it('is streamed with the tag that it would have in memory, through a bounded pool', async () => {
    const object = await loadLarge()
    expect(object).toMatchObject({ length: SIZE, etag: await tagOf(octets), memoryOctets: 0 })
    expect((await readAll(object))?.equals(octets)).toBe(true)
    expect((await readAll(object, 70_001, 70_002))?.equals(octets.subarray(70_001, 70_002))).toBe(true)
    expect(loader.streamFiles.counters.readOctets).toBeLessThan(SIZE + 8 * BLOCK_OCTETS)
    expect(source.store.peek('/large')?.object).toBe(object)
  })

  it('larger than every cache is read by many at once, each getting the whole', async () => {
    const object = await loadLarge()
    const all = await Promise.all(Array.from({ length: 20 }, () => readAll(object)))
    expect(all.every(read => read?.equals(octets))).toBe(true)
    expect(loader.streamFiles.openFiles).toBe(1)
  })

  it('is hashed once, however many ask, and not again while it is the same', async () => {
    await Promise.all(Array.from({ length: 20 }, () => source.load('/large')))
    source.store.remove('/large')
    await loadLarge()
    expect(loader.tags.counters).toMatchObject({ hashed: 1, hashedOctets: SIZE })
    await write('large', randomBytes(SIZE))
    source.store.remove('/large')
    await loadLarge()
    expect(loader.tags.counters.hashed).toBe(2)
  })

  it('that was replaced by rename goes on as it was, through its descriptor', async () => {
    const object = await loadLarge()
    expect((await readAll(object, 0, 100_000))?.equals(octets.subarray(0, 100_000))).toBe(true)
    await write('new', randomBytes(SIZE))
    await rename(join(root, 'new'), join(root, 'large'))
    expect((await readAll(object))?.equals(octets)).toBe(true)
    const version = await source.loadVersion('/large', object.etag)
    expect(version.kind).toBe('equal')
    source.store.remove('/large')
    expect((await loadLarge()).etag).not.toBe(object.etag)
  })

  it('that was removed goes on as it was', async () => {
    const object = await loadLarge()
    await unlink(join(root, 'large'))
    expect((await readAll(object))?.equals(octets)).toBe(true)
  })

  it.each([
    ['written in place', () => writeAt(SIZE - 10, Buffer.alloc(10))],
    ['truncated', () => truncate(join(root, 'large'), SIZE - 1)],
    ['grown', () => writeAt(SIZE, Buffer.alloc(1))],
    [
      'written in place with its time of modification set back',
      async () => {
        await writeAt(SIZE - 10, Buffer.alloc(10))
        await utimes(join(root, 'large'), 1_000, 1_000)
      },
    ],
  ])('that is %s while it is sent ends, and is not current any more', async (_, change) => {
    await utimes(join(root, 'large'), 1_000, 1_000)
    await settle()
    const object = await loadLarge()
    expect(await readAll(object, 0, 10)).toBeDefined()
    await change()
    // What was read before is of the version that was promised.
    const read = await readAll(object, 0, BLOCK_OCTETS)
    if (read !== undefined) expect(read.equals(octets.subarray(0, BLOCK_OCTETS))).toBe(true)
    expect(await readAll(object, SIZE - 100_000)).toBeUndefined()
    expect(await want(object, 0)).toBe(false)
    expect(source.store.peek('/large')).toBeUndefined()
    await settle()
    expect(loader.streamFiles.openFiles).toBe(0)
    expect((await loadLarge()).etag).not.toBe(object.etag)
  })

  it('is opened again by its path when its descriptor went, if it is the same version', async () => {
    const object = await loadLarge()
    expect(loader.streamFiles.shed()).toBe(1)
    expect((await readAll(object))?.equals(octets)).toBe(true)
    expect(loader.streamFiles.counters.reopened).toBe(1)
    loader.streamFiles.shed()
    await write('large', randomBytes(SIZE))
    expect(await readAll(object)).toBeUndefined()
  })

  it('a link that leads out of the root by now is not followed when the file is opened again', async () => {
    const outside = await mkdtemp(join(tmpdir(), 'gyre-outside-'))
    const object = await loadLarge()
    loader.streamFiles.shed()
    // The very same file, so that only the place tells.
    await rename(join(root, 'large'), join(outside, 'large'))
    await symlink(join(outside, 'large'), join(root, 'large'))
    expect(await readAll(object)).toBeUndefined()
    await rm(outside, { recursive: true })
  })
})

async function writeAt(position: number, content: Uint8Array): Promise<void> {
  const handle = await open(join(root, 'large'), 'r+')
  await handle.write(content, 0, content.length, position)
  await handle.close()
}

/** A file system whose files behave as told. */
function disk(
  change: (handle: FileHandle) => Partial<OpenHandle>,
  fail?: (path: string) => void,
): FileAccess {
  return {
    ...FILE_SYSTEM,
    open: async (path, flags) => {
      fail?.(path)
      const handle = await open(path, flags)
      const bound: OpenHandle = {
        fd: handle.fd,
        read: (...args) => handle.read(...args),
        readv: (into, position) => handle.readv(into as Uint8Array<ArrayBuffer>[], position),
        stat: options => handle.stat(options),
        close: () => handle.close(),
      }
      return { ...bound, ...change(handle) }
    },
  }
}

function systemError(code: string): NodeJS.ErrnoException {
  return Object.assign(new Error(code), { code })
}

describe('a disk', () => {
  it('that fails a read (EIO) ends those who wait, and serves others when it works again', async () => {
    let broken = false
    await begin(
      disk(handle => ({
        readv: async (into, position) => {
          if (broken) throw systemError('EIO')
          return handle.readv(into as Uint8Array<ArrayBuffer>[], position)
        },
      })),
    )
    const object = await loadLarge()
    broken = true
    expect(await want(object, 0)).toBe(false)
    broken = false
    expect((await readAll(object))?.equals(octets)).toBe(true)
  })

  it('that reads a little at a time is read on', async () => {
    await begin(
      disk(handle => ({
        readv: async (into, position) => {
          const first = into[0] as Uint8Array
          return handle.read(first, 0, Math.min(first.length, 1_000), position)
        },
      })),
    )
    expect((await readAll(await loadLarge()))?.equals(octets)).toBe(true)
  })

  it('that is slow with one file holds up nobody who reads another', async () => {
    await write('slow', randomBytes(SIZE))
    let slow = 0
    let release = () => {}
    const held = new Promise<void>(resolve => {
      release = resolve
    })
    await begin(
      disk(handle => ({
        readv: async (into, position) => {
          if (handle.fd === slow) await held
          return handle.readv(into as Uint8Array<ArrayBuffer>[], position)
        },
      })),
    )
    const stuck = await loadLarge('/slow')
    slow = (await descriptors('/slow'))[0] as number
    const answers = Array.from({ length: 20 }, (_, at) => want(stuck, at * BLOCK_OCTETS))
    await write('small', Buffer.from('small'))
    expect((await readAll(await loadLarge()))?.equals(octets)).toBe(true)
    expect(await source.load('/small')).toMatchObject({ length: 5 })
    release()
    expect(await Promise.all(answers)).toEqual(answers.map(() => true))
  })

  it('without descriptors (EMFILE) says busy, closes idle ones, and the next request finds them', async () => {
    let limit = Number.POSITIVE_INFINITY
    let opened = 0
    await begin(
      disk(
        () => ({}),
        path => {
          if (path.endsWith('/second') && opened++ >= limit) throw systemError('EMFILE')
        },
      ),
    )
    await write('second', randomBytes(SIZE))
    await loadLarge()
    expect(loader.streamFiles.openFiles).toBe(1)
    limit = 0
    expect(await source.load('/second')).toMatchObject({
      kind: 'busy',
      reason: expect.stringContaining('EMFILE'),
    })
    expect(loader.streamFiles.openFiles).toBe(0)
    limit = Number.POSITIVE_INFINITY
    await loadLarge('/second')
  })

  it('that never ends a hash lets other files be served, and the client come again', async () => {
    const tags = new ContentTags()
    const never = () => new Promise<string>(() => {})
    for (let job = 0; job < MAX_WAITING_TAGS + 2; job++) expect(tags.find(`${job}`, job, never)).toBeDefined()
    expect(tags.find('one more', 1, never)).toBeUndefined()
    expect(tags.find('0', 1, never)).toBeDefined()
  })
})

/** Our descriptors of a file under the root. */
async function descriptors(path: string): Promise<number[]> {
  const { readdir, readlink } = await import('node:fs/promises')
  const found: number[] = []
  for (const name of await readdir('/proc/self/fd')) {
    const target = await readlink(`/proc/self/fd/${name}`).catch(() => '')
    if (target === root + path) found.push(Number(name))
  }
  return found
}

it('the smallest file is hashed first', async () => {
  const tags = new ContentTags()
  const order: number[] = []
  const jobs = [50, 40, 30, 10, 20].map(size =>
    tags.find(`${size}`, size, async () => {
      order.push(size)
      return '"tag"'
    }),
  )
  await Promise.all(jobs)
  // Two began at once.
  expect(order).toEqual([50, 40, 10, 20, 30])
})

it('pipes and devices are never opened: whoever waits at the other end goes on waiting', async () => {
  execFileSync('mkfifo', [join(root, 'pipe')])
  expect(await source.load('/pipe')).toEqual({ kind: 'forbidden' })
  // A writer that does not wait finds no reader: ENXIO.
  await expect(open(join(root, 'pipe'), 0o4001)).rejects.toMatchObject({ code: 'ENXIO' })
})

it('the tag of a large content is the digest of the digests of its chunks', async () => {
  const sha = (part: Uint8Array) => createHash('sha256').update(part).digest()
  const digests = [sha(octets.subarray(0, 1_048_576)), sha(octets.subarray(1_048_576))]
  const expected = sha(Buffer.concat(digests)).toString('base64url', 0, 16)
  expect(await tagOf(octets)).toBe(`"${expected}"`)
})
