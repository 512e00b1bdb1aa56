/** What is measured of a cluster as it grows: figures of virtual time and counts, the same on every machine, unless they say CPU. */
import { OBJECT_OVERHEAD_OCTETS } from '../../cache/cached-object.ts'
import { ScaledCluster, type ShiftCosts } from './cluster.ts'
import { type Sums, totalOf } from './traffic.ts'

/** Of an idle connection: `bench -- shift`, as it stands in bench/README.md. */
export const COSTS: ShiftCosts = { sourceMs: 0.263, targetMs: 1.063 }
/** Told whatever happens, four times a second by each node. */
const UNASKED = ['LOAD']
const FILE_OCTETS = 1_024
const FILES_PER_NODE = 20
/** Of a node: half of what its share of the files takes, so that it is always giving something up. */
const CACHE_OCTETS = (FILES_PER_NODE / 2) * (FILE_OCTETS + OBJECT_OVERHEAD_OCTETS)
const READ_MS = 4
/** Connections that are opened in a millisecond. */
const OPENED_PER_MS = 2
/** The same, of a rack: before the first of them has been idle for too long. */
const RACK_OPENED_PER_MS = 10
const STEADY_MS = 2_000
const SAMPLE_MS = 20

export interface ClusterFigures {
  readonly nodes: number
  readonly connections: number
  /** Octets that the dispatcher sent, and CPU ms that it took, for all nodes to join. */
  readonly joinOctets: number
  readonly joinMs: number
  /** At rest, to and from the dispatcher. */
  readonly restMessagesPerSecond: number
  /** Share of a core that the dispatcher takes for that. */
  readonly restCpu: number
  readonly shifts: number
  readonly messagesPerShift: number
  readonly octetsPerShift: number
  /** From the decision to the client's echo, virtual ms, in the mean. */
  readonly shiftMs: number
  /** Of what the directory says, at an instant while connections come, what is not so, and of what is held what it does not know. */
  readonly staleShare: number
  readonly unknownShare: number
  /** Links between nodes that were of use, and those of a full mesh. */
  readonly pairsUsed: number
  readonly pairs: number
}

export async function clusterFigures(
  nodes: number,
  connections: number,
  seed: number,
): Promise<ClusterFigures> {
  const files = new Map(
    Array.from({ length: FILES_PER_NODE * nodes }, (_, index) => [`/${index}`, new Uint8Array(FILE_OCTETS)]),
  )
  const disk = { cacheOctets: CACHE_OCTETS, readMs: READ_MS }
  const sim = new ScaledCluster({ nodes, clients: connections, files, disk, seed })
  sim.join()
  const joined = totalOf(sim.traffic.take(), UNASKED)
  const joinMs = sim.dispatcherMs
  const { stale, unknown } = opened(sim, connections, files.size)
  sim.run(4_000)
  sim.traffic.take()
  sim.dispatcherMs = 0
  sim.run(STEADY_MS)
  const rest = totalOf(sim.traffic.take())
  const restCpu = sim.dispatcherMs / STEADY_MS
  const moved = shifted(sim)
  sim.close()
  return {
    nodes,
    connections,
    joinOctets: joined.octets,
    joinMs,
    restMessagesPerSecond: (rest.messages * 1_000) / STEADY_MS,
    restCpu,
    ...moved,
    staleShare: stale,
    unknownShare: unknown,
    pairsUsed: sim.pairs.size,
    pairs: (nodes * (nodes - 1)) / 2,
  }
}

/** Connections come, each for a file; meanwhile the directory is compared with what the nodes hold. */
function opened(sim: ScaledCluster, connections: number, files: number): { stale: number; unknown: number } {
  const { random } = sim.world
  const wrong = { stale: 0, told: 0, unknown: 0, held: 0 }
  let sampleAt = sim.now
  for (let client = 0; client < connections; client++) {
    // Twice by chance and the smaller: some files are asked for more often than others.
    sim.browse(client, `/${Math.min(random.int(files), random.int(files))}`)
    if (client % OPENED_PER_MS === OPENED_PER_MS - 1) sim.run(1)
    if (sim.now < sampleAt) continue
    sampleAt = sim.now + SAMPLE_MS
    compare(sim, files, wrong)
  }
  return { stale: wrong.stale / wrong.told, unknown: wrong.unknown / wrong.held }
}

