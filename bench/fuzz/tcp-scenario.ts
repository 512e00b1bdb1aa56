/**
 * One connection between two honest ends of `node/tcp`, and an attacker who sees every packet and injects changed ones
 * at either end, in every state. After each event the invariants, the bounds and the reason of an end are checked, and
 * each octet that an application reads: it is the peer's own, unless an injected segment that covered it arrived inside
 * the window (`taint.ts`). A blind attacker, whose segments are all outside, must not even keep the transfer from its
 * end. Everything follows from the seed.
 */
import { adopt } from '../../node/tcp/adoption.ts'
import { segmentArrives } from '../../node/tcp/arrival.ts'
import { type TcpConfig, tcpConfig } from '../../node/tcp/config.ts'
import { CLOSED, RESET, TIMED_OUT, takeEvents } from '../../node/tcp/events.ts'
import { checkInvariants, checkProgress } from '../../node/tcp/invariants.ts'
import { acceptSyn, connect } from '../../node/tcp/open.ts'
import { nextSegment } from '../../node/tcp/output.ts'
import { setAddresses, setFields } from '../../node/tcp/packet-header.ts'
import { exportTcb, importTcb } from '../../node/tcp/snapshot.ts'
import type { Flow, State, Tcb } from '../../node/tcp/tcb.ts'
import { expire, pollAt } from '../../node/tcp/timers.ts'
import { createTransmission, type Transmission } from '../../node/tcp/transmission.ts'
import { abort, close, consume, retainUnread, send, unread, unreadOctets } from '../../node/tcp/user.ts'
import { createTcpHeader } from '../../node/wire/emit.ts'
import {
  ACK,
  createSegment,
  FIN,
  PSH,
  RST,
  type Segment,
  SYN,
  segmentLength,
} from '../../node/wire/segment.ts'
import type { Packet } from '../sim/network/element.ts'
import { readPacket, tcpPacket } from '../sim/network/packet.ts'
import { Random } from '../sim/network/random.ts'
import { unbounded } from './bounds.ts'
import { mutate } from './packet-mutator.ts'
import { Taint } from './taint.ts'

/** Packets kept to be changed or replayed. */
const HISTORY = 24
/** Segments that one event may cause: a window of the smallest segments, in super-segments, and acknowledgements. */
const MAX_ANSWERS = 2_000
const MAX_STEPS = 400
/** Steps of the blind scenario's end, in which nothing is injected. */
const MAX_SETTLING = 20_000
const SETTLE_MS = 10_000_000
/** More than the longest retransmission timeout. */
const MAX_LEAP_MS = 100_000

export interface Recorded {
  readonly now: number
  readonly packet: Packet
  readonly toServer: boolean
  readonly injected: boolean
}

/** What a campaign adds up over its scenarios. */
export interface Coverage {
  injected: number
  honest: number
  readonly states: Map<string, number>
  readonly verdicts: Map<string, number>
  readonly ends: Map<string, number>
  /** Of the connections that changed their owner, the latest ones as they travelled, and packets. */
  readonly tcbs: unknown[]
  readonly packets: Packet[]
}

const MAX_KEPT = 64

export function createCoverage(): Coverage {
  return {
    injected: 0,
    honest: 0,
    states: new Map(),
    verdicts: new Map(),
    ends: new Map(),
    tcbs: [],
    packets: [],
  }
}

function count(map: Map<string, number>, key: string): void {
  map.set(key, (map.get(key) ?? 0) + 1)
}

interface Side {
  readonly name: 'client' | 'server'
  readonly config: TcpConfig
  tcb: Tcb | undefined
  readonly flow: Flow
  /** Octets queued and read, from the beginning of each stream. */
  queued: number
  read: number
  readonly taint: Taint
  /** A forged SYN set the sequence numbers: nothing that the honest peer sends fits any more. */
  isHijacked: boolean
  isClosed: boolean
  readonly inbox: Packet[]
  readonly history: Packet[]
}

/** Octet `index` of a side's stream. */
function octetOf(side: Side, index: number): number {
  return (index * 31 + (index >> 8) * 7 + (side.name === 'client' ? 1 : 128)) & 0xff
}

