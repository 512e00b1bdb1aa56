/** The files of a simulated cluster, with brotli's beside them: the same on every node, read with a delay, held by a real cache. */
import { CachedObject } from '../../../cache/cached-object.ts'
import { CacheStore } from '../../../cache/store.ts'
import { Variants } from '../../../cache/variants.ts'
import { DEFAULT_HTTP_SETTINGS } from '../../../node/http/http-settings.ts'
import { PLAIN_CONTEXT, type ResponseContext } from '../../../node/http/plan.ts'
import type { Resource } from '../../../node/http/representation.ts'
import type { RequestHead } from '../../../node/http/request-head.ts'
import { representationPath } from '../../../node/http/target.ts'
import type { ServingSettings } from '../../../node/server/settings.ts'
import type { Resources } from '../../../node/server/site.ts'
import { SiteTable } from '../../../node/server/site-table.ts'
import type { Scheduler } from '../network/clock/scheduler.ts'
import { Random } from '../network/random.ts'

/** One site for every host. */
export const ONE_SITE: ServingSettings = {
  sites: [{ name: '', hosts: [], root: '/', http: DEFAULT_HTTP_SETTINGS }],
  unknownHost: 'default',
  digest: '',
}

const CACHE_OCTETS = 1 << 30
const READ_MS = 1

/** Octets by path, which begins with the site's name; the octets are the seed's, so that every node has the same. */
export function simulatedFiles(
  seed: number,
  sizes: Readonly<Record<string, number>>,
): Map<string, Uint8Array> {
  const random = new Random(seed)
  return new Map(Object.entries(sizes).map(([path, size]) => [path, random.octets(size)]))
}

export function objectOf(path: string, octets: Uint8Array): CachedObject {
  return new CachedObject({
    path,
    etag: `"${octets.length}-${octets[0] ?? 0}"`,
    lastModified: 1_700_000_000,
    lastModifiedStrong: true,
    mediaType: 'application/octet-stream',
    octets,
    stamp: '',
  })
}

export class SimulatedResources implements Resources {
  readonly store = new CacheStore(CACHE_OCTETS)
  readonly #files: ReadonlyMap<string, Uint8Array>
  readonly #scheduler: Scheduler
  readonly #sites: SiteTable

  constructor(files: ReadonlyMap<string, Uint8Array>, scheduler: Scheduler, serving: ServingSettings) {
    this.#files = files
    this.#scheduler = scheduler
    this.#sites = new SiteTable(serving)
  }

  pathOf(head: RequestHead): string | 400 | 404 | 421 {
    return this.#sites.pathOf(head)
  }

  find(head: RequestHead): Resource<CachedObject> | undefined {
    const path = this.pathOf(head)
    if (typeof path === 'number') return { kind: 'refused', status: path }
    return this.store.peek(representationPath(path))?.object
  }

  context(): ResponseContext {
    return PLAIN_CONTEXT
  }

  load(path: string, done: (resource: Resource<CachedObject>) => void): void {
    this.#scheduler.after(READ_MS, () => done(this.#read(representationPath(path)) ?? { kind: 'missing' }))
  }

  loadVersion(path: string, etag: string, done: (object: CachedObject | undefined) => void): void {
    this.#scheduler.after(READ_MS, () => {
      const object = this.#read(path)
      done(object?.etag === etag ? object : undefined)
    })
  }

  #read(path: string): CachedObject | undefined {
    const held = this.store.peek(path)?.object
    if (held !== undefined) return held
    const octets = this.#files.get(path)
    if (octets === undefined) return undefined
    const object = objectOf(path, octets)
    this.store.put(object, this.#scheduler.now)
    const content = path.endsWith('.br') ? undefined : this.#read(`${path}.br`)
    if (content !== undefined) object.variants = new Variants(object, [{ coding: 'br', content }])
    return object
  }
}
