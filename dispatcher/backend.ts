/**
 * What the admin API asks of the cluster, answered by asking every owner: the dispatcher's own state and the nodes' are
 * put together here. It keeps nothing; a node that does not answer is reported without figures.
 */

import { byLabel, counter, gauge, type Metric } from '../node/server/metric.ts'
import {
  answer,
  type ListedConnection,
  listConnections,
  type OperatorHost,
  type OwnerStatus,
  type ShiftOutcome,
  status,
} from '../node/server/operator.ts'
import type { ReloadAnswer } from '../node/server/reloader.ts'
import {
  type ConnectionReport,
  type ConnectionsPage,
  type ConnectionsQuery,
  type CounterReport,
  type CrashReport,
  type DrainReport,
  type DrainRequest,
  type ExplainQuery,
  type ExplainReport,
  MAX_REPORTED_LINKS,
  MAX_SHIFT_RESULTS,
  type OwnerReport,
  type PolicyReport,
  type ReloadReport,
  type ReopenReport,
  type ShiftReport,
  type ShiftRequest,
  type ShiftResult,
  type StatusReport,
  sumCounters,
} from './admin/api.ts'
import { selectConnections } from './admin/connection-query.ts'
import { AdminError, type AdminErrorCode } from './admin/errors.ts'
import type { AdminBackend } from './admin/server.ts'
import type { Asks } from './asks.ts'
import type { Coordinator } from './coordination/coordinator.ts'
import type { DispatcherCore } from './core.ts'
import type { Drains } from './drains.ts'
import type { Member } from './members.ts'
import type { DispatcherOptions } from './options.ts'
import { explain } from './placement/explain.ts'
import { POLICIES, type PolicyName } from './placement/policy.ts'

export class Backend implements AdminBackend {
  readonly #options: DispatcherOptions
  readonly #core: DispatcherCore
  readonly #asks: Asks
  readonly #operator: OperatorHost
  readonly #drains: Drains
  readonly #coordinator: Pick<Coordinator, 'report'>
  readonly #startedAt: number

  constructor(
    options: DispatcherOptions,
    core: DispatcherCore,
    asks: Asks,
    operator: OperatorHost,
    drains: Drains,
    coordinator: Pick<Coordinator, 'report'>,
  ) {
    this.#options = options
    this.#core = core
    this.#asks = asks
    this.#operator = operator
    this.#drains = drains
    this.#coordinator = coordinator
    this.#startedAt = operator.now()
  }

  async status(): Promise<StatusReport> {
    const { cluster, mode, steering, vip, vip6, port } = this.#options
    const owners = [
      this.#self(),
      ...(await Promise.all([
        ...this.#core.dispatchers.all.map(other => this.#other(other, 'dispatcher')),
        ...this.#core.members.all.map(node => this.#other(node, 'node')),
      ])),
    ]
    return {
      cluster,
      mode,
      steering,
      vips: vip6 === undefined ? [vip] : [vip, vip6],
      port,
      uptimeMs: Math.round(this.#operator.now() - this.#startedAt),
      owners,
      counters: sumCounters(owners.map(owner => owner.counters)),
      crashes: this.#crashes(),
      coordination: this.#coordinator.report(),
    }
  }

  #crashMetrics(): Metric[] {
    const { recovered, lost, records } = this.#crashes()
    return [
      counter('gyre_recovered_total', 'Connections that went on after their owner had died.', recovered),
      byLabel('counter', 'gyre_lost_total', 'Connections that ended with their owner.', 'reason', lost),
      gauge('gyre_birth_records', 'Responses under way that another node could go on with.', records),
    ]
  }