export class TcpScenario {
  readonly seed: number
  readonly isBlind: boolean
  readonly recorded: Recorded[] = []
  /** Numbers of the injections that are left out, while a failure is made small. */
  readonly without: ReadonlySet<number>
  injections = 0
  readonly #random: Random
  readonly #coverage: Coverage
  readonly #client: Side
  readonly #server: Side
  readonly #segment = createSegment()
  readonly #transmission = createTransmission()
  readonly #header = createTcpHeader()
  readonly #isRecording: boolean
  #now = 1_000
  /** Whether the event under way came from the attacker. */
  #isAttack = false

  constructor(
    seed: number,
    coverage: Coverage,
    isRecording = false,
    without: ReadonlySet<number> = new Set(),
  ) {
    this.seed = seed
    this.without = without
    this.#random = new Random(seed)
    this.#coverage = coverage
    this.#isRecording = isRecording
    this.isBlind = this.#random.chance(0.3)
    const family = this.#random.chance(0.75) ? 4 : 6
    this.#client = this.#createSide('client', flowOf(family, false))
    this.#server = this.#createSide('server', flowOf(family, true))
  }

  /** Throws where something does not hold. */
  run(): void {
    const random = this.#random
    this.#open(this.#client)
    if (!this.isBlind && random.chance(0.1)) this.#open(this.#server)
    const steps = random.int(MAX_STEPS)
    for (let step = 0; step < steps && !this.#isOver(); step++) this.#step()
    if (this.isBlind) this.#settle()
  }

  #createSide(name: Side['name'], flow: Flow): Side {
    const random = this.#random
    const mss = random.pick([88, 300, 536, 1_460])
    const config = tcpConfig({
      mssV4: mss,
      mssV6: Math.max(mss, 1_220),
      ownerId: random.int(256),
      timestamps: random.chance(0.75),
      sack: random.chance(0.75),
      windowScaling: random.chance(0.75),
      ecn: random.chance(0.5),
      nagle: random.chance(0.2),
      receiveInitialOctets: random.pick([4_096, 8_192, 65_535]),
      receiveMaxOctets: random.pick([16_384, 65_535, 1 << 20]),
      sendMaxOctets: 16_384,
      // Half-closed ends give a silent peer up; that is its own doing where time leaps, and no attacker's.
      finWait2Ms: this.isBlind ? SETTLE_MS : 60_000,
      keepaliveIdleMs: random.chance(0.3) ? 5_000 : Number.POSITIVE_INFINITY,
    })
    return {
      name,
      config,
      tcb: undefined,
      flow,
      queued: 0,
      read: 0,
      taint: new Taint(),
      isHijacked: false,
      isClosed: false,
      inbox: [],
      history: [],
    }
  }

