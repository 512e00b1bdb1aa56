/** A cluster of several of everything under load, and what befalls it; then the check that nothing is lost, stuck or left. */
import { setTimeout as sleep } from 'node:timers/promises'
import { AdminClient } from '../../dispatcher/admin/client.ts'
import type { ClusterState } from '../local-cluster.ts'
import { ACTS, LINK_RATE, type Scene } from './acts.ts'
import { type ClientsReport, type Failure, startLoad } from './load.ts'
import { type Kind, plan, type Step } from './plan.ts'
import { type Event, explain } from './verdict.ts'
import { type Left, type Memory, NOTHING_LEFT, Watch } from './watch.ts'

/** For what takes as long as it takes. */
const LIMIT_MS = 60_000
/** Caches and code are warm by then. */
const WARM_MS = 2_000

export interface ChaosOptions {
  readonly seed: number
  /** Divides the times of the plan. */
  readonly haste: number
  /** Whether there is to be another step after so many, and so many ms. */
  readonly goesOn: (steps: number, ms: number) => boolean
  readonly load: { readonly slow: number; readonly fast: number; readonly kept: number }
  /** What is waited for to be nothing at the end, at most for so long. */
  readonly empty: readonly (keyof Left)[]
  readonly emptyMs: number
  /** After which the clients are ended, whatever they do. */
  readonly limitMs: number
  readonly say: (what: string) => void
}

export interface ChaosReport {
  readonly clients: ClientsReport
  readonly events: readonly Event[]
  readonly explained: ReadonlyMap<Failure, Event>
  readonly unexplained: readonly Failure[]
  /** What was there at most, right after an event: nothing that is left can be overlooked. */
  readonly most: Left
  readonly left: Left
  /** Of the processes that were there from the beginning to the end, by how much the one that grew most did, in octets. */
  readonly grown: number
  readonly recovered: number
  readonly shifted: number
}

/** Of the cluster, beside its name and addresses. */
export const SHAPE = {
  nodes: 3,
  more: ['--dispatchers', '2', '--gateways', '2', '--link-rate', LINK_RATE],
}

/** Plays it on a cluster of that shape, which serves the files of `list`. */
export async function chaos(options: ChaosOptions, state: ClusterState, list: string): Promise<ChaosReport> {
  const watch = new Watch(state)
  const admin = () => new AdminClient(state.admin, state.token)
  const scene: Scene = { state, nodes: namesOf(state, 'node'), admins: [admin(), admin()] }
  try {
    await watch.whole(LIMIT_MS)
    const load = await startLoad(state, { list, seed: options.seed, ...options.load }, options.limitMs)
    await sleep(WARM_MS)
    const before = await watch.memory()
    const { events, most } = await steps(options, scene, watch).finally(() => load.end())
    const clients = await load.report
    const left = await watch.empty(options.empty, options.emptyMs)
    const { crashes, counters } = await watch.status()
    const grown = grownOf(before, await watch.memory())
    const [recovered, shifted] = [crashes.recovered, counters.shifted]
    return { ...judged(clients, events), most, left, grown, recovered, shifted }
  } finally {
    await Promise.all([watch.close(), ...scene.admins.map(client => client.close())])
  }
}

async function steps(
  { seed, haste, goesOn, say }: ChaosOptions,
  scene: Scene,
  watch: Watch,
): Promise<{ readonly events: readonly Event[]; readonly most: Left }> {
  const events: Event[] = []
  let most = NOTHING_LEFT
  const cast = {
    nodes: scene.nodes,
    dispatchers: namesOf(scene.state, 'dispatcher'),
    gateways: namesOf(scene.state, 'gateway'),
  }
  const began = performance.now()
  for (const step of plan(seed, cast, haste)) {
    if (!goesOn(events.length, performance.now() - began)) break
    say(lineOf(step))
    const at = Date.now()
    await ACTS[step.kind](scene, step)
    await watch.whole(LIMIT_MS)
    most = mostOf(most, await watch.left())
    events.push({ kind: step.kind, victim: step.victim, began: at, ended: Date.now() })
    await sleep(step.restMs)
  }
  return { events, most }
}

function namesOf({ roles }: ClusterState, role: string): string[] {
  return roles.filter(one => one.role === role).map(({ name }) => name)
}

function mostOf(one: Left, other: Left): Left {
  const all = Object.entries(one).map(([kind, count]) => [kind, Math.max(count, other[kind as keyof Left])])
  return Object.fromEntries(all) as unknown as Left
}

function lineOf({ kind, victim, other, ms }: Step): string {
  return [kind, victim, other, `${ms} ms`].filter(Boolean).join(' ')
}

function judged(clients: ClientsReport, events: readonly Event[]) {
  const explained = new Map<Failure, Event>()
  const unexplained: Failure[] = []
  for (const failure of clients.failures) {
    const event = explain(failure, events)
    if (event === undefined) unexplained.push(failure)
    else explained.set(failure, event)
  }
  return { clients, events, explained, unexplained }
}

function grownOf(before: Memory, after: Memory): number {
  const grown = [...before].map(([pid, { octets }]) => (after.get(pid)?.octets ?? 0) - octets)
  return Math.max(0, ...grown)
}

/** Of each kind: what came of all events of it. */
export function byKind({ events, explained, clients }: ChaosReport, kind: Kind) {
  const own = events.filter(event => event.kind === kind)
  const waits = clients.waits.filter(({ began, ms }) =>
    own.some(event => began < event.ended && began + ms > event.began),
  )
  const longestWaitMs = (of: Failure['kind']) =>
    Math.max(0, ...waits.filter(wait => wait.kind === of).map(({ ms }) => ms))
  return {
    times: own.length,
    failed: [...explained.values()].filter(event => event.kind === kind).length,
    downloadWaitMs: longestWaitMs('download'),
    keptWaitMs: longestWaitMs('kept'),
  }
}
