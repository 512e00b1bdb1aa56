/** One cell of the matrix: the same client twice, in a run whose connection is shifted and in one where it stays. */
import type { ShiftResult } from '../../../shift/outgoing.ts'
import type { Client } from '../cluster/client.ts'
import { Cluster } from '../cluster/cluster.ts'
import { exchangeOf } from '../cluster/exchange.ts'
import { FAULTS, type Fault, NO_FAULT } from './faults.ts'
import { type Asked, FILES, MATRIX_STATES, type Scene, STREAMING, type State } from './states.ts'
import { ScriptedWire } from './wire.ts'

export interface Target {
  readonly name: string
  /** One way between two owners. */
  readonly linkMs: number
  /** Hops before the one that something goes wrong in, and whether it goes on afterwards. */
  readonly hopsBefore: number
  /** Between two hops; 0: as soon as the one before is done. */
  readonly everyMs: number
  /** Hops go on for so long; 0: the one is the last. */
  readonly forMs: number
  /** The owners in turn, from the one where the connection is: 0 is that one itself. */
  readonly route: readonly number[]
}

export const TARGETS: readonly Target[] = [
  { name: 'another machine', linkMs: 0.2, hopsBefore: 0, everyMs: 0, forMs: 0, route: [1] },
  { name: 'another instance', linkMs: 0.02, hopsBefore: 0, everyMs: 0, forMs: 0, route: [1] },
  { name: 'back to the source', linkMs: 0.2, hopsBefore: 1, everyMs: 0, forMs: 0, route: [1, 0] },
  { name: 'A→B→C→A, 100 a second', linkMs: 0.2, hopsBefore: 2, everyMs: 10, forMs: 200, route: [1, 2, 0] },
]

export interface Cell {
  readonly state: State
  readonly family: 4 | 6
  readonly timestamps: boolean
  readonly mode: 'shift' | 'clone'
  readonly target: Target
  readonly fault: Fault
}

export function nameOf({ state, family, timestamps, mode, target, fault }: Cell): string {
  const kind = `IPv${family}, ${timestamps ? 'with' : 'without'} timestamps, ${mode}`
  return `${state.name}; ${kind}; ${target.name}; ${fault.name}`
}

/** A fault that is possible in a cell: where nothing moves there is nothing to go wrong. */
function isPossible({ state, timestamps, mode, target, fault }: Cell): boolean {
  const atDispatcher = state.atDispatcher === true && target.hopsBefore === 0
  if (state.refused === true && (fault !== NO_FAULT || target.hopsBefore > 0)) return false
  return fault.isPossible({ timestamps, mode, atDispatcher })
}

/** Every cell there is. */
export function allCells(): Cell[] {
  const cells: Cell[] = []
  for (const state of MATRIX_STATES) {
    for (const family of [4, 6] as const) {
      for (const timestamps of [true, false]) {
        for (const mode of ['shift', 'clone'] as const) {
          for (const target of TARGETS) {
            for (const fault of FAULTS) {
              const cell = { state, family, timestamps, mode, target, fault }
              if (isPossible(cell)) cells.push(cell)
            }
          }
        }
      }
    }
  }
  return cells
}

const NODES = 3
const SEED = 1
/** Tables for one connection: those of production take longer to make than most cells. */
const SMALL = { connections: 256, forwards: 256 }
/** Until the client goes on: in the midst of what happens. */
const HOLD_MS = 15
const FIRST: Asked = { path: '/first.bin' }
/** Longer than anything is kept of a shift that failed (`DORMANT_MS`, `COMMIT_GIVE_UP_MS`, `DEAD_AFTER_MS`). */
const SETTLED_MS = 25_000

/** What one run of a cell came to. */
export interface Run {
  readonly sim: Cluster
  readonly client: Client
  readonly expected: string
  /** From the shift, or where it would have been, until the client has everything; Infinity: it never had. */
  readonly doneMs: number
  readonly longestGapMs: number
  /** Of the hop in which something goes wrong; undefined until then. */
  readonly result: () => ShiftResult | undefined
}

function textOf({
  request,
  response,
}: {
  request: Uint8Array
  response: Uint8Array
}): readonly [string, string] {
  return [Buffer.from(request).toString('latin1'), Buffer.from(response).toString('latin1')]
}

