/**
 * The policies of placement beside each other: the same trace over a simulated cluster in virtual time, whose nodes have
 * together half the memory that the files would take. What is measured is what placement decides: whether a request finds
 * its file in memory, how evenly the nodes are loaded, how often connections move. Processors take no time there, so
 * that requests a second are those that disks, wires and round trips allow.
 */
import { OBJECT_OVERHEAD_OCTETS } from '../cache/cached-object.ts'
import { DEFAULT_PLACEMENT } from '../dispatcher/placement/placement.ts'
import { POLICIES, type PolicyName } from '../dispatcher/placement/policy.ts'
import type { Client, Exchange } from './sim/cluster/client.ts'
import { Cluster } from './sim/cluster/cluster.ts'
import { exchangeOf } from './sim/cluster/exchange.ts'
import { delay } from './sim/network/delay.ts'
import { chain } from './sim/network/element.ts'
import { Random } from './sim/network/random.ts'
import { rate } from './sim/network/rate.ts'
import { createTrace, type Trace } from './trace/trace.ts'

const NODES = 4
/** Of the files' octets, by each node: together half of them. */
const CACHE_SHARE = 1 / (2 * NODES)
/** One file after the other, as of a disk that seeks. */
const READ_MS = 4
/** Fast Ethernet, as Cyclone's nodes had it. */
const LINK_BITS = 100e6
const QUEUE_OCTETS = 1_000_000
/** Connections at a time, each opened anew when it has ended. */
const BROWSERS = 64
/** Requests of one connection, in the mean: a page and what belongs to it. */
const REQUESTS_PER_CONNECTION = 6
/** The part of the trace that only fills the caches. */
const WARM_SHARE = 0.25
const STEP_MS = 0.5
const LIMIT_MS = 600_000

interface Workload {
  readonly name: string
  readonly alpha: number
}

export const WORKLOADS: readonly Workload[] = [
  { name: 'Zipf 0.8', alpha: 0.8 },
  { name: 'Zipf 1.2', alpha: 1.2 },
]

export interface PolicyResult {
  readonly policy: PolicyName
  /** Requests that found their file in memory. */
  readonly hits: number
  /** Requests of the busiest node by those of the mean one. */
  readonly imbalance: number
  /** Connections moved between nodes. */
  readonly shiftsPerRequest: number
  readonly requestsPerSecond: number
}

export function traceOf(alpha: number, requests: number, seed: number): Trace {
  return createTrace({
    ...{ seed, objects: 800, requests, alpha, medianOctets: 4_096, sigma: 1, maxOctets: 65_536 },
    ...{ scanEvery: 0, scanObjects: 0, shiftEvery: 0 },
  })
}

/** The trace from its beginning to its end under one policy. Throws where a client got anything but what it asked for. */
export function replayPlacement(policy: PolicyName, trace: Trace, seed: number): PolicyResult {
  const files = Object.fromEntries(Array.from(trace.sizes, (size, object) => [`/${object}`, size]))
  const octets = trace.sizes.reduce((sum, size) => sum + size + OBJECT_OVERHEAD_OCTETS, 0)
  const sim = new Cluster({
    ...{ seed, nodes: NODES, files, placement: { ...DEFAULT_PLACEMENT, policy } },
    disk: { cacheOctets: Math.floor(octets * CACHE_SHARE), readMs: READ_MS },
    lan: () => chain([rate(LINK_BITS, QUEUE_OCTETS), delay(0.05)]),
  })
  const browsers = new Browsers(sim, trace, new Random(seed))
  browsers.runTo(Math.floor(WARM_SHARE * trace.requests.length))
  const before = countsOf(sim)
  browsers.runTo(trace.requests.length)
  return resultOf(policy, before, countsOf(sim))
}

class Browsers {
  readonly #sim: Cluster
  readonly #trace: Trace
  readonly #random: Random
  readonly #open: (Client | undefined)[] = new Array(BROWSERS).fill(undefined)
  readonly #exchanges = new Map<number, Exchange>()
  #next = 0

