/**
 * `npm run bench -- wire`: bulk flows over a long wire that loses, from the kernel's CUBIC and from ours, to the same kernel
 * client. All run at the same time, each on a wire of its own, in pairs with the same dice: the n-th transmission of the
 * same octets is lost for both or for none. What the machine does to one it does to all.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { KernelPeer, type KernelReport } from '../kernel/peer.ts'
import { Programs } from '../kernel/program.ts'
import { Lab, LEFT, OWN, OWN_TUN, RIGHT } from '../lab.ts'
import { REPOSITORY } from '../local-cluster.ts'
import { delay } from '../sim/network/delay.ts'
import { fates } from '../sim/network/fates.ts'
import { rate } from '../sim/network/rate.ts'
import { type Treatment, Wire } from './wire.ts'

export interface WireOptions {
  readonly mbit: number
  readonly rtt: number
  /** Percent of packets. */
  readonly loss: number
  readonly seconds: number
  readonly seeds: number
  readonly first: number
  readonly json: boolean
}

/** Our server has one port for all; the wire tells its connections apart by the client's, which the kernel's shares. */
const OWN_PORT = 80
const FIRST_PORT = 2_000
const OWN_CLIENTS = 1_000
const SEND_SEED = 7
const STARTUP_MS = 5_000
/** The queue before the slow link, in products of its speed and the round trip: one is what routers are told to have. */
const QUEUE_PRODUCTS = 1
const ENDLESS_OCTETS = 1e15

interface Pair {
  readonly seed: number
  readonly kernelMbit: number
  readonly ownMbit: number
}

export async function wire(options: WireOptions): Promise<void> {
  const programs = await Programs.compile('peer')
  const lab = await Lab.create()
  try {
    const { left, right } = await lab.openWire()
    const joined = new Wire(left, right, options.first, port => treatment(options, seedOf(port)))
    try {
      const { pairs, counters } = await measure(options, programs, lab)
      report(options, pairs, counters)
    } finally {
      joined.close()
    }
  } finally {
    await lab.remove()
    await programs.remove()
  }
}

/** Pairs of ports of the client: one to the kernel, one to us. */
function seedOf(clientPort: number): number {
  const index = clientPort - FIRST_PORT
  return index % OWN_CLIENTS
}

function treatment({ mbit, rtt, loss, first }: WireOptions, index: number): Treatment {
  const bitsPerSecond = mbit * 1e6
  const queueOctets = Math.max(64_000, (QUEUE_PRODUCTS * bitsPerSecond * rtt) / 8_000)
  return {
    // The client is on the left: it is the acknowledgements that go right.
    leftToRight: [delay(rtt / 2)],
    rightToLeft: [
      rate(bitsPerSecond, queueOctets),
      fates({ seed: first + index, drop: loss / 100 }),
      delay(rtt / 2),
    ],
  }
}

async function measure(options: WireOptions, programs: Programs, lab: Lab) {
  const { seeds, seconds, first } = options
  const source = fork(join(REPOSITORY, 'dist', 'bench', 'wire', 'source-process.js'), [
    JSON.stringify({ namespace: lab.right, tun: OWN_TUN, address: OWN, port: OWN_PORT, seed: SEND_SEED }),
  ])
  const peers: KernelPeer[] = []
  try {
    await once(source, 'message', { signal: AbortSignal.timeout(STARTUP_MS) })
    await lab.routeOwn()
    const timeoutMs = 1000 * seconds + 30_000
    const common = { readSeed: SEND_SEED, timeoutMs }
    const kernelClients: KernelPeer[] = []
    const ownClients: KernelPeer[] = []
    const start = (namespace: string, args: Record<string, number | string>) => {
      const peer = new KernelPeer(programs, namespace, { ...common, ...args })
      peers.push(peer)
      return peer
    }
    for (let index = 0; index < seeds; index++) {
      const port = FIRST_PORT + index
      const server = start(lab.right, {
        role: 'listen',
        local: RIGHT,
        localPort: port,
        send: ENDLESS_OCTETS,
        sendSeed: SEND_SEED,
        readSeed: 0,
      })
      await server.ready
    }
    for (let index = 0; index < seeds; index++) {
      const client = { role: 'connect', local: LEFT, seconds, send: 1, afterEof: 1 }
      const kernelPort = FIRST_PORT + index
      const ownPort = kernelPort + OWN_CLIENTS
      kernelClients.push(
        start(lab.left, { ...client, localPort: kernelPort, remote: RIGHT, port: kernelPort }),
      )
      ownClients.push(start(lab.left, { ...client, localPort: ownPort, remote: OWN, port: OWN_PORT }))
    }
    const fromKernel = await Promise.all(kernelClients.map(({ report: done }) => done))
    const fromOwn = await Promise.all(ownClients.map(({ report: done }) => done))
    source.send('end')
    const [counters] = (await once(source, 'message')) as [Record<string, number>]
    const pairs = fromKernel.map((kernel, index): Pair => {
      const own = fromOwn[index] as KernelReport
      for (const { wrongAt } of [kernel, own]) {
        if (wrongAt >= 0) throw new Error(`SEED=${first + index}: octet ${wrongAt} is wrong`)
      }
      return { seed: first + index, kernelMbit: mbitOf(kernel), ownMbit: mbitOf(own) }
    })
    return { pairs, counters }
  } finally {
    for (const peer of peers) peer.kill()
    source.kill()
  }
}

function mbitOf({ received, elapsedMs }: KernelReport): number {
  return (8 * received) / elapsedMs / 1000
}

function report(options: WireOptions, pairs: readonly Pair[], counters: Record<string, number>): void {
  const sum = (of: (pair: Pair) => number) => pairs.reduce((total, pair) => total + of(pair), 0)
  const kernelMbit = sum(pair => pair.kernelMbit) / pairs.length
  const ownMbit = sum(pair => pair.ownMbit) / pairs.length
  const meanRatio = Math.exp(sum(pair => Math.log(pair.ownMbit / pair.kernelMbit)) / pairs.length)
  if (options.json) {
    const figures = {
      ...options,
      pairs,
      kernelMbit,
      ownMbit,
      ratio: ownMbit / kernelMbit,
      meanRatio,
      counters,
    }
    process.stdout.write(`${JSON.stringify(figures, null, 2)}\n`)
    return
  }
  const { mbit, rtt, loss, seconds } = options
  process.stdout.write(`${mbit} Mbit/s, ${rtt} ms, ${loss} % lost, ${seconds} s; Mbit/s to a kernel client\n`)
  for (const { seed, kernelMbit: kernel, ownMbit: own } of pairs) {
    process.stdout.write(
      `seed ${`${seed}`.padStart(3)}  kernel’s CUBIC ${kernel.toFixed(2).padStart(7)}  ours ${own.toFixed(2).padStart(7)}` +
        `  ${(own / kernel).toFixed(2)} ×\n`,
    )
  }
  process.stdout.write(
    `mean      kernel’s CUBIC ${kernelMbit.toFixed(2).padStart(7)}  ours ${ownMbit.toFixed(2).padStart(7)}` +
      `  ${(ownMbit / kernelMbit).toFixed(2)} × (geometric mean of the ratios ${meanRatio.toFixed(2)})\n` +
      `ours: ${Object.entries(counters)
        .map(([name, value]) => `${name} ${value}`)
        .join(', ')}\n`,
  )
}
