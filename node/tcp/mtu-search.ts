/**
 * Paths that drop large packets and say nothing (RFC 8899, RFC 4821): full segments that time out again and again
 * make the segments smaller, and probes search upward from there, as they do ten minutes after any reduction. A
 * probe is one segment of the stream that is longer than the others: if it is lost, it is sent again in shorter ones,
 * and nobody takes that for congestion.
 */
import { updateMss } from './open.ts'
import { MIN_PATH_MTU_V4, mssOf, RAISE_MS } from './path-mtu.ts'
import { endOf, findRecord, flagsOf, LOST, sentCount, startOf } from './sent-records.ts'
import { add, diff, ge, type Seq } from './seq.ts'
import type { Tcb } from './tcb.ts'

/** RFC 8899 §5.1.2 BASE_PLPMTU; every IPv6 path takes 1,280 (RFC 8200 §5), which `mssOf` sees to. */
const BASE_PATH_MTU = 1_200
/** Timeouts in a row that make the segments smaller: Linux waits for tcp_retries1, 3, which takes a second longer. */
export const BLACK_HOLE_TIMEOUTS = 2
/** And after so many those of the base size are too large, too. */
export const BASE_HOLE_TIMEOUTS = 5
/** A search ends when it is sure to so many octets: less than two per cent of a segment. */
const SEARCH_GRAIN_OCTETS = 20
/** Full segments that must follow a probe, so that its loss is found without a timeout (RFC 4821 §7.4). */
const FOLLOWING_SEGMENTS = 4

const NEVER = Number.POSITIVE_INFINITY

/** The most that both ends would take. */
function limit(tcb: Tcb): number {
  const { config, flow, snd } = tcb
  return Math.min(snd.peerMss, flow.family === 4 ? config.mssV4 : config.mssV6)
}

/** A retransmission timeout of an open connection, the `retries`th in a row: perhaps the path is a black hole. */
export function timedOut(tcb: Tcb, now: number): void {
  const { snd, sent, recovery, mtu, flow, config } = tcb
  if (mtu.probe > 0) probeFailed(tcb, now)
  if (recovery.retries < BLACK_HOLE_TIMEOUTS || sentCount(sent) === 0) return
  const least = recovery.retries < BASE_HOLE_TIMEOUTS ? BASE_PATH_MTU : MIN_PATH_MTU_V4
  const mss = mssOf(flow, least)
  if (mss >= Math.min(snd.pathMss, snd.peerMss)) return
  // Small segments that go unanswered say nothing about large ones.
  if (diff(endOf(sent, 0), startOf(sent, 0)) <= mss - optionOctets(tcb)) return
  if (mtu.high <= snd.pathMss) mtu.high = limit(tcb)
  snd.pathMss = mss
  updateMss(tcb)
  // It may have been an outage: the first octets that get through carry a probe for all of it.
  mtu.probeAt = now
  config.counters.TCPMTUPReduced++
}

/** Octets of payload that the next segment should have to probe the path; 0: none. The caller saw that it is time. */
export function probePayload(tcb: Tcb, unsent: number, room: number): number {
  const { snd, sent, mtu, recovery } = tcb
  if (mtu.probe > 0) return 0
  const most = limit(tcb)
  if (mtu.high - snd.pathMss < SEARCH_GRAIN_OCTETS) mtu.high = most
  if (mtu.high > most) mtu.high = most
  if (mtu.high <= snd.pathMss) {
    mtu.probeAt = NEVER
    return 0
  }
  if (recovery.phase !== 'OPEN' || recovery.retries > 0 || sent.lost > 0 || sent.sacked > 0) return 0
  const size = mtu.high === most ? most : (snd.pathMss + mtu.high + 1) >> 1
  const payload = size - optionOctets(tcb)
  return payload <= room && payload + FOLLOWING_SEGMENTS * snd.mss <= unsent ? payload : 0
}

/** Octets of options in every segment. */
function optionOctets(tcb: Tcb): number {
  const { snd } = tcb
  return Math.min(snd.peerMss, snd.pathMss) - snd.mss
}

/** The segment that went out last is a probe with that payload. */
export function mtuProbeSent(tcb: Tcb, payload: number): void {
  tcb.mtu.probe = payload + optionOctets(tcb)
  tcb.mtu.probeEnd = tcb.snd.nxt
  tcb.mtu.probeAt = NEVER
}

/** SND.UNA moved to `ack` while a probe is out. */
export function probeAcknowledged(tcb: Tcb, ack: Seq, now: number): void {
  const { snd, mtu } = tcb
  if (!ge(ack, mtu.probeEnd)) return
  // A new owner's own MTU may be smaller than that of the owner that sent the probe.
  snd.pathMss = Math.min(mtu.probe, limit(tcb))
  mtu.probe = 0
  updateMss(tcb)
  tcb.config.counters.TCPMTUPSuccess++
  scheduleProbe(tcb, now)
}

/** After segments were found lost: whether that is a sign of congestion, which the loss of a probe alone is not. */
export function isCongestion(tcb: Tcb, now: number): boolean {
  const { mtu, sent } = tcb
  if (mtu.probe === 0) return true
  const payload = mtu.probe - optionOctets(tcb)
  const index = findRecord(sent, add(mtu.probeEnd, -payload))
  if ((flagsOf(sent, index) & LOST) === 0) return true
  probeFailed(tcb, now)
  return sent.lost > payload
}

function probeFailed(tcb: Tcb, now: number): void {
  const { mtu, snd } = tcb
  mtu.high = Math.max(snd.pathMss, Math.min(mtu.high, mtu.probe - 1))
  mtu.probe = 0
  tcb.config.counters.TCPMTUPFail++
  scheduleProbe(tcb, now)
}

function scheduleProbe(tcb: Tcb, now: number): void {
  const { mtu, snd } = tcb
  if (snd.pathMss >= limit(tcb)) mtu.probeAt = NEVER
  else mtu.probeAt = mtu.high - snd.pathMss < SEARCH_GRAIN_OCTETS ? now + RAISE_MS : now
}
