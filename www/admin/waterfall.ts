/** One shift as a waterfall: which step lasted from when to when, out of what two owners told by their own clocks. */
import type { LoggedMove } from './api.ts'

export const STEPS = [
  'prepare',
  'to commit',
  'messages under way',
  'new owner, until the first packet',
] as const
/** Of the steps: nothing is done there but waiting. */
export const UNDER_WAY = 2

/** What the waterfall of one shift is made of, in ms since its start. */
export interface Fall {
  readonly preparedAt: number
  readonly committedAt: number
  /** Of the client at its new owner; undefined where that has not told. */
  readonly firstPacketAt: number | undefined
  readonly endedAt: number
  readonly steps: readonly (readonly [step: number, from: number, to: number])[]
}

/**
 * The old owner's clock says when it had PREPARED, sent COMMIT and got SHIFTED; the new owner's, how long the first packet took
 * after COMMIT had come. What is left is the way of the two messages, of which each gets half, as no clock sees one alone.
 */
export function fallOf([, , , , , , endedAt, preparedAt, committedAt, firstPacketMs]: LoggedMove): Fall {
  const times = { preparedAt, committedAt, endedAt }
  const before = [
    [0, 0, preparedAt],
    [1, preparedAt, committedAt],
  ] as const
  if (firstPacketMs === null) {
    return { ...times, firstPacketAt: undefined, steps: [...before, [UNDER_WAY, committedAt, endedAt]] }
  }
  const way = Math.max(0, endedAt - committedAt - firstPacketMs) / 2
  const firstPacketAt = endedAt - way
  const steps = [
    ...before,
    [UNDER_WAY, committedAt, committedAt + way],
    [3, committedAt + way, firstPacketAt],
  ] as const
  return { ...times, firstPacketAt, steps: [...steps, [UNDER_WAY, firstPacketAt, endedAt]] }
}
