/** What the wires, the processors and the disks did in a window of `npm run bench -- cyclone`. */
import { availableParallelism } from 'node:os'
import { cpuSeconds, machineSeconds } from '../cpu-time.ts'
import { inNamespace, run } from '../process.ts'

export interface Counters {
  /** ms. */
  readonly at: number
  /** Octets that left all nodes' links, as the shaper counted them: with heads of packets, acknowledgements and repetitions. */
  readonly linkOctets: number
  /** Octets that left the dispatcher's machine. */
  readonly dispatcherOctets: number
  /** CPU time of what runs on it, s. */
  readonly dispatcherSeconds: number
  /** CPU time of the whole machine that nobody used, s. */
  readonly idleSeconds: number
  readonly reads: number
}

export interface Watched {
  readonly nodes: readonly { readonly namespace: string; readonly device: string }[]
  readonly dispatcher: { readonly namespace: string; readonly device: string }
  /** On the dispatcher's machine. */
  readonly pids: readonly number[]
  readonly reads: () => Promise<number>
}

export async function readCounters({ nodes, dispatcher, pids, reads }: Watched): Promise<Counters> {
  const at = performance.now()
  const [links, sent, read] = await Promise.all([
    Promise.all(nodes.map(({ namespace, device }) => shapedOctets(namespace, device))),
    sentOctets(dispatcher.namespace, dispatcher.device),
    reads(),
  ])
  return {
    at,
    linkOctets: links.reduce((sum, octets) => sum + octets, 0),
    dispatcherOctets: sent,
    dispatcherSeconds: pids.reduce((sum, pid) => sum + cpuSeconds(pid), 0),
    idleSeconds: machineSeconds().idle,
    reads: read,
  }
}

/** Octets that the shaper of a device let through. */
export async function shapedOctets(namespace: string, device: string): Promise<number> {
  const json = await run(...inNamespace(namespace, 'tc', ['-s', '-j', 'qdisc', 'show', 'dev', device]))
  const [root] = (JSON.parse(json) as { kind: string; bytes: number }[]).filter(({ kind }) => kind === 'tbf')
  if (root === undefined) throw new Error(`${device} of ${namespace} is not limited`)
  return root.bytes
}

async function sentOctets(namespace: string, device: string): Promise<number> {
  const file = `/sys/class/net/${device}/statistics/tx_bytes`
  return Number(await run(...inNamespace(namespace, 'cat', [file])))
}

/** From what the client saw in the window, and the counters at both of its ends. */
export function figuresOf(
  client: { readonly requestsPerSecond: number; readonly octetsPerSecond: number },
  before: Counters,
  after: Counters,
  linkBits: number,
  nodes: number,
): Record<string, number> {
  const seconds = (after.at - before.at) / 1_000
  const available = (nodes * linkBits) / 8
  const requests = client.requestsPerSecond * seconds
  return {
    requests: client.requestsPerSecond,
    goodput: client.octetsPerSecond / 1e6,
    'links used': (100 * (after.linkOctets - before.linkOctets)) / seconds / available,
    'links useful': (100 * client.octetsPerSecond) / available,
    'without a disk': 100 * (1 - (after.reads - before.reads) / requests),
    'dispatcher CPU': (100 * (after.dispatcherSeconds - before.dispatcherSeconds)) / seconds,
    'dispatcher sends': (after.dispatcherOctets - before.dispatcherOctets) / requests,
    'CPU idle': (100 * (after.idleSeconds - before.idleSeconds)) / seconds / availableParallelism(),
  }
}