function compare(
  sim: ScaledCluster,
  files: number,
  wrong: { stale: number; told: number; unknown: number; held: number },
): void {
  const { directory } = sim.dispatcher
  for (let file = 0; file < files; file++) {
    const path = `/${file}`
    for (const id of directory.holders(path)) {
      // What was expected a moment ago is being read.
      if (directory.isExpected(id, path)) continue
      wrong.told++
      if (sim.stores[id]?.peek(path) === undefined) wrong.stale++
    }
  }
  for (let id = 1; id <= sim.nodeCount; id++) {
    for (const { path } of sim.stores[id]?.all() ?? []) {
      wrong.held++
      if (!directory.holders(path).includes(id)) wrong.unknown++
    }
  }
}

interface Moved {
  readonly shifts: number
  readonly messagesPerShift: number
  readonly octetsPerShift: number
  readonly shiftMs: number
}

/** Idle connections move, one a node at a time. */
function shifted(sim: ScaledCluster): Moved {
  sim.traffic.take()
  let ms = 0
  let ok = 0
  let begun = 0
  for (let round = 0; round < 10; round++) {
    for (let id = 1; id <= sim.nodeCount; id++) {
      begun += sim.shift(id, 1, result => {
        if (!result.ok) return
        ok++
        ms += result.ms
      })
    }
    sim.run(500)
  }
  if (ok !== begun) throw new Error(`${begun - ok} of ${begun} shifts were refused`)
  const sums: Sums = sim.traffic.take()
  const { messages, octets } = totalOf(sums, UNASKED)
  return { shifts: ok, messagesPerShift: messages / ok, octetsPerShift: octets / ok, shiftMs: ms / ok }
}

export interface RackFigures {
  readonly nodes: number
  readonly rack: number
  readonly connectionsPerNode: number
  /** Virtual, with the modelled costs of processors. */
  readonly drainMs: number
  readonly shifted: number
  readonly left: number
}

/** Some nodes with all the connections that there are are drained at once into the others. */
export async function rackFigures(
  nodes: number,
  rack: number,
  connectionsPerNode: number,
  seed: number,
): Promise<RackFigures> {
  const connections = rack * connectionsPerNode
  const files = new Map([['/0', new Uint8Array(FILE_OCTETS)]])
  const sim = new ScaledCluster({ nodes, clients: connections, files, costs: COSTS, seed })
  sim.dispatcher.placement.policy = 'least-loaded'
  sim.join(1, rack)
  for (let client = 0; client < connections; client++) {
    sim.browse(client, '/0')
    if (client % RACK_OPENED_PER_MS === 0) sim.run(1)
  }
  sim.run(10_000)
  sim.join(rack + 1, nodes)
  const ids = Array.from({ length: rack }, (_, index) => index + 1)
  const owned = ids.reduce((sum, id) => sum + sim.owned(id), 0)
  if (owned !== connections) throw new Error(`the rack owns ${owned} of ${connections} connections`)
  for (const id of ids) sim.drains.start(id, 600_000)
  const reports = () => ids.map(id => sim.drains.report(id))
  const done = () => reports().every(report => report?.state === 'drained')
  if (!(await sim.runUntil(done, 600_000))) throw new Error('the rack is not drained')
  sim.close()
  const ended = reports()
  return {
    nodes,
    rack,
    connectionsPerNode,
    drainMs: Math.max(...ended.map(report => report?.elapsedMs ?? 0)),
    shifted: ended.reduce((sum, report) => sum + (report?.shifted ?? 0), 0),
    left: ended.reduce((sum, report) => sum + (report?.left ?? 0), 0),
  }
}
