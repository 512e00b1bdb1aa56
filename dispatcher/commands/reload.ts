/** `gyre reload`: has every owner of a cluster read its configuration again, all or none. */
import type { Command } from 'commander'
import type { ReloadReport } from '../admin/api.ts'
import { type AdminFlags, addAdminFlags, runAdminCommand } from './admin-command.ts'
import { formatTable, printable } from './table.ts'

export function registerReload(program: Command): void {
  const command = program
    .command('reload')
    .description('put the configuration in force as it is now, without dropping a connection')
  addAdminFlags(command).action(async (flags: AdminFlags) => {
    await runAdminCommand(command, flags, client => client.reload(), formatReload)
  })
}

export function formatReload({ owners }: ReloadReport): string {
  const rows = owners.map(({ name, config, fault }) => [name, config ?? '-', printable(fault ?? '')])
  return formatTable([{ title: 'OWNER' }, { title: 'CONFIG' }, { title: 'FAULT' }], rows)
}
