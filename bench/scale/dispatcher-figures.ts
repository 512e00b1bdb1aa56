/**
 * What grows at the dispatcher with members, paths and connections, beyond what whole nodes can be simulated for: the
 * members are introduced, and their news are told, as links do it. CPU is this machine's.
 */
import type { Flow } from '../../clone/flow.ts'
import { MAX_DIRECTORY_PATHS } from '../../dispatcher/placement/directory.ts'
import { encodeClusterMessage, MAX_PATHS_PER_MESSAGE } from '../../node/server/messages.ts'
import { encodeOwnerMessage, MAX_OWNED_PER_MESSAGE, type Owned } from '../../node/stack/messages.ts'
import { OWNER_PROTOCOL } from '../../node/stack/owner.ts'
import { heapOctets } from '../soak/heap.ts'
import { introduced, ScaledCluster } from './cluster.ts'

const ROUNDS = 5

export interface PlacementFigures {
  readonly members: number
  /** Median of rounds, µs: of a path that one node holds, and of one that nobody does. */
  readonly heldUs: number
  readonly newUs: number
  /** A new connection whose request is for neither: the least loaded. */
  readonly joinUs: number
}

function withMembers(count: number, seed: number): { readonly sim: ScaledCluster; readonly joinUs: number } {
  const sim = new ScaledCluster({ nodes: 0, clients: 0, files: new Map(), seed })
  let joinUs = 0
  for (let id = 1; id <= count; id++) {
    joinUs = cpuUs(() => sim.dispatcher.nodeUp(introduced(id, `${id}`), false))
  }
  return { sim, joinUs }
}

export function placementFigures(members: number, questions: number, seed: number): PlacementFigures {
  const { sim, joinUs } = withMembers(members, seed)
  const { dispatcher } = sim
  for (let path = 0; path < questions; path++) dispatcher.directory.add(1 + (path % members), `/held/${path}`)
  const rounds = Array.from({ length: ROUNDS }, (_, round) => ({
    held: timePer(questions, index => void dispatcher.place(`/held/${index}`, [])),
    fresh: timePer(questions, index => void dispatcher.place(`/new/${round}/${index}`, [])),
  }))
  return {
    members,
    heldUs: median(rounds.map(({ held }) => held)),
    newUs: median(rounds.map(({ fresh }) => fresh)),
    joinUs,
  }
}

export interface RecordFigures {
  readonly connections: number
  /** What the dispatcher remembers in the end: beyond its bound the oldest are forgotten. */
  readonly records: number
  readonly octetsEach: number
  /** To be told of one, in the mean. */
  readonly toldUs: number
}

/** Connections of a thousand nodes, told as after a restart of the dispatcher. */
export function recordFigures(connections: number, seed: number): RecordFigures {
  const members = 1_000
  const { sim } = withMembers(members, seed)
  const { dispatcher } = sim
  const before = heapOctets()
  let us = 0
  for (let first = 0; first < connections; first += MAX_OWNED_PER_MESSAGE) {
    const count = Math.min(MAX_OWNED_PER_MESSAGE, connections - first)
    const news = Array.from({ length: count }, (_, index) => ownedOf(first + index))
    const { received } = sim.traffic.carry([
      OWNER_PROTOCOL,
      ...encodeOwnerMessage({ type: 'OWNED', connections: news }),
    ])
    const by = 1 + ((first / MAX_OWNED_PER_MESSAGE) % members)
    us += cpuUs(() => dispatcher.receiveMessage(by, received, sim.now))
  }
  const records = dispatcher.owner.forwards.size
  const octetsEach = (heapOctets() - before) / records
  return { connections, records, octetsEach, toldUs: us / connections }
}

export interface DirectoryFigures {
  readonly paths: number
  readonly octetsEach: number
  readonly toldUs: number
  /** All that one of a thousand nodes holds is forgotten, ms. */
  readonly forgetMs: number
}

export function directoryFigures(paths: number, seed: number): DirectoryFigures {
  const members = 1_000
  const { sim } = withMembers(members, seed)
  const { dispatcher } = sim
  const before = heapOctets()
  let us = 0
  for (let first = 0, turn = 0; first < paths; first += MAX_PATHS_PER_MESSAGE, turn++) {
    const count = Math.min(MAX_PATHS_PER_MESSAGE, paths - first)
    const told = Array.from({ length: count }, (_, index) => `/files/of/a/site/${first + index}.html`)
    const message = encodeClusterMessage({ type: 'HAVE', reset: false, paths: told })
    const { received } = sim.traffic.carry(message)
    us += cpuUs(() => dispatcher.receiveMessage(1 + (turn % members), received, sim.now))
  }
  const { size } = dispatcher.directory
  if (size !== Math.min(paths, MAX_DIRECTORY_PATHS)) throw new Error(`the directory has ${size} paths`)
  const octetsEach = (heapOctets() - before) / size
  const forgetMs = cpuUs(() => dispatcher.directory.forget(1)) / 1_000
  return { paths, octetsEach, toldUs: us / paths, forgetMs }
}

function ownedOf(index: number): Owned {
  const flow: Flow = {
    family: 4,
    remote0: 0,
    remote1: 0,
    remote2: 0xffff,
    remote3: 0x0b000000 + Math.floor(index / 60_000),
    remotePort: 1_024 + (index % 60_000),
    localPort: 80,
  }
  return { connection: 2 ** 32 + index, epoch: 1, flow, timestamps: true, request: `GET /${index % 997}` }
}

/** µs of CPU a call. */
function timePer(count: number, work: (index: number) => void): number {
  const us = cpuUs(() => {
    for (let index = 0; index < count; index++) work(index)
  })
  return us / count
}

/** Of this process, so that whoever else is busy does not count. */
function cpuUs(work: () => void): number {
  const from = process.cpuUsage()
  work()
  const { user, system } = process.cpuUsage(from)
  return user + system
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] as number
}
