/**
 * The timestamp clock with the owner's id in its low bits (design §1), and PAWS. The clock is for the echo and
 * for PAWS only: round trips are measured from our own transmission times, never from TSecr.
 */
import type { Segment } from '../wire/segment.ts'
import type { Tcb } from './tcb.ts'

/** RFC 7323 §5.5: TS.Recent older than this says nothing. */
export const MAX_RECENT_AGE_MS = 24 * 24 * 3600 * 1000

/** The connection's tick by the clock alone; only its low 32 - k bits count. */
function clockTick(tcb: Tcb, now: number): number {
  return (Math.floor(now / (1 << tcb.config.ownerIdBits)) + tcb.ts.offset) | 0
}

/** Sets the clock going, at the birth of a connection. */
export function startClock(tcb: Tcb, now: number): void {
  tcb.ts.tick = clockTick(tcb, now)
}

/** TSval for a segment sent now: never below the one before, whoever sent it and whatever the clock says. */
export function stamp(tcb: Tcb, now: number): number {
  const { ts } = tcb
  const bits = tcb.config.ownerIdBits
  const tick = clockTick(tcb, now)
  if ((tick - ts.tick) << bits > 0) ts.tick = tick
  return (ts.tick << bits) | ts.ownerId
}

/** A new owner's first tick lies at least one above the old owner's last, so that PAWS never drops it. */
export function bumpTick(tcb: Tcb, now: number): void {
  const { ts } = tcb
  const next = (ts.tick + 1) | 0
  const tick = clockTick(tcb, now)
  ts.tick = (tick - next) << tcb.config.ownerIdBits > 0 ? tick : next
}

/** Makes the tick continue at `tick` under a clock that shows `now`: after a move between machines. */
export function resumeClock(tcb: Tcb, tick: number, now: number): void {
  tcb.ts.offset = (tick - Math.floor(now / (1 << tcb.config.ownerIdBits))) | 0
  tcb.ts.tick = tick | 0
}

/** RFC 7323 §5.3 R1: the segment is older than one that was accepted. */
export function failsPaws(tcb: Tcb, segment: Segment, now: number): boolean {
  const { ts } = tcb
  return ((segment.tsVal - ts.recent) | 0) < 0 && now - ts.recentAt <= MAX_RECENT_AGE_MS
}

/** RFC 7323 §4.3 (2): keeps the timestamp to echo. */
export function updateRecent(tcb: Tcb, segment: Segment, now: number): void {
  const { ts } = tcb
  if (((segment.seq - tcb.ack.sent) | 0) > 0) return
  if (((segment.tsVal - ts.recent) | 0) < 0 && now - ts.recentAt <= MAX_RECENT_AGE_MS) return
  ts.recent = segment.tsVal
  ts.recentAt = now
}
