/**
 * Puts a configuration file behind the command line: before flags are read, every option that the file sets has the
 * file's value, so that a flag wins and a required option may stand in either.
 */
import type { Command } from 'commander'
import type { Config } from './schema.ts'

const LIVENESS_OF = {
  ping: ({ liveness }: Config) => liveness?.ping,
  suspectAfter: ({ liveness }: Config) => liveness?.suspectAfter,
  reach: ({ liveness }: Config) => liveness?.reach,
  recoverAfter: ({ liveness }: Config) => liveness?.recoverAfter,
}

/** Options that are not called as their setting is, or that stand in a group, by command. */
const SETTING_OF: Readonly<Record<string, Readonly<Record<string, (config: Config) => unknown>>>> = {
  up: { name: ({ cluster }) => cluster, policy: ({ placement }) => placement?.policy, ...LIVENESS_OF },
  dispatcher: { policy: ({ placement }) => placement?.policy, ...LIVENESS_OF },
}

export function applyConfig(command: Command, config: Config): void {
  for (const option of command.options) {
    const attribute = option.attributeName()
    const read = SETTING_OF[command.name()]?.[attribute]
    const value = read === undefined ? config[attribute as keyof Config] : read(config)
    if (value !== undefined) command.setOptionValueWithSource(attribute, value, 'config')
  }
}
