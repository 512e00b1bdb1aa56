/** Every bound of the core at its edge: what a peer, an application or a snapshot can make one connection hold. */
import { ACK, createSegment, SYN } from '../wire/segment.ts'
import { MAX_RECEIVE_OCTETS, tcpConfig } from './config.ts'
import { acceptSyn, MAX_WINDOW_SCALE } from './open.ts'
import { MAX_OUT_OF_ORDER_RUNS } from './out-of-order.ts'
import { patternContent } from './pair-transfer.ts'
import { MAX_SEND_CHUNKS } from './send-queue.ts'
import { MAX_SENT_RECORDS, sentCount } from './sent-records.ts'
import { exportTcb, importTcb } from './snapshot.ts'
import { MAX_KEY_CHARS } from './snapshot-lists.ts'
import type { Tcb } from './tcb.ts'
import { arrives, drain, ISS, NOW, tcbIn } from './tcb-in-state.ts'
import { send, sendContent, unreadOctets } from './user.ts'

const reassembled = (tcb: Tcb) => tcb.outOfOrder.runs.reduce((sum, run) => sum + run.end - run.start, 0)
const allocated = (tcb: Tcb) => tcb.outOfOrder.runs.reduce((sum, run) => sum + run.octets.length, 0)

describe('reassembly', () => {
  it('holds MAX_OUT_OF_ORDER_RUNS holes, and drops what would make one more', () => {
    const tcb = tcbIn('ESTABLISHED')
    for (let hole = 1; hole <= MAX_OUT_OF_ORDER_RUNS; hole++) arrives(tcb, { seq: 2 * hole, octets: 1 })
    expect([tcb.outOfOrder.runs.length, tcb.config.counters.TCPOFODrop]).toEqual([MAX_OUT_OF_ORDER_RUNS, 0])
    arrives(tcb, { seq: 2 * MAX_OUT_OF_ORDER_RUNS + 2, octets: 1 })
    expect([tcb.outOfOrder.runs.length, tcb.config.counters.TCPOFODrop]).toEqual([MAX_OUT_OF_ORDER_RUNS, 1])
    // What closes a hole is still taken.
    arrives(tcb, { seq: 3, octets: 1 })
    arrives(tcb, { octets: 2 })
    expect(unreadOctets(tcb)).toBe(5)
  })

  it('spends two kibibytes on a hole at most, which the owner counts (`heldOctets`)', () => {
    const tcb = tcbIn('ESTABLISHED')
    for (let hole = 1; hole <= MAX_OUT_OF_ORDER_RUNS; hole++) arrives(tcb, { seq: 2 * hole, octets: 1 })
    expect(allocated(tcb)).toBeLessThanOrEqual(2_048 * MAX_OUT_OF_ORDER_RUNS)
  })

  it('holds no more octets than the window that was offered, nor twice that in memory', () => {
    const tcb = tcbIn('ESTABLISHED')
    for (let seq = 1; seq < 200_000; seq += 1_000) arrives(tcb, { seq, octets: 1_000 })
    expect(reassembled(tcb)).toBe(65_534)
    expect(allocated(tcb)).toBeLessThan(2 * 65_535)
    arrives(tcb, { octets: 1 })
    expect(unreadOctets(tcb)).toBe(65_535)
  })
})

describe('acknowledgements', () => {
  it('are owed 16 at a time to a peer that counts duplicates, one to a peer with SACK', () => {
    for (const [sack, most] of [
      [false, 16],
      [true, 1],
    ] as const) {
      const tcb = tcbIn('ESTABLISHED', { sack })
      for (let count = 0; count < 50; count++) arrives(tcb, { seq: 1_448 * (count + 1), octets: 100 })
      expect(drain(tcb)).toHaveLength(most)
    }
  })
})

describe('sent records', () => {
  it('are split by SACK blocks into MAX_SENT_RECORDS at most; new octets wait until there are fewer', () => {
    const tcb = tcbIn('ESTABLISHED')
    arrives(tcb, { window: 60_000 })
    tcb.congestion.cwnd = 10_000_000
    send(tcb, new Uint8Array(60_000))
    drain(tcb)
    for (let at = 2; at < 30_000; at += 8)
      arrives(tcb, { window: 60_000, ack: -60_000, sack: [at, at + 1, at + 2, at + 3, at + 4, at + 5] })
    expect(sentCount(tcb.sent)).toBe(MAX_SENT_RECORDS)
    send(tcb, new Uint8Array(5))
    expect(drain(tcb).filter(out => !out.retransmission && out.payloadLength > 0)).toEqual([])
    expect(sentCount(tcb.sent)).toBeLessThanOrEqual(MAX_SENT_RECORDS)
    arrives(tcb, { window: 60_000 }, NOW + 20)
    expect(drain(tcb, NOW + 20).map(out => out.payloadLength)).toEqual([5])
  })
})

describe('the send queue', () => {
  it('takes MAX_SEND_CHUNKS pieces', () => {
    const tcb = tcbIn('SYN-RECEIVED')
    for (let count = 0; count < MAX_SEND_CHUNKS; count++) expect(send(tcb, new Uint8Array(1))).toBe(1)
    expect([send(tcb, new Uint8Array(1)), sendContent(tcb, patternContent(9), 0, 9)]).toEqual([0, false])
    arrives(tcb, {})
    drain(tcb)
    arrives(tcb, {})
    expect(send(tcb, new Uint8Array(1))).toBe(1)
  })
})

describe('the window', () => {
  it('of MAX_RECEIVE_OCTETS has the largest scale, and a larger one is not offered', () => {
    const config = tcpConfig({
      receiveMaxOctets: MAX_RECEIVE_OCTETS,
      receiveInitialOctets: MAX_RECEIVE_OCTETS,
    })
    const syn = Object.assign(createSegment(), { flags: SYN, seq: 1, window: 9, windowScale: 20, srcPort: 1 })
    const tcb = acceptSyn(syn, config, ISS, 0, NOW)
    expect(drain(tcb).map(out => [out.window, out.windowScale])).toEqual([[65_535, MAX_WINDOW_SCALE]])
    expect(tcb.snd.scale).toBe(MAX_WINDOW_SCALE)
    arrives(tcb, { flags: ACK, octets: 1, timestamps: false })
    expect(drain(tcb).map(out => out.window)).toEqual([65_535])
    expect((tcb.rcv.edge - tcb.rcv.nxt) | 0).toBeLessThanOrEqual(MAX_RECEIVE_OCTETS)
  })
})

describe('a snapshot', () => {
  it('has keys of MAX_KEY_CHARS at most', () => {
    for (const [length, accepted] of [
      [MAX_KEY_CHARS, true],
      [MAX_KEY_CHARS + 1, false],
    ] as const) {
      const content = { ...patternContent(100), key: 'k'.repeat(length) }
      const tcb = tcbIn('ESTABLISHED')
      sendContent(tcb, content, 0, 100)
      const there = importTcb(exportTcb(tcb, NOW), tcb.config, NOW, () => content)
      expect(typeof there).toBe(accepted ? 'object' : 'string')
    }
  })
})