  constructor(sim: Cluster, trace: Trace, random: Random) {
    this.#sim = sim
    this.#trace = trace
    this.#random = random
  }

  /** Until the trace has been asked for so far, and answered. */
  runTo(end: number): void {
    const until = this.#sim.now + LIMIT_MS
    for (let waiting = true; waiting; this.#sim.run(STEP_MS)) {
      waiting = this.#next < end
      for (const [slot, client] of this.#open.entries()) {
        if (client?.failure !== undefined) throw new Error(`a client failed: ${client.failure}`)
        if (client !== undefined && !client.done) waiting = true
        else this.#open[slot] = this.#next < end ? this.#browse(end) : undefined
      }
      if (this.#sim.now > until) throw new Error('the trace does not come to its end')
    }
  }

  #browse(end: number): Client {
    const count = 1 + Math.floor(this.#random.exponential(REQUESTS_PER_CONNECTION - 0.5))
    const objects = this.#trace.requests.subarray(this.#next, Math.min(end, this.#next + count))
    this.#next += objects.length
    return this.#sim.client({ exchanges: Array.from(objects, object => this.#exchangeOf(object)) })
  }

  #exchangeOf(object: number): Exchange {
    let exchange = this.#exchanges.get(object)
    if (exchange === undefined) {
      exchange = exchangeOf(this.#sim.files, `/${object}`)
      this.#exchanges.set(object, exchange)
    }
    return exchange
  }
}

interface Counts {
  readonly at: number
  /** By node. */
  readonly requests: readonly number[]
  readonly reads: number
  readonly shifted: number
}

function countsOf(sim: Cluster): Counts {
  const ids = Array.from({ length: NODES }, (_, index) => index + 1)
  const sum = (of: (id: number) => number) => ids.reduce((all, id) => all + of(id), 0)
  return {
    at: sim.now,
    requests: ids.map(id => sim.node(id).site.requests),
    reads: sum(id => sim.resources.get(id)?.fileReads ?? 0),
    shifted: sum(id => sim.node(id).owner.counters.shifted),
  }
}

function resultOf(policy: PolicyName, before: Counts, after: Counts): PolicyResult {
  const byNode = after.requests.map((count, index) => count - (before.requests[index] as number))
  const requests = byNode.reduce((a, b) => a + b, 0)
  return {
    policy,
    hits: 1 - (after.reads - before.reads) / requests,
    imbalance: (Math.max(...byNode) * NODES) / requests,
    shiftsPerRequest: (after.shifted - before.shifted) / requests,
    requestsPerSecond: (requests * 1_000) / (after.at - before.at),
  }
}

export interface PlacementBenchOptions {
  readonly requests: number
  readonly seed: number
  readonly only: string
  readonly json: boolean
}

export function placementBench({ requests, seed, only, json }: PlacementBenchOptions): void {
  if (!json) {
    process.stdout.write('| trace | policy | hits, % | imbalance | shifts a request | requests a second |\n')
    process.stdout.write('|---|---|---|---|---|---|\n')
  }
  for (const { name, alpha } of WORKLOADS.filter(workload => workload.name.includes(only))) {
    const trace = traceOf(alpha, requests, seed)
    for (const policy of POLICIES) {
      const result = replayPlacement(policy, trace, seed)
      process.stdout.write(json ? `${JSON.stringify({ trace: name, ...result })}\n` : rowOf(name, result))
    }
  }
}

function rowOf(trace: string, result: PolicyResult): string {
  const { policy, hits, imbalance, shiftsPerRequest, requestsPerSecond } = result
  const cells = [
    ...[trace, policy, (100 * hits).toFixed(1), imbalance.toFixed(2)],
    ...[shiftsPerRequest.toFixed(3), `${Math.round(requestsPerSecond)}`],
  ]
  return `| ${cells.join(' | ')} |\n`
}
