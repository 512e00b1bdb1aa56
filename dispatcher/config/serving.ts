/** From a configuration to what a cluster serves: the site's settings with those that they inherit, and their digest. */
import { createHash } from 'node:crypto'
import { DEFAULT_HTTP_SETTINGS, type HttpSettings } from '../../node/http/http-settings.ts'
import type { ServingSettings, SiteSettings } from '../../node/server/settings.ts'
import { normaliseHost } from './host-name.ts'
import type { Config } from './schema.ts'
import { serverLimits } from './server-limits.ts'

const DIGEST_CHARS = 12

/** What holds where the configuration is silent, or a flag has the last word. */
export interface ServingDefaults {
  readonly root: string
  /** The origin server of the default site, instead of the root. */
  readonly origin?: string | undefined
  /** Settings of the cluster that are not the sites', for the digest. */
  readonly cluster: object
}

export function servingSettings(config: Config, defaults: ServingDefaults): ServingSettings {
  const { aliases = [], unknownHost = 'default' } = config
  const http = httpSettings(config, DEFAULT_HTTP_SETTINGS)
  const first = siteSettings('', aliases, defaults, http)
  const others = Object.entries(config.sites ?? {}).map(([key, site]): SiteSettings => {
    const name = normaliseHost(key) as string
    const hosts = [name, ...(site.aliases ?? [])]
    return siteSettings(name, hosts, site, httpSettings(site, http))
  })
  const serving = { sites: [first, ...others] as const, unknownHost, limits: serverLimits(config) }
  return { ...serving, digest: digestOf({ ...defaults.cluster, ...serving }) }
}

/** Of a root and an origin there is exactly one. */
function siteSettings(
  name: string,
  hosts: readonly string[],
  { root, origin }: { readonly root?: string | undefined; readonly origin?: string | undefined },
  http: HttpSettings,
): SiteSettings {
  return origin === undefined
    ? { name, hosts, root: root as string, http }
    : { name, hosts, root: '', origin, http }
}

type Chosen = { readonly [Key in keyof HttpSettings]?: HttpSettings[Key] | undefined }

function httpSettings(chosen: Chosen, otherwise: HttpSettings): HttpSettings {
  return {
    precompressed: chosen.precompressed ?? otherwise.precompressed,
    compress: chosen.compress ?? otherwise.compress,
    mediaTypes: chosen.mediaTypes ?? otherwise.mediaTypes,
    listing: chosen.listing ?? otherwise.listing,
    errorPages: chosen.errorPages ?? otherwise.errorPages,
    fields: chosen.fields ?? otherwise.fields,
    rules: chosen.rules ?? otherwise.rules,
  }
}

/** The order in which keys were written makes no difference. */
function digestOf(value: unknown): string {
  const text = JSON.stringify(value, (_key, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  )
  return createHash('sha256').update(text).digest('hex').slice(0, DIGEST_CHARS)
}
