/**
 * `gyre upgrade`: starts every node of a cluster on this machine again, one after another. Each is emptied before, so that
 * no connection is cut; one that cannot be emptied ends the upgrade, and takes connections again.
 */

import type { Command } from 'commander'
import { formatDuration } from '../admin/amounts.ts'
import { DEFAULT_DRAIN_MS, MAX_DRAIN_MS, type OwnerReport } from '../admin/api.ts'
import type { AdminClient } from '../admin/client.ts'
import { AdminError } from '../admin/errors.ts'
import { duration } from '../flags.ts'
import { signal } from '../up/processes.ts'
import { type RoleState, StateFolder } from '../up/state.ts'
import { type AdminFlags, addAdminFlags, runAdminCommand } from './admin-command.ts'
import { drain, formatDrain } from './drain.ts'

const POLL_MS = 100
/** The supervisor waits a moment before it starts a process again, and the process takes a core. */
const RESTART_TIMEOUT_MS = 60_000
const SILENT = { show: () => {}, end: () => {} }

interface UpgradeFlags extends AdminFlags {
  readonly deadline: number
}

interface Upgraded {
  readonly node: string
  readonly moved: number
  readonly ms: number
}

export function registerUpgrade(program: Command): void {
  const command = program
    .command('upgrade')
    .description('start all nodes again, one after another, without cutting a connection')
  addAdminFlags(command)
    .option(
      '--deadline <duration>',
      'for emptying one node (default: "30s")',
      duration(0, MAX_DRAIN_MS),
      DEFAULT_DRAIN_MS,
    )
    .action(async (flags: UpgradeFlags) => {
      await runAdminCommand(command, flags, client => upgrade(client, flags), formatUpgrade)
    })
}

async function upgrade(client: AdminClient, { name, deadline, json }: UpgradeFlags): Promise<Upgraded[]> {
  const roles = new StateFolder(name).read()?.roles ?? []
  const nodes = roles.filter(({ role }) => role === 'node')
  if (nodes.length < 2) {
    throw new AdminError(
      'NOT_READY',
      `cluster "${name}" has no two nodes on this machine: nobody could take over`,
    )
  }
  const upgraded: Upgraded[] = []
  for (const node of nodes) {
    const one = await upgradeOne(client, node, deadline)
    if (json !== true) process.stderr.write(lineOf(one))
    upgraded.push(one)
  }
  return upgraded
}

async function upgradeOne(client: AdminClient, node: RoleState, deadlineMs: number): Promise<Upgraded> {
  const startedAt = performance.now()
  // One that was killed before is listed for a while, under the id that it had.
  const before = (await ownersOf(client, node.name)).filter(({ state }) => state === 'up')
  let moved = 0
  for (const { name } of before) {
    const report = await drain(client, { node: name, deadlineMs }, SILENT)
    moved += report.shifted
    if (report.state === 'drained') continue
    for (const owner of before) await client.undrain(owner.name).catch(() => {})
    throw new AdminError('SHIFT_REFUSED', formatDrain(name, report).trim())
  }
  signal(node, 'SIGTERM')
  await restarted(client, node.name, before)
  return { node: node.name, moved, ms: performance.now() - startedAt }
}

/** A node's owners: itself, or its instances. */
async function ownersOf(client: AdminClient, node: string): Promise<OwnerReport[]> {
  const { owners } = await client.status()
  return owners.filter(({ name }) => name === node || name.startsWith(`${node}.`))
}

async function restarted(client: AdminClient, node: string, before: readonly OwnerReport[]): Promise<void> {
  const pids = new Set(before.map(({ pid }) => pid))
  for (let waited = 0; waited < RESTART_TIMEOUT_MS; waited += POLL_MS) {
    await new Promise(resolve => setTimeout(resolve, POLL_MS))
    const owners = await ownersOf(client, node)
    const up = owners.filter(({ state, pid }) => state === 'up' && !pids.has(pid))
    if (up.length === before.length) return
  }
  throw new AdminError('TIMEOUT', `${node} did not come back within ${formatDuration(RESTART_TIMEOUT_MS)}`)
}

function lineOf({ node, moved, ms }: Upgraded): string {
  return `${node}: ${moved} moved away, back after ${formatDuration(ms)}\n`
}

function formatUpgrade(upgraded: readonly Upgraded[]): string {
  const moved = upgraded.reduce((sum, one) => sum + one.moved, 0)
  return `${upgraded.length} nodes upgraded, ${moved} connections moved\n`
}
