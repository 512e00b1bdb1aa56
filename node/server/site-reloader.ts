/** The reloader of a process that serves sites: they, and then the limits of their clients, are put in force. */
import { DEFAULT_LIMITS } from './limits.ts'
import { Reloader } from './reloader.ts'
import type { ServingSettings } from './settings.ts'
import type { Site } from './site.ts'
import type { Sites } from './sites.ts'

/** `site` is asked for when settings come in force: it may be made after this. */
export function siteReloader(
  serving: ServingSettings,
  read: () => Promise<ServingSettings>,
  sites: Sites,
  site: () => Site,
  now: () => number,
): Reloader {
  return new Reloader({
    serving,
    read,
    prepare: async settings => {
      const apply = await sites.prepare(settings)
      return () => {
        apply()
        site().configure(settings.limits ?? DEFAULT_LIMITS)
      }
    },
    now,
  })
}
