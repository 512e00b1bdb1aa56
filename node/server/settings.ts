/**
 * What a node serves, as plain data: the sites and their hosts. The configuration makes it, at the start and at every
 * reload; whoever holds one never sees it change.
 */
import type { HttpSettings } from '../http/http-settings.ts'
import type { ServerLimits } from './limits.ts'

export interface SiteSettings {
  /** The host by which the site is known; '' is the default site. The same in the whole cluster. */
  readonly name: string
  /** Names in lower case, `*.` before one that stands for all below it. The default site needs none. */
  readonly hosts: readonly string[]
  /** The document root; '' where there is an origin. */
  readonly root: string
  /** The server whose responses are given and cached, `https://example.org`. */
  readonly origin?: string
  readonly http: HttpSettings
}

/** What a request gets whose host no site has: the default site, or this status (RFC 9110 §15.5.20). */
export type UnknownHost = 'default' | 404 | 421

export interface ServingSettings {
  /** The default site is always there, and the first. */
  readonly sites: readonly [SiteSettings, ...SiteSettings[]]
  readonly unknownHost: UnknownHost
  /** What clients may take of an owner. Default: DEFAULT_LIMITS. */
  readonly limits?: ServerLimits
  /** Equal digests: the same settings, whatever file they come from. */
  readonly digest: string
}
