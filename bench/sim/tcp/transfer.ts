/**
 * One long download over a path of given loss, round-trip time, rate and reordering, in virtual time: how fast it goes
 * once it has settled. Everything follows from one seed.
 */
import type { TcpConfig } from '../../../node/tcp/config.ts'
import { ESTABLISHED } from '../../../node/tcp/events.ts'
import { sendContent } from '../../../node/tcp/user.ts'
import { delay, reorder } from '../network/delay.ts'
import { chain, createWorld, type Element, type World } from '../network/element.ts'
import { drop, dropOneIn } from '../network/loss.ts'
import { rate } from '../network/rate.ts'
import { segment } from '../network/segment.ts'
import { ENDLESS } from './endless.ts'
import { clientFlow, Endpoint, reader } from './endpoint.ts'

/** Octets of payload in a full packet, and of that packet on the wire. */
export const PAYLOAD_OCTETS = 1_448
export const PACKET_OCTETS = 1_500

export interface PathOptions {
  /** Of each data packet, behind the bottleneck; acknowledgements are not lost, as in the formulas. */
  readonly loss: number
  readonly rttMs: number
  readonly bitsPerSecond: number
  readonly queueOctets: number
  /** Each data packet with probability `p` is held for this part of the round-trip time. */
  readonly reordering: { readonly p: number; readonly ofRtt: number }
}

export interface TransferOptions extends PathOptions {
  readonly seed: number
  readonly tcp?: Partial<TcpConfig>
  readonly client?: Partial<TcpConfig>
  /** Changes of owner a second. */
  readonly shiftsPerSecond: number
  /** Counted are these packets, after `warmupPackets` and `warmupMs`; each part must be done in `limitMs`. */
  readonly warmupPackets: number
  readonly warmupMs: number
  readonly packets: number
  readonly limitMs: number
}

/** Everything of the measured part alone. */
export interface TransferResult {
  readonly bitsPerSecond: number
  readonly segments: number
  readonly retransmitted: number
  readonly timeouts: number
  readonly moves: number
}

/** Rare losses are spread, or the number of them in an affordable run would decide more than what they do. */
const RARE_LOSS = 0.005

function lossOf(p: number): Element {
  return p < RARE_LOSS ? dropOneIn(Math.round(1 / p)) : drop(p)
}

/** The data's way. */
export function dataPath(options: PathOptions): Element {
  const { reordering, rttMs } = options
  const elements: Element[] = [segment(PACKET_OCTETS), rate(options.bitsPerSecond, options.queueOctets)]
  if (options.loss > 0) elements.push(lossOf(options.loss))
  elements.push(delay(rttMs / 2))
  if (reordering.p > 0) elements.push(reorder(reordering.p, reordering.ofRtt * rttMs))
  return chain(elements)
}

/** A server that sends without end to a client that reads all; both are connected when the first packet arrives. */
export function download(
  world: World,
  data: Element,
  acknowledgements: Element,
  options: {
    readonly tcp?: Partial<TcpConfig>
    readonly client?: Partial<TcpConfig>
    readonly port?: number
  },
): { server: Endpoint; client: Endpoint } {
  const server: Endpoint = new Endpoint(
    world,
    data.attach(world, packet => client.receive(packet)),
    (end, events) => {
      if ((events & ESTABLISHED) !== 0 && end.tcb !== undefined)
        sendContent(end.tcb, ENDLESS, 0, ENDLESS.length)
    },
    { ownerId: 1, ...options.tcp },
  )
  const client: Endpoint = new Endpoint(
    world,
    acknowledgements.attach(world, packet => server.receive(packet)),
    reader,
    { ownerIdBits: 0, ...options.client },
  )
  client.connect(clientFlow(options.port ?? 40_000))
  return { server, client }
}

export function transfer(options: TransferOptions): TransferResult {
  const world = createWorld(options.seed)
  const { server, client } = download(world, dataPath(options), delay(options.rttMs / 2), options)
  const { scheduler } = world
  if (options.shiftsPerSecond > 0) {
    const everyMs = 1_000 / options.shiftsPerSecond
    const move = () => {
      server.move(1 + (server.moves % 3), 0.2, 0.2, ENDLESS)
      scheduler.after(everyMs, move)
    }
    scheduler.after(everyMs, move)
  }
  const { counters } = server.config
  const warmupOctets = options.warmupPackets * PAYLOAD_OCTETS
  const isWarm = () => client.received >= warmupOctets && scheduler.now >= options.warmupMs
  scheduler.runUntil(isWarm, options.limitMs)
  const before = { ...counters, octets: client.received, ms: scheduler.now, moves: server.moves }
  const end = before.octets + options.packets * PAYLOAD_OCTETS
  if (!scheduler.runUntil(() => client.received >= end, before.ms + options.limitMs))
    throw new Error(`SEED=${options.seed}: ${client.received} octets of ${end} in ${scheduler.now} ms`)
  const octets = client.received - before.octets
  return {
    bitsPerSecond: (octets * 8_000) / (scheduler.now - before.ms),
    segments: octets / PAYLOAD_OCTETS,
    retransmitted: counters.RetransSegs - before.RetransSegs,
    timeouts: counters.TCPTimeouts - before.TCPTimeouts,
    moves: server.moves - before.moves,
  }
}
