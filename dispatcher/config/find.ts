/** Where a command finds its configuration file. It reads none. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'

/** In this order. */
export const CONFIG_NAMES = ['gyre.config.ts', 'gyre.config.js', 'gyre.config.mjs', 'gyre.config.json']

/** The configuration of a folder, or undefined where it has none. */
export function findConfig(folder: string): string | undefined {
  return CONFIG_NAMES.map(name => join(folder, name)).find(path => existsSync(path))
}

/** The value of `--config` among arguments; the last one, as for every flag. */
export function configFlag(args: readonly string[]): string | undefined {
  let file: string | undefined
  for (const [index, arg] of args.entries()) {
    if (arg === '--') break
    if (arg === '--config') file = args[index + 1]
    else if (arg.startsWith('--config=')) file = arg.slice('--config='.length)
  }
  return file
}
