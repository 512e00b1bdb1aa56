/** `gyre shift`: moves one connection, or all, to another owner. */

import type { Command } from 'commander'
import { formatDuration } from '../admin/amounts.ts'
import type { ShiftReport, ShiftRequest } from '../admin/api.ts'
import type { AdminClient } from '../admin/client.ts'
import { AdminError } from '../admin/errors.ts'
import { type AdminFlags, addAdminFlags, runAdminCommand } from './admin-command.ts'
import { formatCounts } from './table.ts'

interface ShiftFlags extends AdminFlags {
  readonly all?: true
  readonly to: string
}

export function registerShift(program: Command): void {
  const command = program.command('shift').description('move connections to another owner')
  addAdminFlags(command)
    .argument('[connection]', 'the id of the connection, as "gyre connections" shows it')
    .option('--all', 'every connection that the target does not have')
    .requiredOption('--to <owner>', 'id or name of the owner that takes them')
    .action(async (argument: string | undefined, flags: ShiftFlags) => {
      const connection = chosen(command, argument, flags)
      const request = { connection, to: flags.to }
      await runAdminCommand(command, flags, client => shift(client, request), formatShift)
    })
}

async function shift(client: AdminClient, request: ShiftRequest): Promise<ShiftReport> {
  const report = await client.shift(request)
  // Some of many may end or be busy meanwhile; but that none moved is a failure.
  if (report.shifted === 0 && report.requested > 0) {
    throw new AdminError(
      'SHIFT_REFUSED',
      `nothing was shifted to ${report.toName}: ${formatCounts(report.failed)}`,
    )
  }
  return report
}

function chosen(command: Command, argument: string | undefined, flags: ShiftFlags): number | 'all' {
  if ((argument === undefined) === (flags.all === undefined)) {
    return command.error('error: give either a connection or --all', { exitCode: 1 })
  }
  if (argument === undefined) return 'all'
  if (!/^\d{1,16}$/.test(argument)) {
    return command.error('error: a connection is a number, as "gyre connections" shows it', { exitCode: 1 })
  }
  return Number(argument)
}

export function formatShift(report: ShiftReport): string {
  const { shifted, requested, toName, totalMs } = report
  const failed = formatCounts(report.failed)
  const moved = `shifted ${shifted} of ${requested} to ${toName} in ${formatDuration(totalMs)}`
  return `${moved}${failed === '' ? '' : `, not shifted: ${failed}`}\n`
}