  #other(side: Side): Side {
    return side === this.#client ? this.#server : this.#client
  }

  #open(side: Side): void {
    const random = this.#random
    side.tcb = connect(side.config, side.flow, random.int32(), random.int32(), this.#now)
    this.#turn(side)
  }

  #isOver(): boolean {
    return this.#client.isClosed && (this.#server.isClosed || this.#server.tcb === undefined)
  }

  #step(): void {
    const random = this.#random
    const side = random.chance(0.5) ? this.#client : this.#server
    const dice = random.next()
    if (dice < 0.55) for (let more = 1 + random.int(4); more > 0; more--) this.#inject(side)
    else if (dice < 0.8) this.#deliver(side, true)
    else if (dice < 0.87) this.#wait()
    else if (dice < 0.98) this.#use(side)
    else if (dice < 0.995) this.#move(side)
    else this.#finish(side)
  }

  /** The attacker's turn: a packet seen on the way to `side`, changed, replayed, or as it was. */
  #inject(side: Side): void {
    const random = this.#random
    const { tcb } = side
    const base = side.history.length === 0 ? undefined : random.pick(side.history)
    if (base === undefined) return
    const packet = random.chance(0.03) ? base : mutate(base, tcb, random)
    const index = this.injections++
    if (this.without.has(index)) return
    this.#coverage.injected++
    const segment = this.#segment
    const verdict = readPacket(packet, segment)
    count(this.#coverage.verdicts, verdict)
    if (verdict !== 'tcp' || tcb?.state === 'CLOSED') return
    if (tcb === undefined) {
      // A forged SYN at a listening server, now and then: the honest one comes too late then.
      if (this.isBlind || !random.chance(0.05) || (segment.flags & (SYN | ACK | RST)) !== SYN) return
      side.isHijacked = true
      this.#record(packet, side, true)
      this.#isAttack = true
      this.#accept(side, segment)
      this.#isAttack = false
      return
    }
    if (this.isBlind && isInside(tcb, segment)) return
    count(this.#coverage.states, tcb.state)
    this.#record(packet, side, true)
    if (tcb.state !== 'SYN-SENT') markTaint(side, tcb, segment)
    else if ((segment.flags & SYN) !== 0) side.isHijacked = true
    this.#isAttack = true
    this.#arrive(side, tcb, segment)
    this.#isAttack = false
  }

  #record(packet: Packet, side: Side, injected: boolean): void {
    if (!this.#isRecording) return
    this.recorded.push({ now: this.#now, packet, toServer: side.name === 'server', injected })
  }

  /** An honest packet arrives: the next one, or another, once more, or never. */
  #deliver(side: Side, isLossy: boolean): void {
    const random = this.#random
    const { inbox } = side
    if (inbox.length === 0) return
    const index = isLossy && random.chance(0.15) ? random.int(inbox.length) : 0
    const packet = inbox[index] as Packet
    if (!isLossy || !random.chance(0.05)) inbox.splice(index, 1)
    if (isLossy && random.chance(0.04)) return
    const segment = this.#segment
    if (readPacket(packet, segment) !== 'tcp') throw this.#failure('an honest packet does not parse')
    this.#coverage.honest++
    this.#record(packet, side, false)
    if (side.tcb !== undefined) this.#arrive(side, side.tcb, segment)
    else if ((segment.flags & (SYN | ACK | RST)) === SYN) this.#accept(side, segment)
  }

  #accept(side: Side, segment: Segment): void {
    const random = this.#random
    side.tcb = acceptSyn(segment, side.config, random.int32(), random.int32(), this.#now)
    this.#turn(side)
  }

  #arrive(side: Side, tcb: Tcb, segment: Segment): void {
    const before = tcb.state
    const isExactReset = (segment.flags & RST) !== 0 && (before === 'SYN-SENT' || segment.seq === tcb.rcv.nxt)
    segmentArrives(tcb, segment, this.#now)
    checkInvariants(tcb)
    if (tcb.state === 'CLOSED' && before !== 'CLOSED') this.#ended(tcb, before, isExactReset)
    this.#turn(side)
  }

  /** Every CLOSED has a reason. */
  #ended(tcb: Tcb, before: State, isExactReset: boolean): void {
    const why = tcb.events
    if ((why & CLOSED) === 0) throw this.#failure(`${before} became CLOSED and nobody was told`)
    const reason = (why & RESET) !== 0 ? 'reset' : (why & TIMED_OUT) !== 0 ? 'timed out' : `from ${before}`
    count(this.#coverage.ends, reason)
    if (isExactReset) return
    // RFC 5961 §3.2: no other reset ends a connection; without one only the last acknowledgement does.
    if ((why & RESET) !== 0) throw this.#failure(`${before} was reset by a segment beside RCV.NXT`)
    if (before !== 'LAST-ACK') throw this.#failure(`${before} became CLOSED by a segment`)
  }

  #turn(side: Side): void {
    const { tcb } = side
    if (tcb === undefined) return
    const events = takeEvents(tcb)
    if ((events & CLOSED) !== 0) side.isClosed = true
    const out = this.#transmission
    let answers = 0
    while (nextSegment(tcb, this.#now, out)) {
      checkInvariants(tcb)
      if (++answers > MAX_ANSWERS) throw this.#failure(`${answers} segments in answer to one event`)
      this.#transmit(side, tcb, out)
    }
    checkInvariants(tcb)
    checkProgress(tcb)
    const wrong = unbounded(tcb)
    if (wrong !== undefined) throw this.#failure(wrong)
    retainUnread(tcb)
  }

  #transmit(side: Side, tcb: Tcb, out: Transmission): void {
    const payload = new Uint8Array(out.payloadLength)
    let at = 0
    if (!out.probe && payload.length > 0) {
      const whole = tcb.sendQueue.gather(out.payloadSeq, payload.length, {
        add(octets, start, length) {
          payload.set(octets.subarray(start, start + length), at)
          at += length
        },
      })
      if (!whole) throw this.#failure('the payload is not in the send queue')
    }
    const size = Math.max(1, out.segmentSize)
    for (let from = 0; from === 0 || from < payload.length; from += size) {
      const isLast = from + size >= payload.length
      this.#send(side, tcb, out, payload.subarray(from, from + size), from, isLast)
    }
  }

  #send(side: Side, tcb: Tcb, out: Transmission, payload: Uint8Array, from: number, isLast: boolean): void {
    const header = this.#header
    setFields(header, out)
    setAddresses(header, tcb.flow)
    header.seq = (out.seq + from) | 0
    header.flags = isLast ? out.flags : out.flags & ~(FIN | PSH)
    const packet = tcpPacket(header, payload)
    const { inbox, history } = this.#other(side)
    inbox.push(packet)
    if (history.length < HISTORY) history.push(packet)
    else history[this.#random.int(HISTORY)] = packet
  }

  /** Time passes: a little, or until a deadline, or long. */
  #wait(): void {
    const random = this.#random
    const dice = random.next()
    if (dice < 0.7) this.#now += random.between(0, 20)
    else if (dice < 0.98) {
      const at = Math.min(deadline(this.#client), deadline(this.#server))
      if (at < this.#now + MAX_LEAP_MS) this.#now = Math.max(this.#now, at)
    } else this.#now += random.between(0, MAX_LEAP_MS)
    this.#expire(this.#client)
    this.#expire(this.#server)
  }

  #expire(side: Side): void {
    const { tcb } = side
    if (tcb === undefined || pollAt(tcb) > this.#now) return
    const before = tcb.state
    expire(tcb, this.#now)
    checkInvariants(tcb)
    if (tcb.state === 'CLOSED' && before !== 'CLOSED') {
      const isTimedOut = (tcb.events & TIMED_OUT) !== 0
      count(this.#coverage.ends, isTimedOut ? 'timed out' : `from ${before}`)
      if (!isTimedOut && before !== 'TIME-WAIT')
        throw this.#failure(`${before} ended at a deadline, without a reason`)
    }
    this.#turn(side)
  }

  /** An application sends a piece or reads one. */
  #use(side: Side): void {
    const { tcb } = side
    const random = this.#random
    if (tcb === undefined) return
    if (random.chance(0.5)) this.#read(side, tcb, 1 + random.int(6_000))
    else {
      const octets = new Uint8Array(1 + random.int(random.chance(0.2) ? 6_000 : 300))
      for (let at = 0; at < octets.length; at++) octets[at] = octetOf(side, side.queued + at)
      side.queued += send(tcb, octets, this.#now)
    }
    this.#turn(side)
  }

  #read(side: Side, tcb: Tcb, most: number): void {
    const peer = this.#other(side)
    for (let left = Math.min(most, unreadOctets(tcb)); left > 0; ) {
      const run = unread(tcb)
      const length = Math.min(run.length, left)
      for (let at = 0; at < length; at++, side.read++)
        this.#check(side, peer, run.octets[run.start + at] as number)
      consume(tcb, length, this.#now)
      left -= length
    }
  }

  #check(side: Side, peer: Side, octet: number): void {
    if (side.isHijacked || (octet === octetOf(peer, side.read) && side.read < peer.queued)) return
    if (!side.taint.has(side.read)) throw this.#failure(`octet ${side.read} at the ${side.name} is nobody's`)
  }

  #finish(side: Side): void {
    const { tcb } = side
    if (tcb === undefined) return
    // Whoever closes before the handshake is complete gives up what was to be sent.
    if (this.isBlind && tcb.state !== 'ESTABLISHED' && tcb.state !== 'CLOSE-WAIT') return
    if (!this.isBlind && this.#random.chance(0.2)) {
      abort(tcb)
      count(this.#coverage.ends, 'aborted')
    } else close(tcb, this.#now)
    this.#turn(side)
  }

  /** The connection changes its owner: out and in again, as plain data. */
  #move(side: Side): void {
    const { tcb } = side
    if (tcb === undefined || tcb.state === 'CLOSED' || tcb.state === 'SYN-SENT') return
    const ownerId = this.#random.int(256)
    const config = { ...side.config, ownerId }
    const plain = exportTcb(tcb, this.#now)
    const { tcbs, packets } = this.#coverage
    tcbs[this.#random.int(MAX_KEPT) % (tcbs.length + 1)] = plain
    const seen = side.history[0]
    if (seen !== undefined) packets[this.#random.int(MAX_KEPT) % (packets.length + 1)] = seen
    const moved = importTcb(plain, config, this.#now, () => undefined)
    if (typeof moved === 'string') throw this.#failure(`a snapshot of ${tcb.state} is refused: ${moved}`)
    adopt(moved, ownerId, this.#now)
    checkInvariants(moved)
    side.tcb = moved
    this.#turn(side)
  }

  /** Nothing is injected any more: what a blind attacker did must not have harmed the honest transfer. */
  #settle(): void {
    const sides = [this.#client, this.#server]
    // Leaps of time in which nothing was delivered are an outage, and may be too long for anybody's patience.
    if (sides.some(side => side.config.counters.TCPAbortOnTimeout > 0)) return
    const until = this.#now + SETTLE_MS
    for (let round = 0; round < MAX_SETTLING && this.#now < until; round++) {
      for (const side of sides) {
        while (side.inbox.length > 0) this.#deliver(side, false)
        if (side.tcb === undefined) continue
        this.#read(side, side.tcb, Number.POSITIVE_INFINITY)
        if (side.tcb.state === 'ESTABLISHED' || side.tcb.state === 'CLOSE-WAIT') close(side.tcb, this.#now)
        this.#turn(side)
      }
      if (sides.every(side => side.isClosed)) break
      if (sides.some(side => side.inbox.length > 0)) continue
      const at = Math.min(deadline(this.#client), deadline(this.#server))
      if (at === Number.POSITIVE_INFINITY) break
      this.#now = Math.max(this.#now, at)
      for (const side of sides) this.#expire(side)
    }
    const missing = sides.find(side => side.read !== this.#other(side).queued)
    if (missing !== undefined)
      throw this.#failure(
        `${missing.read} of ${this.#other(missing).queued} octets came to the ${missing.name} at last`,
      )
  }

  #failure(what: string): Error {
    const by = this.#isAttack ? ' by an injected packet' : ''
    return new Error(`SEED=${this.seed}${by}: ${what}`)
  }
}

function deadline(side: Side): number {
  return side.tcb === undefined ? Number.POSITIVE_INFINITY : pollAt(side.tcb)
}

function flowOf(family: 4 | 6, isServer: boolean): Flow {
  const words = (last: number): [number, number, number, number] =>
    family === 4 ? [0, 0, 0xffff, 0xc0000200 | last] : [0x20010db8, 0, 0, last]
  const [a0, a1, a2, a3] = words(isServer ? 2 : 1)
  const [b0, b1, b2, b3] = words(isServer ? 1 : 2)
  return {
    family,
    local0: a0,
    local1: a1,
    local2: a2,
    local3: a3 | 0,
    localPort: isServer ? 80 : 40_000,
    remote0: b0,
    remote1: b1,
    remote2: b2,
    remote3: b3 | 0,
    remotePort: isServer ? 40_000 : 80,
  }
}

/** The stretch of the receiver's stream that the segment covers inside of the window. */
function markTaint(side: Side, tcb: Tcb, segment: Segment): void {
  if (segment.payloadLength === 0) return
  const { rcv } = tcb
  const left = (segment.seq - rcv.nxt) | 0
  const from = Math.max(left, 0)
  const to = Math.min(left + segment.payloadLength, (rcv.edge - rcv.nxt) | 0)
  const base = side.read + tcb.receiveQueue.octets
  side.taint.add(base + from, base + to)
}

/** RFC 9293 §3.4 table 6, and what counts before a window is known: a blind attacker's segments are not so. */
function isInside(tcb: Tcb, segment: Segment): boolean {
  const { rcv, snd } = tcb
  if (tcb.state === 'SYN-SENT') {
    const isAcceptable = (segment.flags & ACK) !== 0 && ((segment.ack - snd.iss) | 0) > 0
    return isAcceptable || (segment.flags & (SYN | ACK)) === SYN
  }
  const left = (segment.seq - rcv.nxt) | 0
  const length = segmentLength(segment)
  const window = Math.max(0, (rcv.edge - rcv.nxt) | 0)
  if (tcb.state === 'SYN-RECEIVED' && segment.seq === rcv.irs) return true
  if (length === 0) return left >= ((tcb.ack.sent - rcv.nxt) | 0) && left <= window
  return left === 0 || (left + length > 0 && left < window)
}
