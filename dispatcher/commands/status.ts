/** `gyre status`: the owners of a cluster and what they have done. */

import type { Command } from 'commander'
import { formatDuration, formatOctets } from '../admin/amounts.ts'
import type { CounterReport, OwnerReport, StatusReport } from '../admin/api.ts'
import { type AdminFlags, addAdminFlags, runAdminCommand } from './admin-command.ts'
import { type Column, formatCounts, formatTable, printable } from './table.ts'

export function registerStatus(program: Command): void {
  const command = program.command('status').description('show the owners of a cluster and its counters')
  addAdminFlags(command).action(async (flags: AdminFlags) => {
    await runAdminCommand(command, flags, client => client.status(), formatStatus)
  })
}

export function formatStatus(status: StatusReport): string {
  const head = [
    `cluster ${status.cluster}`,
    `mode ${status.mode}`,
    `steering ${status.steering}`,
    `vips ${status.vips.join(' ')}`,
    `port ${status.port}`,
    `up ${formatDuration(status.uptimeMs)}`,
    ...formatEngine(status),
  ].join('  ')
  const aborted = formatCounts(status.counters.aborted)
  const reasons = aborted === '' ? '' : `\naborted: ${aborted}\n`
  const owners = `${formatOwners(status.owners)}${formatConfigs(status.owners)}`
  return `${head}\n\n${owners}\n${formatCounters(status)}${reasons}${formatCrashes(status)}${formatFull(status.owners)}`
}

function formatEngine({ coordination: { engine, awayMs } }: StatusReport): string[] {
  if (engine === 'embedded') return []
  return [`engine ${engine}${awayMs === null ? '' : `, away for ${formatDuration(awayMs)}`}`]
}

/** Silent where no node has died with connections. */
function formatCrashes({ crashes: { recovered, lost, recovering } }: StatusReport): string {
  if (recovered + recovering + Object.keys(lost).length === 0) return ''
  const reasons = formatCounts(lost)
  const under = recovering === 0 ? '' : `, ${recovering} being recovered`
  return `\nof nodes that died: ${recovered} recovered${under}, lost: ${reasons === '' ? 'none' : reasons}\n`
}

/** A table this full is worth a line. */
const NEARLY_FULL = 0.8

function formatFull(owners: readonly OwnerReport[]): string {
  const lines = owners.flatMap(({ name, limits }) =>
    Object.entries(limits)
      .filter(([, { used, max }]) => used >= NEARLY_FULL * max)
      .map(([limit, { used, max }]) => `${name}: ${limit} ${used} of ${max}\n`),
  )
  return lines.length === 0 ? '' : `\n${lines.join('')}`
}

const OWNER_COLUMNS: readonly Column[] = [
  { title: 'ID', align: 'right' },
  { title: 'NAME' },
  { title: 'ROLE' },
  { title: 'PID', align: 'right' },
  { title: 'STATE' },
  { title: 'ADDRESS' },
  { title: 'ADDRESS6' },
  { title: 'CONNECTIONS', align: 'right' },
  { title: 'CACHE', align: 'right' },
  { title: 'OBJECTS', align: 'right' },
  { title: 'LINKS' },
]

function formatOwners(owners: readonly OwnerReport[]): string {
  const rows = owners.map(owner => [
    String(owner.id),
    owner.name,
    owner.role,
    owner.pid === null ? '-' : String(owner.pid),
    owner.state,
    owner.address ?? '-',
    owner.address6 ?? '-',
    String(owner.connections),
    formatOctets(owner.cacheOctets),
    String(owner.cacheObjects),
    `${owner.links.filter(link => link.up).length}/${owner.links.length} up`,
  ])
  return formatTable(OWNER_COLUMNS, rows)
}

/** Silent where all run the same. */
function formatConfigs(owners: readonly OwnerReport[]): string {
  const told = owners.filter(owner => owner.config !== null)
  if (new Set(told.map(owner => owner.config)).size < 2) return ''
  const list = told.map(({ name, config }) => `${printable(name)} ${config}`).join(', ')
  return `\nconfigurations differ: ${list}; see gyre reload\n`
}

const COUNTER_COLUMNS: readonly Column[] = [
  { title: 'OWNER' },
  ...[
    'ACCEPTED',
    'REQUESTS',
    'CLONED',
    'ADOPTED',
    'SHIFTED',
    'ABORTED',
    'RELAYED PACKETS',
    'TOMBSTONES',
    'RESETS SENT',
  ].map(title => ({ title, align: 'right' as const })),
]

function formatCounters({ owners, counters }: StatusReport): string {
  const rows = owners.map(owner => [owner.name, ...countsOf(owner.counters)])
  return formatTable(COUNTER_COLUMNS, [...rows, ['total', ...countsOf(counters)]])
}

function countsOf(counters: CounterReport): string[] {
  const aborted = Object.values(counters.aborted).reduce((sum, count) => sum + count, 0)
  return [
    counters.accepted,
    counters.requests,
    counters.cloned,
    counters.adopted,
    counters.shifted,
    aborted,
    counters.relayedPackets,
    counters.tombstones,
    counters.resetsSent,
  ].map(String)
}
