/** The configuration that a process runs, and how it is read again: what a reload may change, and what it may not. */
import { isDeepStrictEqual } from 'node:util'
import { type AccessLogSettings, DEFAULT_ACCESS_LOG } from '../../node/server/access-log.ts'
import type { ServerLimits } from '../../node/server/limits.ts'
import type { ServingSettings } from '../../node/server/settings.ts'
import type { Configuration } from '../options.ts'
import { DEFAULT_SHIFTS_PER_SECOND } from '../placement/placement.ts'
import { ConfigError, type ConfigIssue } from './errors.ts'
import type { LoadedConfig } from './load.ts'
import type { Config } from './schema.ts'
import { serverLimits } from './server-limits.ts'
import { servingSettings } from './serving.ts'

export interface RunningFacts {
  /** Undefined where the process was started without a file. */
  readonly loaded: LoadedConfig | undefined
  /** The root that a flag says; it stands over the file's. */
  readonly givenRoot: string | undefined
  /** The same of an origin. */
  readonly givenOrigin?: string | undefined
  /** Where neither says one. */
  readonly defaultRoot: string
  /** Settings of the cluster that are not the sites', for the digest. */
  readonly cluster: object
}

export class RunningConfig implements Configuration {
  readonly serving: ServingSettings
  readonly accessLog: AccessLogSettings
  readonly limits: ServerLimits
  readonly shiftsPerSecond: number
  readonly #facts: RunningFacts

  constructor(facts: RunningFacts) {
    this.#facts = facts
    this.serving = this.#serving(facts.loaded?.config ?? {})
    this.limits = serverLimits(facts.loaded?.config ?? {})
    this.shiftsPerSecond = facts.loaded?.config.placement?.shiftsPerSecond ?? DEFAULT_SHIFTS_PER_SECOND
    const { format, file, bufferOctets } = facts.loaded?.config.accessLog ?? {}
    this.accessLog = {
      format: format ?? DEFAULT_ACCESS_LOG.format,
      file: file ?? DEFAULT_ACCESS_LOG.file,
      bufferOctets: bufferOctets ?? DEFAULT_ACCESS_LOG.bufferOctets,
    }
  }

  /** What the file says now. Rejects with a ConfigError where it is wrong, or asks for what only a restart can change. */
  async reload(): Promise<ServingSettings> {
    const { loaded } = this.#facts
    if (loaded === undefined) {
      const message = 'this process was started without --config'
      throw new ConfigError('CONFIG_UNREADABLE', 'reload', [{ path: '', message }])
    }
    const [{ loadConfig }, { fixedSettings }] = await Promise.all([import('./load.ts'), import('./table.ts')])
    const { config } = await loadConfig(loaded.file)
    const issues = fixedSettings().flatMap(key => restartIssue(key, loaded.config, config))
    if (issues.length > 0) throw new ConfigError('CONFIG_INVALID', loaded.file, issues)
    return this.#serving(config)
  }

  #serving(config: Config): ServingSettings {
    const { givenRoot, givenOrigin, defaultRoot, cluster } = this.#facts
    const origin = givenOrigin ?? (givenRoot === undefined ? config.origin : undefined)
    return servingSettings(config, { root: givenRoot ?? config.root ?? defaultRoot, origin, cluster })
  }
}

function restartIssue(key: keyof Config, before: Config, after: Config): ConfigIssue[] {
  if (isDeepStrictEqual(before[key], after[key])) return []
  return [{ path: key, message: 'changes with a restart only; nothing was reloaded' }]
}