/** Plays a cell; without `shifts` it is the control run. */
export function play(cell: Cell, shifts: boolean): Run {
  const { state, family, timestamps, mode, target } = cell
  const wire = new ScriptedWire()
  const { linkMs } = target
  const wan = wire.element
  const sim = new Cluster({
    seed: SEED,
    nodes: NODES,
    mode,
    files: FILES,
    streaming: STREAMING,
    linkMs,
    wan,
    ownerLimits: SMALL,
  })
  const texts = state.asks.map(({ path, ...asked }) => textOf(exchangeOf(sim.files, path, asked)))
  const client = sim.client({ raw: true, family, timestamps })
  let expected = ''
  if (state.atDispatcher !== true) {
    const [request, response] = textOf(exchangeOf(sim.files, FIRST.path))
    expected = response
    client.write(request)
    if (!sim.runUntil(() => client.octets === expected.length, 1_000)) throw new Error('no first response')
    sim.run(50)
  }
  expected += texts.map(([, response]) => response).join('')
  const scene: Scene = { sim, client, wire, requests: texts.map(([request]) => request) }
  reach(state, scene)
  client.longestGapMs = 0
  client.lastOctetAt = sim.now
  const at = sim.now
  let wentOn = false
  sim.world.scheduler.after(HOLD_MS, () => {
    state.goOn?.(scene)
    wentOn = true
  })
  const hops = shifts ? new Hops(cell, scene) : undefined
  let doneMs = Number.POSITIVE_INFINITY
  const isDone = () => {
    if (doneMs === Number.POSITIVE_INFINITY && wentOn && hasAll(state, client, expected))
      doneMs = sim.now - at
    return doneMs < Number.POSITIVE_INFINITY && hops?.isOver !== false
  }
  sim.runUntil(isDone, SETTLED_MS)
  return {
    sim,
    client,
    expected,
    doneMs,
    longestGapMs: client.longestGapMs,
    result: () => hops?.result,
  }
}

function reach(state: State, scene: Scene): void {
  const { sim, client } = scene
  state.begin(scene)
  const isThere = () => {
    const found = sim.ownerOf(client)
    if (found === undefined || (state.atDispatcher !== true && found.owner.isDispatcher)) return false
    return state.isReached(found.connection.peek(), scene, found.connection)
  }
  if (!sim.runUntil(isThere, 10_000)) throw new Error(`the connection is never there: ${state.name}`)
}

function hasAll(state: State, client: Client, expected: string): boolean {
  if (client.transcript.length < expected.length || client.tcb.sendQueue.octets > 0) return false
  return state.ends !== true || client.finished
}

/** The changes of owner of one run. */
class Hops {
  readonly #cell: Cell
  readonly #scene: Scene
  readonly #first: number
  readonly #until: number
  #hop = 0
  isOver = false
  result: ShiftResult | undefined = undefined

  constructor(cell: Cell, scene: Scene) {
    this.#cell = cell
    this.#scene = scene
    this.#first = ownerId(scene)
    this.#until = scene.sim.now + cell.target.forMs
    this.#next()
  }

  #next(): void {
    const { target, fault } = this.#cell
    const { sim, client } = this.#scene
    const hop = this.#hop++
    const to = this.#owner(target.route[hop % target.route.length] as number)
    const from = ownerId(this.#scene)
    const isFaulty = hop === target.hopsBefore
    if (isFaulty) {
      const epoch = (sim.ownerOf(client)?.connection.triedEpoch ?? 0) + 1
      fault.arrange({ sim, client, from, to, epoch })
    }
    const done = (result: ShiftResult) => {
      if (isFaulty) this.result = result
      if (isFaulty && target.forMs === 0) this.isOver = true
    }
    if (from === 0 && hop === 0) sim.handOver(client, to, done)
    else sim.shift(client, to, done)
    if (target.everyMs > 0) sim.world.scheduler.after(target.everyMs, () => this.#tick())
    else if (!isFaulty) this.#follow(to)
  }

  /** The next hop as soon as the target owns the connection. */
  #follow(to: number): void {
    if (ownerId(this.#scene) === to) this.#next()
    else this.#scene.sim.world.scheduler.after(0.05, () => this.#follow(to))
  }

  #tick(): void {
    if (this.#scene.sim.now < this.#until) this.#next()
    else this.isOver = true
  }

  /** From the dispatcher a connection goes round among the nodes. */
  #owner(place: number): number {
    return this.#first === 0 ? 1 + ((place + 2) % NODES) : 1 + ((this.#first - 1 + place) % NODES)
  }
}

function ownerId({ sim, client }: Scene): number {
  return sim.ownerOf(client)?.owner.config.id ?? -1
}
