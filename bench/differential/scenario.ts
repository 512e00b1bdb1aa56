/**
 * A randomised exchange over a bad wire, drawn from one seed: who connects, who sends how much at what pace, what both
 * ends negotiate, how small windows and segments are, and what the wire does. Plain data; `run.ts` plays it.
 */
import { mark } from '../sim/network/damage.ts'
import { delay } from '../sim/network/delay.ts'
import type { Element } from '../sim/network/element.ts'
import { fates } from '../sim/network/fates.ts'
import { Random } from '../sim/network/random.ts'
import { rate } from '../sim/network/rate.ts'
import type { EndPlan } from './own-end.ts'

export const SHAPES = ['upload', 'download', 'both', 'half-close'] as const
export type Shape = (typeof SHAPES)[number]

/** What one end offers; the kernel's by sysctl and socket options, ours by its configuration. */
export interface Offer {
  readonly timestamps: boolean
  readonly sack: boolean
  readonly windowScaling: boolean
  readonly ecn: boolean
}

export interface Path {
  readonly delayMs: number
  readonly bitsPerSecond: number
  readonly queueOctets: number
  readonly drop: number
  readonly duplicate: number
  readonly reorder: number
  readonly reorderMs: number
  /** Probability of a congestion mark, where ECN was negotiated. */
  readonly mark: number
}

export interface Scenario {
  readonly seed: number
  readonly shape: Shape
  /** Whether the end that is compared, ours or the kernel's, connects or accepts. */
  readonly subject: 'client' | 'server'
  readonly offer: Offer
  /** SO_RCVBUF of the peer and of the subject; 0: the system's own, with auto-tuning. */
  readonly peerReceiveOctets: number
  readonly subjectReceiveOctets: number
  /** TCP_MAXSEG of both; 0: by the MTU of 1,500. */
  readonly mss: number
  readonly path: Path
  readonly client: EndPlan
  readonly server: EndPlan
}

export const TIMEOUT_MS = 60_000

export function scenarioOf(seed: number): Scenario {
  const random = new Random(`differential ${seed}`)
  const shape = random.pick(SHAPES)
  const mss = random.chance(0.3) ? random.pick([88, 216, 536, 1_000]) : 0
  const peerReceiveOctets = random.chance(0.3) ? random.pick([2_304, 4_096, 16_384]) : 0
  const subjectReceiveOctets = random.chance(0.3) ? random.pick([4_096, 16_384]) : 0
  const path = pathOf(random)
  const small = mss > 0 || peerReceiveOctets > 0 || subjectReceiveOctets > 0 || path.drop > 0.03
  const most = small ? 40_000 : 600_000
  const client = endOf(random, shape === 'download' ? 0 : 1 + random.int(most), 1)
  const server = endOf(random, shape === 'upload' ? 0 : 1 + random.int(most), 2)
  return {
    seed,
    shape,
    subject: random.pick(['client', 'server'] as const),
    offer: {
      timestamps: random.chance(0.75),
      sack: random.chance(0.75),
      windowScaling: random.chance(0.75),
      ecn: random.chance(0.4),
    },
    peerReceiveOctets,
    subjectReceiveOctets,
    mss,
    path,
    client,
    server: shape === 'half-close' ? { ...server, afterEof: 1 } : server,
  }
}

function pathOf(random: Random): Path {
  const bitsPerSecond = random.pick([2, 10, 50, 200]) * 1e6
  const delayMs = random.pick([0, 2, 10, 30])
  const bandwidthDelay = (bitsPerSecond * 2 * delayMs) / 8_000
  return {
    delayMs,
    bitsPerSecond,
    queueOctets: Math.max(30_000, Math.round(bandwidthDelay * random.between(0.5, 2))),
    drop: random.pick([0, 0.001, 0.01, 0.02, 0.05]),
    duplicate: random.chance(0.5) ? random.between(0, 0.05) : 0,
    reorder: random.chance(0.5) ? random.between(0, 0.05) : 0,
    reorderMs: random.between(1, 12),
    mark: random.pick([0, 0.01]),
  }
}

function endOf(random: Random, octets: number, seed: number): EndPlan {
  const slowSender = random.chance(0.2)
  const slowReader = random.chance(0.25)
  return {
    send: octets,
    sendSeed: seed,
    readSeed: 3 - seed,
    sendChunk: slowSender ? Math.ceil(octets / (1 + random.int(20))) || 1 : 65_536,
    sendPauseMs: slowSender ? 1 + random.int(15) : 0,
    readChunk: slowReader ? 4_096 + random.int(16_384) : 65_536,
    readPauseMs: slowReader ? 1 + random.int(10) : 0,
    afterEof: 0,
    timeoutMs: TIMEOUT_MS,
  }
}

/** One direction of the path, as elements of the simulator. */
export function elementsOf(scenario: Scenario, direction: 0 | 1): Element[] {
  const { path, seed } = scenario
  return [
    fates({ ...path, seed: 2 * seed + direction }),
    ...(path.mark > 0 ? [mark(path.mark)] : []),
    rate(path.bitsPerSecond, path.queueOctets),
    ...(path.delayMs > 0 ? [delay(path.delayMs)] : []),
  ]
}
