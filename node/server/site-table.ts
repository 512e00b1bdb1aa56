/**
 * Which site a request is for, and by which name its files are known in the cluster. The path of an object of a site
 * begins with the site's name, as `example.org/index.html`; of the default site, whose name is empty, with the slash. No
 * path of a request begins with anything else than a slash, so that no request for one site can name another's.
 */
import { HostTable } from '../http/host-table.ts'
import type { RequestHead } from '../http/request-head.ts'
import { normalisePath, representationPath, targetOf } from '../http/target.ts'
import type { ServingSettings, UnknownHost } from './settings.ts'

export class SiteTable {
  readonly serving: ServingSettings
  readonly #hosts: HostTable<string>
  readonly #unknown: UnknownHost
  /** Names of the sites whose content is an origin server's. */
  readonly #origins: ReadonlySet<string>

  constructor(serving: ServingSettings) {
    this.serving = serving
    this.#unknown = serving.unknownHost
    this.#origins = new Set(
      serving.sites.filter(({ origin }) => origin !== undefined).map(({ name }) => name),
    )
    this.#hosts = new HostTable(
      serving.sites.flatMap(({ name, hosts }) => hosts.map(host => [host, name] as const)),
    )
  }

  /** The site's name, or the status of the refusal. The target's own authority wins over Host (RFC 9112 §3.2.2). */
  siteOf(head: RequestHead): string | 404 | 421 {
    const name = this.#hosts.find(head.octets, head.hostStart, head.hostEnd)
    if (name !== undefined) return name
    return this.#unknown === 'default' ? '' : this.#unknown
  }

  /** The site's name and the normalised path, before an origin the target as it is; or the status of the refusal. */
  pathOf(head: RequestHead): string | 400 | 404 | 421 {
    const site = this.siteOf(head)
    if (typeof site === 'number') return site
    const path = this.#origins.has(site)
      ? targetOf(head)
      : normalisePath(head.octets, head.pathStart, head.pathEnd)
    return typeof path === 'number' ? path : site + path
  }

  /** By which name the cluster knows who holds what a path of `pathOf` is answered with. */
  heldAs(path: string): string {
    return this.#origins.has(splitSitePath(path).site) ? path : representationPath(path)
  }
}

/** The site's name and the path within it, of a path that `pathOf` made. */
export function splitSitePath(path: string): { readonly site: string; readonly path: string } {
  const at = path.indexOf('/')
  return { site: path.slice(0, at), path: path.slice(at) }
}
