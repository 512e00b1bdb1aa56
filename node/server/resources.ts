/** The files of a node as the site asks for them: by callback, so that an answer that is at hand comes at once. */
import { CacheStore } from '../../cache/store.ts'
import { DEFAULT_HTTP_SETTINGS, type HttpSettings, representationLines } from '../http/http-settings.ts'
import { Loader } from './loader.ts'
import { RepresentationSource } from './representation-source.ts'
import type { Resources } from './site.ts'

/** Rejects with the system's error where `root` is no directory that can be read. */
export async function openResources(
  root: string,
  cacheOctets: number,
  now: () => number,
  settings: HttpSettings = DEFAULT_HTTP_SETTINGS,
): Promise<Resources> {
  const store = new CacheStore(cacheOctets)
  const loader = await Loader.open({
    root,
    room: (octets, loading) => store.room(octets, loading),
    linesOf: path => representationLines(settings, path),
    listing: settings.listing,
  })
  const source = new RepresentationSource({ store, loader, now, settings })
  await source.warm()
  return {
    store,
    find: (head, at) => source.find(head, at),
    context: () => source.context,
    load: (path, done) => void source.load(path).then(done),
    loadVersion: (path, etag, done) => {
      void source
        .loadVersion(path, etag)
        .then(version => done(version.kind === 'equal' ? version.object : undefined))
    },
  }
}
