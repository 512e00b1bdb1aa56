/** `gyre connections`: who is connected, which owner has each connection, and what it asked for. */

import { type Command, InvalidArgumentError, Option } from 'commander'
import { formatDuration, formatOctets } from '../admin/amounts.ts'
import {
  type ConnectionReport,
  type ConnectionSort,
  type ConnectionsPage,
  DEFAULT_PAGE,
  MAX_PAGE,
  SORTS,
} from '../admin/api.ts'
import { type AdminFlags, addAdminFlags, runAdminCommand } from './admin-command.ts'
import { type Column, formatTable } from './table.ts'

interface ConnectionsFlags extends AdminFlags {
  readonly limit: number
  readonly offset: number
  readonly filter: string
  readonly sort: ConnectionSort
  readonly descending?: true
}

export function registerConnections(program: Command): void {
  const command = program.command('connections').description('list the connections of a cluster')
  addAdminFlags(command)
    .option('--limit <count>', `how many to show, at most ${MAX_PAGE}`, naturalNumber, DEFAULT_PAGE)
    .option('--offset <count>', 'how many to leave out before them', naturalNumber, 0)
    .option('--filter <text>', 'only those with this in the client, request, state or owner', '')
    .addOption(new Option('--sort <field>', 'what to order them by').choices(SORTS).default('id'))
    .option('--descending', 'the greatest first')
    .action(async (flags: ConnectionsFlags) => {
      const { limit, offset, filter, sort, descending = false } = flags
      const query = { limit, offset, filter, sort, descending }
      await runAdminCommand(command, flags, client => client.connections(query), formatConnections)
    })
}

const COLUMNS: readonly Column[] = [
  { title: 'ID', align: 'right' },
  { title: 'CLIENT' },
  { title: 'OWNER' },
  { title: 'STATE' },
  { title: 'SRTT', align: 'right' },
  { title: 'SENT', align: 'right' },
  { title: 'SHIFTS', align: 'right' },
  { title: 'AGE', align: 'right' },
  { title: 'REQUEST' },
]

export function formatConnections(page: ConnectionsPage, now = Date.now()): string {
  const { connections, offset, total } = page
  const table = formatTable(
    COLUMNS,
    connections.map(connection => rowOf(connection, now)),
  )
  if (connections.length === total) return table
  const shown = connections.length === 0 ? 'none' : `${offset + 1} to ${offset + connections.length}`
  return `${table}\n${shown} of ${total}\n`
}

function rowOf(connection: ConnectionReport, now: number): string[] {
  const { srttMs, since } = connection
  return [
    String(connection.id),
    connection.client,
    connection.ownerName,
    connection.state,
    srttMs === null ? '-' : formatDuration(srttMs),
    formatOctets(connection.octetsSent),
    String(connection.shifts),
    since === null ? '-' : formatDuration(Math.max(0, now - since)),
    connection.request === '' ? '-' : connection.request,
  ]
}

function naturalNumber(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('It must be a number.')
  return Number(text)
}
