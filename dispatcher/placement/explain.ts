/** The answer to the operator's question where a request would go now, and why: the policy asked, nothing changed. */
import type { ExplainedNode, ExplainReport } from '../admin/api.ts'
import { AdminError } from '../admin/errors.ts'
import type { DispatcherCore } from '../core.ts'
import type { Member } from '../members.ts'
import type { Cost } from './policy.ts'

/** `from`: the node that has the connection. Throws INVALID_REQUEST for what is no path, and UNKNOWN_HOST. */
export function explain(
  core: DispatcherCore,
  target: string,
  from: number | undefined,
  now: number,
): ExplainReport {
  const { placement, members, directory } = core
  const path = pathOf(core, target)
  const question = { path, from }
  const candidates = members.candidates([])
  const choice = placement.explain(question, candidates, now)
  const costs = placement.costs(question, candidates, now)
  return {
    target,
    path,
    from: from ?? null,
    policy: placement.policy,
    to: choice?.to ?? null,
    reason: choice?.reason ?? null,
    replicas: directory.holders(path).length,
    nodes: members.all.map(member => nodeOf(core, path, member, costs)),
    decisions: placement.decisions(path).map(({ at, from, to, policy, reason }) => ({
      agoMs: Math.max(0, Math.round(now - at)),
      from: from ?? null,
      to,
      policy,
      reason,
    })),
  }
}

function pathOf(core: DispatcherCore, target: string): string {
  const [, host, rest = target] = /^https?:\/\/([^/]+)(\/.*)$/i.exec(target) ?? []
  const path = core.pathOf(host, rest)
  if (typeof path === 'string') return path
  if (path === 400) throw new AdminError('INVALID_REQUEST', 'that is no path that a request may have')
  throw new AdminError('UNKNOWN_HOST', `requests for ${host} are answered by ${path}: no site has that host`)
}

function nodeOf(
  { directory }: DispatcherCore,
  path: string,
  member: Member,
  costs: readonly Cost[],
): ExplainedNode {
  const { id, name, up, draining, connections } = member
  const cost = costs.find(({ node }) => node === id)
  const holds = directory.holders(path).includes(id)
  return {
    id,
    name,
    state: up ? (draining ? 'draining' : 'up') : 'down',
    connections,
    load: Math.round(member.load * 10) / 10,
    holds: holds ? (directory.isExpected(id, path) ? 'soon' : 'yes') : 'no',
    cost:
      cost === undefined
        ? null
        : {
            wait: round(cost.wait),
            read: round(cost.read),
            shift: round(cost.shift),
            total: round(cost.total),
          },
  }
}

/** Enough for a person to add up. */
function round(cost: number): number {
  return Math.round(cost * 10) / 10
}
