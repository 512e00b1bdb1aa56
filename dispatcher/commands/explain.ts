/** `gyre explain`: where a request would go now, and why. */

import type { Command } from 'commander'
import { formatDuration } from '../admin/amounts.ts'
import type { ExplainedNode, ExplainReport } from '../admin/api.ts'
import type { Reason } from '../placement/policy.ts'
import { type AdminFlags, addAdminFlags, runAdminCommand } from './admin-command.ts'
import { REASONS } from './reasons.ts'
import { type Column, formatTable, printable } from './table.ts'

export function registerExplain(program: Command): void {
  const command = program
    .command('explain')
    .description(
      'show where a request would go now, and why: holders, loads, costs, and what was decided last',
    )
  addAdminFlags(command)
    .argument('<target>', 'a path of the default site, as /index.html, or a URL, as http://host/index.html')
    .option('--from <node>', 'for a connection that this node has; without it for a new one')
    .action(async (target: string, flags: AdminFlags & { readonly from?: string }) => {
      await runAdminCommand(
        command,
        flags,
        client => client.explain({ target, from: flags.from }),
        formatExplain,
      )
    })
}

const right = (title: string): Column => ({ title, align: 'right' })
const NODE_COLUMNS: readonly Column[] = [
  ...[{ title: '' }, { title: 'NODE' }, { title: 'STATE' }, { title: 'HOLDS IT' }],
  ...['CONNECTIONS', 'LOAD', 'WAIT', 'READ', 'SHIFT', 'COST'].map(right),
]
const DECISION_COLUMNS: readonly Column[] = [
  right('AGO'),
  ...['FROM', 'TO', 'POLICY', 'REASON'].map(title => ({ title })),
]

export function formatExplain(report: ExplainReport): string {
  const { path, from, policy, to, reason, replicas, nodes, decisions } = report
  const nameOf = (id: number | null) =>
    id === null ? 'new' : (nodes.find(node => node.id === id)?.name ?? `owner ${id}`)
  const moves =
    from === null
      ? 'a new connection goes to'
      : `a connection of ${nameOf(from)} ${to === from ? 'stays at' : 'goes to'}`
  const where =
    to === null || reason === null
      ? 'no node takes connections: clients are told 503'
      : `${moves} ${nameOf(to)}: ${REASONS[reason]}`
  const held =
    replicas === 1 ? '1 node holds it' : `${replicas === 0 ? 'no node holds' : `${replicas} nodes hold`} it`
  const last = decisions.map(decision => [
    formatDuration(decision.agoMs),
    nameOf(decision.from),
    nameOf(decision.to),
    decision.policy,
    REASONS[decision.reason as Reason] ?? decision.reason,
  ])
  return [
    `${printable(path)}: ${held}; policy ${policy}\n${where}\n`,
    formatTable(
      NODE_COLUMNS,
      nodes.map(node => rowOf(node, node.id === to)),
    ),
    ...(last.length === 0 ? [] : [`last decisions\n${formatTable(DECISION_COLUMNS, last)}`]),
  ].join('\n')
}

function rowOf({ name, state, holds, connections, load, cost }: ExplainedNode, chosen: boolean): string[] {
  const costs =
    cost === null ? ['-', '-', '-', '-'] : [cost.wait, cost.read, cost.shift, cost.total].map(String)
  return [chosen ? '>' : '', name, state, holds, `${connections}`, `${load}`, ...costs]
}
