/** `gyre check`: everything that is wrong with a configuration file, or what it says. */
import type { Command } from 'commander'
import { ConfigError, formatIssue } from '../config/errors.ts'
import { CONFIG_NAMES, findConfig } from '../config/find.ts'
import { loadConfig } from '../config/load.ts'

export function registerCheck(program: Command): void {
  const command = program.command('check').description('check a configuration file')
  command
    .argument('[file]', `by default the first of ${CONFIG_NAMES.join(', ')} in this folder`)
    .action(async (file: string | undefined) => {
      const path = file ?? findConfig('.')
      if (path === undefined) return command.error('error: there is no gyre.config.* here', { exitCode: 1 })
      try {
        const { config } = await loadConfig(path)
        const sites = Object.keys(config.sites ?? {}).length + 1
        console.log(`${path}: ok, ${sites} ${sites === 1 ? 'site' : 'sites'}`)
      } catch (error) {
        if (!(error instanceof ConfigError)) throw error
        const lines = error.issues.map(issue => `${path}: ${formatIssue(issue)}`.replace(/\p{Cc}/gu, '?'))
        command.error(lines.join('\n'), { exitCode: 1, code: error.code })
      }
    })
}
