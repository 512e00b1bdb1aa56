/** `gyre reopen`: has every node open its access log anew, after logrotate has moved it away. */
import type { Command } from 'commander'
import { type AdminFlags, addAdminFlags, runAdminCommand } from './admin-command.ts'

export function registerReopen(program: Command): void {
  const command = program
    .command('reopen')
    .description('open the access logs anew, after they were moved away')
  addAdminFlags(command).action(async (flags: AdminFlags) => {
    await runAdminCommand(
      command,
      flags,
      client => client.reopen(),
      ({ owners }) => `${owners} ${owners === 1 ? 'node has' : 'nodes have'} opened their logs anew\n`,
    )
  })
}
