/**
 * What somebody gets who knows a connection's addresses and ports, and sees none of its segments (RFC 5961): how many of the
 * 2^32 sequence numbers do what he wants. Stretches are tried whole where they matter, and in even steps elsewhere.
 */

import { createIcmpError } from '../wire/icmp.ts'
import { ACK, FIN, RST, SYN } from '../wire/segment.ts'
import { segmentArrives } from './arrival.ts'
import { checkInvariants } from './invariants.ts'
import { icmpArrives } from './soft-error.ts'
import type { Tcb } from './tcb.ts'
import { drain, fromPeer, NOW, tcbIn } from './tcb-in-state.ts'
import { send, unreadOctets } from './user.ts'

/** Steps through all numbers: one in each 524,288. */
const STEPS = 8_192
const STEP = 524_288
const SPACE = 2 ** 32

/** The window that the peer may send into. */
function windowOf(tcb: Tcb): number {
  return (tcb.rcv.edge - tcb.rcv.nxt) | 0
}

type Forged = Parameters<typeof fromPeer>[1]

/** Checked once at the end: there are many. */
function arrives(tcb: Tcb, forged: Forged): void {
  segmentArrives(tcb, fromPeer(tcb, forged), NOW)
}

/** Every number of the window and around it, and then the rest in steps. */
function* numbers(around: number): Generator<number> {
  for (let offset = -around; offset <= around; offset++) yield offset
  for (let step = 1; step < STEPS; step++) yield (step * STEP + 1) | 0
}

describe('a blind attacker', () => {
  it.each([true, false])('resets by 1 of 2^32 RSTs: the exact one (timestamps: %s)', timestamps => {
    const tcb = tcbIn('ESTABLISHED', { timestamps })
    const around = windowOf(tcb) + 10
    let resets = 0
    for (const seq of numbers(around)) {
      if (seq === 0) continue
      arrives(tcb, { flags: RST, seq })
      if (tcb.state !== 'ESTABLISHED') resets++
    }
    expect(resets).toBe(0)
    checkInvariants(tcb)
    drain(tcb)
    arrives(tcb, { flags: RST })
    expect(tcb.state).toBe('CLOSED')
  })

  it('resets by none of 2^32 SYNs, and has 10 answers in 5 s for all of them', () => {
    const tcb = tcbIn('ESTABLISHED')
    let answers = 0
    for (const seq of numbers(1_000)) {
      arrives(tcb, { flags: SYN, seq })
      answers += drain(tcb).length
    }
    expect(tcb.state).toBe('ESTABLISHED')
    expect(answers).toBe(tcb.config.challengeAcks)
  })

  it('brings in data by fewer than 1 of 2^32 segments: number, acknowledgement and timestamp must all fit', () => {
    const fitting = { seq: 0, ack: 0, time: 0 }
    const isTaken = (peer: Forged) => {
      const tcb = tcbIn('ESTABLISHED')
      arrives(tcb, { flags: ACK, octets: 1, ...peer })
      return unreadOctets(tcb) > 0 || tcb.outOfOrder.runs.length > 0
    }
    // In steps that are coprime to the windows, each a sample of 2^32.
    for (let step = 0; step < 4_096; step++) {
      const offset = Math.imul(step, 1_048_577)
      if (isTaken({ seq: offset })) fitting.seq++
      if (isTaken({ ack: offset })) fitting.ack++
      if (isTaken({ tsVal: offset })) fitting.time++
    }
    expect(fitting.seq).toBe(1)
    expect(fitting.ack).toBe(1)
    expect(fitting.time / 4_096).toBeCloseTo(0.5, 1)
    // Exactly: the window, and what the peer may acknowledge (RFC 5961 §5.2), of 2^32 each, and half of the timestamps.
    const tcb = tcbIn('ESTABLISHED')
    const window = windowOf(tcb)
    const acceptable = tcb.snd.maxWnd + ((tcb.snd.nxt - tcb.snd.una) | 0)
    const expected = ((window / SPACE) * (acceptable / SPACE) * SPACE) / 2
    expect(expected).toBeGreaterThan(0.4)
    expect(expected).toBeLessThan(1)
  })

  it('ends no stream by a FIN without that', () => {
    const tcb = tcbIn('ESTABLISHED')
    for (const seq of numbers(100)) arrives(tcb, { flags: FIN | ACK, seq, ack: 1_000_000 })
    expect(tcb.state).toBe('ESTABLISHED')
  })

  it('slows nothing down by acknowledgements and SACK blocks of what was never sent', () => {
    const tcb = tcbIn('ESTABLISHED')
    send(tcb, new Uint8Array(50_000))
    drain(tcb)
    const { cwnd } = tcb.congestion
    for (let step = 1; step < STEPS; step++) {
      const far = (step * STEP) | 0
      arrives(tcb, { ack: far, sack: [far, far + 1_000] })
    }
    expect([tcb.congestion.cwnd, tcb.sent.sacked, tcb.recovery.phase]).toEqual([cwnd, 0, 'OPEN'])
  })

  it('is believed about the path for as many of 2^32 ICMP errors as octets are in flight', () => {
    const tcb = tcbIn('ESTABLISHED')
    send(tcb, new Uint8Array(5_000))
    drain(tcb)
    const inFlight = (tcb.snd.nxt - tcb.snd.una) | 0
    expect(inFlight).toBe(5_000)
    const error = { ...createIcmpError(), kind: 'packet-too-big' as const, mtu: 600 }
    const before = tcb.snd.pathMss
    let believed = 0
    for (const offset of numbers(6_000)) {
      error.seq = (tcb.snd.una + offset) | 0
      const copy = tcb.snd.pathMss
      icmpArrives(tcb, error, 1_000_000)
      if (tcb.snd.pathMss !== copy) {
        believed++
        expect(offset >= 0 && offset < inFlight).toBe(true)
        tcb.snd.pathMss = before
      }
    }
    expect(believed).toBeGreaterThan(0)
  })
})
