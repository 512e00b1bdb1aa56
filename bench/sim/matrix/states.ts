/**
 * The states that a connection can be shifted in. Each brings a connection there, says by its TCB that it is there, and
 * has the client go on afterwards; all of them begin behind a first response, on a node, unless they say otherwise.
 */
import type { Connection } from '../../../node/stack/connection.ts'
import type { Tcb } from '../../../node/tcp/tcb.ts'
import type { Client } from '../cluster/client.ts'
import type { Cluster } from '../cluster/cluster.ts'
import type { ScriptedWire } from './wire.ts'

export const FILES = {
  '/first.bin': 3_000,
  '/small.bin': 2_000,
  '/large.bin': 300_000,
  /** Read by nobody before. */
  '/cold.bin': 40_000,
  '/streamed.bin': 600_000,
}
export const STREAMING = { aboveOctets: 500_000, blocks: 16, readMs: 20 }

/** A request of the client: a path, and the octets of its body or field lines. */
export interface Asked {
  readonly path: keyof typeof FILES
  readonly fields?: string
  readonly body?: string
}

export interface Scene {
  readonly sim: Cluster
  readonly client: Client
  readonly wire: ScriptedWire
  /** Each request's octets, in the order of `State.asks`. */
  readonly requests: readonly string[]
}

export interface State {
  readonly name: string
  /** Before there was a first response. */
  readonly atDispatcher?: boolean
  /** Every request of the client, the first one of all aside. */
  readonly asks: readonly Asked[]
  begin(scene: Scene): void
  isReached(tcb: Tcb, scene: Scene, connection: Connection): boolean
  /** A little after the shift; nothing where the client just waits. */
  goOn?(scene: Scene): void
  /** The node does not let it go. */
  readonly refused?: boolean
  /** The end of the server's octets is part of what the client waits for. */
  readonly ends?: boolean
}

const LARGE: Asked = { path: '/large.bin' }
const SMALL: Asked = { path: '/small.bin' }
const COLD: Asked = { path: '/cold.bin' }
const CLOSING: Asked = { path: '/small.bin', fields: 'Connection: close\r\n' }
const BODY = 'upload! '.repeat(8_000)
const UPLOAD: Asked = { path: '/small.bin', fields: `Content-Length: ${BODY.length}\r\n`, body: BODY }
const COLD_UPLOAD: Asked = { ...UPLOAD, path: '/cold.bin' }

function writeAll({ client, requests }: Scene): void {
  client.write(requests.join(''))
}

function writeSecond({ client, requests }: Scene): void {
  client.write(requests[1] as string)
}

function isQuiet(tcb: Tcb): boolean {
  return tcb.state === 'ESTABLISHED' && tcb.sendQueue.octets === 0 && tcb.receiveQueue.octets === 0
}

const HALF = 20

function writeHalf({ client, requests }: Scene): void {
  client.write((requests[0] as string).slice(0, HALF))
}

function writeOtherHalf({ client, requests }: Scene): void {
  client.write((requests[0] as string).slice(HALF))
}

const AT_THE_DISPATCHER: readonly State[] = [
  {
    name: 'SYN just accepted',
    atDispatcher: true,
    asks: [LARGE],
    begin: () => {},
    isReached: ({ state }) => state === 'SYN-RECEIVED',
    goOn: writeAll,
  },
  {
    name: 'accepted, request half received',
    atDispatcher: true,
    asks: [LARGE],
    begin: writeHalf,
    isReached: ({ state, receiveQueue }) => state === 'ESTABLISHED' && receiveQueue.octets === HALF,
    goOn: writeOtherHalf,
  },
]

const REQUESTS: readonly State[] = [
  {
    name: 'idle keep-alive',
    asks: [SMALL],
    begin: () => {},
    isReached: isQuiet,
    goOn: writeAll,
  },
  {
    name: 'idle and put away',
    asks: [SMALL],
    begin: ({ sim }) => sim.run(4_000),
    isReached: (_tcb, _scene, connection) => connection.isPutAway,
    goOn: writeAll,
  },
  {
    name: 'request half received',
    asks: [LARGE],
    begin: writeHalf,
    isReached: ({ receiveQueue }) => receiveQueue.octets === HALF,
    goOn: writeOtherHalf,
  },
  {
    name: 'request complete',
    asks: [COLD, SMALL],
    begin: scene => scene.client.write(scene.requests[0] as string),
    isReached: ({ receiveQueue, sendQueue }, { requests }) =>
      receiveQueue.octets === (requests[0] as string).length && sendQueue.octets === 0,
    goOn: writeSecond,
  },
  {
    name: 'pipelined requests',
    asks: [LARGE, SMALL, LARGE, COLD, SMALL],
    begin: writeAll,
    isReached: ({ sendQueue, receiveQueue }) =>
      sendQueue.tail - sendQueue.head >= 6 && receiveQueue.octets > 0,
  },
]