  #crashes(): CrashReport {
    const { counters, size } = this.#core.recovery
    const { recovered, lost } = counters
    return { recovered, lost: { ...lost }, records: size.records, recovering: size.orphans }
  }

  async connections(query: ConnectionsQuery): Promise<ConnectionsPage> {
    const { id, name } = this.#options
    const own = listConnections(this.#core.owner).map(listed => reportOf(listed, id, name))
    const others = await Promise.all(
      this.#core.others.map(async node => {
        const listed = await this.#ask<ListedConnection[]>(node.id, 'connections', null)
        return (listed ?? []).map(connection => reportOf(connection, node.id, node.name))
      }),
    )
    return selectConnections([...own, ...others.flat()], query)
  }

  async shift(request: ShiftRequest): Promise<ShiftReport> {
    const startedAt = this.#operator.now()
    const to = this.#target(request.to)
    const order = [request.connection === 'all' ? null : request.connection, to.id]
    const sources = this.#core.members.all.filter(node => node.up && node.id !== to.id)
    const results: ShiftResult[] = []
    await Promise.all(
      sources.map(async ({ id: from }) => {
        const outcomes = await this.#ask<ShiftOutcome[]>(from, 'shift', order)
        for (const { connection, ok, reason, ms } of outcomes ?? []) {
          results.push({ connection, from, code: ok ? null : reason, ms })
        }
      }),
    )
    if (request.connection !== 'all') await this.#refuseSingle(request.connection, to, results)
    return summarise(to, results, this.#operator.now() - startedAt)
  }

  async drain({ node: name, deadlineMs }: DrainRequest): Promise<DrainReport> {
    const node = this.#member(name)
    if (!node.up) throw new AdminError('OWNER_DOWN', `${node.name} is down`)
    // At once: until the node says so itself, nothing new is to be placed there.
    node.draining = true
    return this.#drains.start(node.id, deadlineMs)
  }

  async drained(name: string): Promise<DrainReport> {
    const node = this.#member(name)
    const report = this.#drains.report(node.id)
    if (report === undefined) throw new AdminError('NOT_DRAINING', `${node.name} does not drain`)
    return report
  }

  async undrain(name: string): Promise<DrainReport> {
    const node = this.#member(name)
    // A dispatcher that was started anew knows by the node's word alone that it drains.
    const report = node.draining ? (this.#drains.report(node.id) ?? NOTHING) : await this.drained(name)
    const done = await this.#drains.cancel(node.id)
    if (done === 'leaving') throw new AdminError('OWNER_DOWN', `${node.name} is about to end`)
    if (done === 'silent') throw new AdminError('OWNER_DOWN', `${node.name} does not answer`)
    node.draining = false
    return { ...report, node: node.id, state: 'cancelled' }
  }

  async policy(): Promise<PolicyReport> {
    const { policy, counts } = this.#core.placement
    return { policy, policies: POLICIES, decisions: counts }
  }

  async setPolicy(policy: PolicyName): Promise<PolicyReport> {
    this.#core.placement.policy = policy
    return this.policy()
  }

  async explain({ target, from }: ExplainQuery): Promise<ExplainReport> {
    const node = from === undefined ? undefined : this.#member(from).id
    return explain(this.#core, target, node, this.#operator.now())
  }

  #member(name: string): Member {
    const member = this.#core.members.named(name)
    if (member === undefined) throw new AdminError('UNKNOWN_OWNER', `there is no node ${name}`)
    return member
  }

  async reload(): Promise<ReloadReport> {
    const owners = [
      { id: this.#options.id, name: this.#options.name },
      ...this.#core.others.filter(({ up }) => up),
    ]
    const checked = await Promise.all(owners.map(({ id }) => this.#askReload(id, 'reload-check', null)))
    const faults = checked.flatMap((answer, index) =>
      answer.ok ? [] : `${owners[index]?.name}: ${answer.fault}`,
    )
    if (faults.length > 0) throw new AdminError('CONFIG_REFUSED', faults.join('; '))
    const applied = await Promise.all(
      owners.map(({ id }, index) => {
        const answer = checked[index] as ReloadAnswer
        return answer.ok ? this.#askReload(id, 'reload-apply', answer.digest) : answer
      }),
    )
    return {
      owners: owners.map(({ id, name }, index) => {
        const answer = applied[index] as ReloadAnswer
        return { id, name, config: answer.ok ? answer.digest : null, fault: answer.ok ? null : answer.fault }
      }),
    }
  }

  /** Of every owner that answers; whether an owner is up is a metric too. */
  async metrics(): Promise<string> {
    const { id, name } = this.#options
    const told = await Promise.all(
      [{ id, name, up: true }, ...this.#core.others].map(async owner => {
        const own = owner.id === id
        const text = own
          ? await answer(this.#operator, 'metrics', null)
          : owner.up && (await this.#asks.ask(owner.id, 'metrics', null))
        const metrics = parse<Metric[]>(text)
        const up = gauge('gyre_owner_up', 'Whether the owner answers.', metrics === undefined ? 0 : 1)
        const placed = own ? [this.#decisions(), ...this.#crashMetrics()] : []
        return { owner: owner.name, metrics: [up, ...placed, ...(metrics ?? [])] }
      }),
    )
    const { renderMetrics } = await import('./metrics.ts')
    return renderMetrics(told)
  }

  #decisions(): Metric {
    const help = 'Requests placed, and kept connections that nodes asked about, by reason.'
    const { counts } = this.#core.placement
    return byLabel('counter', 'gyre_placement_decisions_total', help, 'reason', { ...counts })
  }

  async reopen(): Promise<ReopenReport> {
    const nodes = this.#core.members.all.filter(({ up }) => up)
    const done = await Promise.all(nodes.map(({ id }) => this.#ask<boolean>(id, 'reopen', null)))
    return { owners: done.filter(answered => answered === true).length }
  }

  async #askReload(id: number, what: string, details: unknown): Promise<ReloadAnswer> {
    const own = id === this.#options.id
    const text = own ? await answer(this.#operator, what, details) : await this.#asks.ask(id, what, details)
    const parsed = parse<ReloadAnswer>(text)
    return parsed ?? { ok: false, fault: 'it did not answer' }
  }

  #target(name: string): Member {
    const to = this.#member(name)
    if (!to.up) throw new AdminError('OWNER_DOWN', `${to.name} is down`)
    if (to.draining) throw new AdminError('OWNER_DRAINING', `${to.name} is draining`)
    return to
  }

  /** A single connection that nobody moved is an error with its reason, not a report full of zeros. */
  async #refuseSingle(connection: number, to: Member, results: readonly ShiftResult[]): Promise<void> {
    const result = results[0]
    if (result === undefined) {
      const held = await this.#ask<ListedConnection[]>(to.id, 'connections', null)
      if (held?.some(({ id }) => id === connection) === true) return
      throw new AdminError('UNKNOWN_CONNECTION', `there is no connection ${connection}`)
    }
    if (result.code === null) return
    throw new AdminError(
      ERRORS[result.code] ?? 'SHIFT_REFUSED',
      `connection ${connection} stays where it is: ${result.code}`,
    )
  }

  async #ask<Answer>(node: number, what: string, details: unknown): Promise<Answer | undefined> {
    return (await this.#asks.askPlain(node, what, details)) as Answer | undefined
  }

  #self(): OwnerReport {
    const { id, name, address, address6 } = this.#options
    const own = status(this.#operator)
    return {
      ...describe(own),
      id,
      name,
      role: 'dispatcher',
      state: 'up',
      address,
      address6: address6 ?? null,
    }
  }

  async #other(owner: Member, role: OwnerReport['role']): Promise<OwnerReport> {
    const { id, name, address, address6, up, draining } = owner
    const known = up ? await this.#ask<OwnerStatus>(id, 'status', null) : undefined
    const state = known === undefined ? 'down' : draining ? 'draining' : 'up'
    return {
      ...describe(known),
      id,
      name,
      role,
      state,
      address,
      address6: address6 ?? null,
    }
  }
}

/** Of a drain that is not known here. */
const NOTHING = { total: 0, left: 0, shifted: 0, elapsedMs: 0, remaining: [] }

/** What an owner answered. */
function parse<Answer>(text: unknown): Answer | undefined {
  if (typeof text !== 'string') return undefined
  try {
    return JSON.parse(text) as Answer
  } catch {
    return undefined
  }
}

/** Refusals of the shift protocol that the API has a code of its own for. */
const ERRORS: Readonly<Record<string, AdminErrorCode>> = {
  DRAINING: 'OWNER_DRAINING',
  NO_MEMORY: 'OWNER_FULL',
  TARGET_DOWN: 'OWNER_DOWN',
  UNKNOWN_TARGET: 'OWNER_DOWN',
}

function describe(owner: OwnerStatus | undefined) {
  return {
    pid: owner?.pid ?? null,
    connections: owner?.connections ?? 0,
    cacheOctets: owner?.cacheOctets ?? 0,
    cacheObjects: owner?.cacheObjects ?? 0,
    links: (owner?.links ?? []).slice(0, MAX_REPORTED_LINKS),
    config: owner === undefined || owner.config === '' ? null : owner.config,
    counters: countersOf(owner),
    limits: owner?.limits ?? {},
    nstat: owner === undefined ? {} : { ...owner.nstat },
    device: owner?.device ?? {},
    origin: owner?.origin ?? {},
  }
}

function countersOf(owner: OwnerStatus | undefined): CounterReport {
  const counters = owner?.counters
  return {
    accepted: counters?.accepted ?? 0,
    requests: owner?.requests ?? 0,
    cloned: counters?.cloned ?? 0,
    adopted: counters?.adopted ?? 0,
    shifted: counters?.shifted ?? 0,
    aborted: counters?.aborted ?? {},
    relayedPackets: counters?.forwardedPackets ?? 0,
    tombstones: owner?.forwards ?? 0,
    resetsSent: counters?.resetsSent ?? 0,
  }
}

function reportOf(listed: ListedConnection, owner: number, ownerName: string): ConnectionReport {
  const { id, client, state, srttMs, octetsSent, shifts, request, since } = listed
  return {
    id,
    client,
    owner,
    ownerName,
    state,
    srttMs: srttMs === 0 ? null : srttMs,
    octetsSent,
    shifts,
    request,
    since: since === 0 ? null : since * 1000,
  }
}

function summarise(to: Member, results: readonly ShiftResult[], totalMs: number): ShiftReport {
  const failed: Record<string, number> = {}
  let shifted = 0
  for (const { code } of results) {
    if (code === null) shifted++
    else failed[code] = (failed[code] ?? 0) + 1
  }
  return {
    to: to.id,
    toName: to.name,
    requested: results.length,
    shifted,
    failed,
    totalMs,
    results: results.slice(0, MAX_SHIFT_RESULTS),
  }
}
