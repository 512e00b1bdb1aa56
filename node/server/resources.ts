/** What the site on a node's connections is answered with: the interface between it and whoever has files and origins. */
import type { CachedObject } from '../../cache/cached-object.ts'
import type { CacheStore } from '../../cache/store.ts'
import type { ResponseContext } from '../http/plan.ts'
import type { Found } from '../http/representation.ts'
import type { RequestHead } from '../http/request-head.ts'
import type { OriginCounters } from '../origin/counters.ts'
import type { OriginRequest } from '../origin/fields.ts'
import type { PeerContents } from '../origin/peer-contents.ts'
import type { Watching } from './file-changes.ts'
import type { MadeVariants } from './made-variants.ts'

/** Where files come from: `RepresentationSource`, or the simulator's. Answers may come at once. */
export interface Resources {
  readonly store: CacheStore
  /** What the target of a head names, if that is known now. */
  find(head: RequestHead, now: number): Found<CachedObject> | undefined
  /** What the site of a head adds to responses without a file. */
  context(head: RequestHead): ResponseContext
  /** The normalised path of a head, with its site before it, or the status of the refusal. */
  pathOf(head: RequestHead): string | 400 | 404 | 421
  /** By which name the cluster knows who holds what such a path is answered with. */
  heldAs(path: string): string
  /** What an origin is to be asked of a head, where its site has one. */
  originRequest?(head: RequestHead, path: string, client: string): OriginRequest | undefined
  /** The current version of what such a path names; `request` is what `originRequest` gave. */
  load(path: string, done: (resource: Found<CachedObject>) => void, request?: OriginRequest | undefined): void
  /** That very version, or undefined where it cannot be had; the owner `from` has it. */
  loadVersion(
    path: string,
    etag: string,
    done: (object: CachedObject | undefined) => void,
    from: number,
  ): void
  /** What the cache in front of origins has done; undefined where no site has one. */
  originCounters?(): OriginCounters | undefined
  /** What watching files has come to; undefined where no site has files. */
  watching?(): Watching | undefined
  /** Variants that are made once for the cluster; undefined where there are none. */
  readonly made?: MadeVariants
  /** Called when files were seen to have changed: others should hear of it soon. */
  onNoticed?: () => void
  /** For what peers ask and tell about responses of origins; undefined where there are no peers. */
  readonly peers?: PeerContents | undefined
  /** Brings the octets at `offset` of an object that is streamed into memory; false where that version is gone. */
  read(object: CachedObject, offset: number, done: (ok: boolean) => void): void
}