const RESPONSES: readonly State[] = [
  {
    name: 'head sent, body still on disk',
    asks: [{ path: '/streamed.bin' }],
    begin: writeAll,
    isReached: ({ snd, sendQueue }) => snd.starved && sendQueue.octets >= FILES['/streamed.bin'],
  },
  {
    name: 'mid-response, octets in flight',
    asks: [LARGE, SMALL],
    begin: writeAll,
    isReached: ({ sent, sendQueue, recovery }, { client }) =>
      recovery.phase === 'OPEN' &&
      sent.inFlight > 10_000 &&
      sendQueue.octets > 100_000 &&
      client.octets > 50_000,
  },
  {
    name: 'window closed',
    asks: [LARGE],
    begin: scene => {
      scene.client.reading = false
      writeAll(scene)
    },
    isReached: ({ snd, sent, timers, sendQueue }) =>
      snd.wnd === 0 && sent.inFlight === 0 && sendQueue.octets > 0 && timers.persist !== Infinity,
    goOn: ({ client }) => client.read(),
  },
  {
    name: 'loss recovery with a SACK scoreboard',
    asks: [LARGE],
    begin: scene => {
      scene.wire.loseData('to-client', [30, 32, 33, 36])
      writeAll(scene)
    },
    isReached: ({ recovery, sent }) => recovery.phase === 'RECOVERY' && sent.sacked > 0,
  },
]

const UPLOADS: readonly State[] = [
  {
    name: 'out-of-order octets held',
    asks: [UPLOAD, SMALL],
    begin: scene => {
      scene.wire.loseData('from-client', [5, 7])
      writeAll(scene)
    },
    isReached: ({ outOfOrder }) => outOfOrder.runs.length > 0,
  },
  {
    name: 'upload with unread octets',
    asks: [COLD_UPLOAD, SMALL],
    begin: writeAll,
    isReached: ({ receiveQueue }) => receiveQueue.octets > 3_000,
  },
]

const ENDS: readonly State[] = [
  {
    name: 'half-closed by the client',
    asks: [COLD],
    begin: scene => {
      writeAll(scene)
      scene.client.finish()
    },
    isReached: ({ state, sendQueue }) => state === 'CLOSE-WAIT' && sendQueue.octets === 0,
    ends: true,
  },
  {
    name: 'half-closed by the client, response under way',
    asks: [LARGE],
    begin: scene => {
      writeAll(scene)
      scene.client.finish()
    },
    isReached: ({ state, snd, sent }) => state === 'LAST-ACK' && !snd.finSent && sent.inFlight > 0,
    ends: true,
  },
  {
    name: 'half-closed by the server',
    asks: [CLOSING],
    begin: writeAll,
    isReached: ({ state }) => state === 'FIN-WAIT-2',
    goOn: ({ client }) => client.finish(),
    ends: true,
  },
  {
    name: 'FIN in flight',
    asks: [CLOSING],
    begin: writeAll,
    isReached: ({ state, snd }) => state === 'FIN-WAIT-1' && snd.finSent,
    ends: true,
  },
  {
    name: 'the last FIN in flight',
    asks: [SMALL],
    begin: scene => {
      writeAll(scene)
      scene.client.finish()
    },
    isReached: ({ state, snd }) => state === 'LAST-ACK' && snd.finSent,
    ends: true,
  },
  {
    name: 'FINs that have crossed',
    asks: [CLOSING],
    begin: scene => {
      writeAll(scene)
      // The server's FIN is on its way to the client then.
      scene.sim.world.scheduler.after(6, () => scene.client.finish())
    },
    isReached: ({ state }) => state === 'CLOSING',
    ends: true,
  },
  {
    name: 'TIME-WAIT',
    asks: [CLOSING],
    begin: scene => {
      writeAll(scene)
      scene.sim.run(30)
      scene.client.finish()
    },
    isReached: ({ state }) => state === 'TIME-WAIT',
    ends: true,
    refused: true,
  },
]

export const MATRIX_STATES: readonly State[] = [
  ...AT_THE_DISPATCHER,
  ...REQUESTS,
  ...RESPONSES,
  ...UPLOADS,
  ...ENDS,
]
