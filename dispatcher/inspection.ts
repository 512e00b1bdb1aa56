/** What the dashboard sees and does beside the command line, answered by asking every owner. It keeps nothing. */
import type { HotObject, Inspected } from '../node/server/inspect.ts'
import { answer, type OperatorHost } from '../node/server/operator.ts'
import type { Watched, WatchedShift, WatchQuery } from '../node/server/watch.ts'
import {
  type ConnectionDetail,
  type EndReport,
  type EndRequest,
  type ForgetReport,
  type ForgetRequest,
  type LoggedMove,
  MAX_OBJECTS,
  type ObjectReport,
  type ObjectsReport,
} from './admin/api.ts'
import type { Inspector } from './admin/dashboard-routes.ts'
import { AdminError } from './admin/errors.ts'
import type { FeedSource, WatchedOwner } from './admin/feed.ts'
import type { DemoReport, FeedShift } from './admin/feed-messages.ts'
import type { Asks } from './asks.ts'
import type { Coordinator } from './coordination/coordinator.ts'
import type { DispatcherCore } from './core.ts'
import type { Demo } from './demo.ts'
import type { Member } from './members.ts'
import type { DispatcherOptions } from './options.ts'

export class Inspection implements Inspector, FeedSource {
  readonly #options: DispatcherOptions
  readonly #core: DispatcherCore
  readonly #asks: Asks
  readonly #operator: OperatorHost
  readonly #demo: Demo
  readonly #coordinator: Pick<Coordinator, 'report'>

  constructor(
    options: DispatcherOptions,
    core: DispatcherCore,
    asks: Asks,
    operator: OperatorHost,
    demo: Demo,
    coordinator: Pick<Coordinator, 'report'>,
  ) {
    this.#options = options
    this.#core = core
    this.#asks = asks
    this.#operator = operator
    this.#demo = demo
    this.#coordinator = coordinator
  }

  owners(): WatchedOwner[] {
    const { id, name, address } = this.#options
    return [
      { id, name, role: 'dispatcher', state: 'up', address },
      ...this.#core.dispatchers.all.map(other => watched(other, 'dispatcher')),
      ...this.#core.members.all.map(node => watched(node, 'node')),
    ]
  }

  watch(owner: number, query: WatchQuery): Promise<Watched | undefined> {
    return this.#ask<Watched>(owner, 'watch', query)
  }

  demo(): DemoReport {
    return this.#demo.report
  }

  engineAway(): boolean {
    return this.#coordinator.report().awayMs !== null
  }

  startDemo(): Promise<DemoReport> {
    return this.#demo.start()
  }

  async inspect(id: number): Promise<ConnectionDetail> {
    const at = Date.now()
    const told = await this.#askAll<Inspected>('inspect', id)
    const known = told.find(([, { tcp }]) => tcp !== null)
    const arrived = new Map<string, number>()
    for (const [owner, { arrivals }] of told) {
      for (const [epoch, ms] of arrivals) arrived.set(`${owner} ${epoch}`, ms)
    }
    const log = told.flatMap(([from, { log }]) =>
      log.map(([epoch, ...shift]): LoggedMove => {
        const move = shiftOf(from, shift, at)
        return [...move, arrived.get(`${move[2]} ${epoch}`) ?? null]
      }),
    )
    if (known === undefined && log.length === 0) {
      throw new AdminError('UNKNOWN_CONNECTION', `there is no connection ${id}`)
    }
    const [owner = null, inspected] = known ?? []
    const { client = '', request = '', shifts = log.length, since = 0, tcp = null } = inspected ?? {}
    log.sort((a, b) => a[5] - b[5])
    return { id, client, request, since: since === 0 ? null : since * 1000, owner, shifts, tcp, log }
  }

  async objects(): Promise<ObjectsReport> {
    const byPath = new Map<string, ObjectReport>()
    for (const [owner, hot] of await this.#askAll<HotObject[]>('hottest', null)) {
      for (const { path, octets, hits } of hot) {
        const known = byPath.get(path)
        const holders = [...(known?.holders ?? []), owner]
        byPath.set(path, { path, octets, hits: hits + (known?.hits ?? 0), holders })
      }
    }
    const objects = [...byPath.values()].sort((a, b) => b.hits - a.hits || (a.path < b.path ? -1 : 1))
    return { objects: objects.slice(0, MAX_OBJECTS) }
  }

  async forget({ path }: ForgetRequest): Promise<ForgetReport> {
    const told = await this.#askAll<boolean>('forget', path)
    return { path, nodes: told.filter(([, had]) => had).map(([owner]) => owner) }
  }

  async end({ node: name, how }: EndRequest): Promise<EndReport> {
    const node = this.#core.members.named(name)
    if (node === undefined) throw new AdminError('UNKNOWN_OWNER', `there is no node ${name}`)
    const told = node.up && (await this.#ask<boolean>(node.id, 'end', how))
    if (told !== true) throw new AdminError('OWNER_DOWN', `${node.name} does not answer`)
    return { node: node.id, how }
  }

  /** Of every owner that answers. */
  async #askAll<Told>(what: string, details: unknown): Promise<[number, Told][]> {
    const up = this.owners().filter(({ state }) => state !== 'down')
    const told: [number, Told][] = []
    await Promise.all(
      up.map(async ({ id }) => {
        const one = await this.#ask<Told>(id, what, details)
        if (one !== undefined) told.push([id, one])
      }),
    )
    return told.sort((a, b) => a[0] - b[0])
  }

  async #ask<Told>(owner: number, what: string, details: unknown): Promise<Told | undefined> {
    if (owner !== this.#options.id)
      return (await this.#asks.askPlain(owner, what, details)) as Told | undefined
    const text = await answer(this.#operator, what, details)
    return text === undefined ? undefined : (JSON.parse(text) as Told)
  }
}

function watched({ id, name, address, up, draining }: Member, role: WatchedOwner['role']): WatchedOwner {
  return { id, name, role, state: up ? (draining ? 'draining' : 'up') : 'down', address }
}

function shiftOf(from: number, shift: WatchedShift, at: number): FeedShift {
  const [, connection, to, cause, refusal, ago, ms, preparedMs, committedMs] = shift
  return [connection, from, to, cause, refusal, Math.round(at - ago), ms, preparedMs, committedMs]
}
