/** What must hold of a cell after it was played: octets, pauses, who owns the connection, and that nothing is left over. */
import { TOMBSTONE_MS } from '../../../node/stack/forwards.ts'
import type { ShiftResult } from '../../../shift/outgoing.ts'
import type { Cell, Run } from './cell.ts'
import { NO_FAULT, stallOf } from './faults.ts'

/** Longer than a node is waited for (`DEAD_AFTER_MS`), and than anything of a failed shift is kept. */
const SETTLED_MS = 25_000
/** Tombstones of owners before, and the repetitions of a client, which comes to a minute between two (RFC 6298 §2.4). */
const FORGOTTEN_MS = 2 * TOMBSTONE_MS
const LATE_REQUEST = 'GET /small.bin HTTP/1.1\r\nHost: gyre.test\r\n\r\n'

function hold(what: string, ok: boolean): void {
  if (!ok) throw new Error(what)
}

export function check(cell: Cell, run: Run, control: Run): void {
  const { fault } = cell
  const { client, expected, doneMs, longestGapMs } = run
  hold(`the control run is not done: ${control.client.failure}`, control.doneMs < Number.POSITIVE_INFINITY)
  hold('the control run has other octets', control.client.transcript === control.expected)
  if (fault.becomes === 'lost' && hasHappened(cell, run)) return checkLost(run)
  hold(`the client failed: ${client.failure}`, client.failure === undefined)
  hold('it was reset', client.resets === 0)
  hold(`it has ${client.transcript.length} of ${expected.length} octets`, doneMs < Number.POSITIVE_INFINITY)
  hold('the octets are wrong', client.transcript === expected)
  const stall = Math.max(doneMs - control.doneMs, longestGapMs - control.longestGapMs)
  hold(`it stalled for ${stall.toFixed(1)} ms more than unmoved`, stall <= stallOf(cell))
  checkEnd(run)
  checkResult(cell, run)
}

/**
 * Whether there was still a connection for something to go wrong with, and the message: back to an owner that was heard just
 * now a connection goes without PREPARE.
 */
function hasHappened({ state, target }: Cell, { sim }: Run): boolean {
  const happened = sim.watch === undefined
  hold('nothing went wrong', happened || state.ends === true || target.hopsBefore > 0)
  return happened
}

function checkResult(cell: Cell, run: Run): void {
  const { state, fault, mode, timestamps, target } = cell
  const result = run.result()
  const said = JSON.stringify(result)
  if (state.refused === true) {
    hold(`it was not refused: ${said}`, result?.ok === false && result.reason === 'NOT_SHIFTABLE')
  }
  // Here the process that would have lost it has died after it had ended.
  else if (fault.becomes === 'lost' || hasEnded(cell, result) || !hasHappened(cell, run)) return
  else if (fault.becomes === 'stayed') hold(`it moved: ${said}`, result?.ok === false)
  // Who is dead hears nothing.
  else if (!fault.name.startsWith('source dies')) {
    hold(`it did not move: ${said}`, result?.ok === true)
    const isEchoed = timestamps && mode === 'shift' && state.ends !== true && target.forMs === 0
    if (fault === NO_FAULT && isEchoed) hold('it was not confirmed', result?.ok === true && result.confirmed)
  }
}

/** A connection whose end is near may be over before something that is repeated gets through. */
function hasEnded({ state, fault, target }: Cell, result: ShiftResult | undefined): boolean {
  if (state.ends !== true || (fault === NO_FAULT && target.hopsBefore === 0)) return false
  return result === undefined || (!result.ok && ['CLOSED', 'NOT_SHIFTABLE'].includes(result.reason))
}

/** The client closes, and nothing of it is left anywhere. */
function checkEnd({ sim, client }: Run): void {
  client.finish()
  sim.run(SETTLED_MS)
  hold(`the client could not close: ${client.tcb.state}`, client.ended || client.tcb.state === 'TIME-WAIT')
  hold('it was reset at its end', client.resets === 0)
  checkTables({ sim })
}

function checkTables({ sim }: Pick<Run, 'sim'>): void {
  for (const owner of sim.owners()) {
    const { connections, timeWait, outgoingShifts, incomingShifts } = owner.usage()
    const name = `owner ${owner.config.id}`
    hold(`${name} holds a connection`, connections?.used === timeWait?.used)
    hold(`${name} still gives one away`, outgoingShifts?.used === 0)
    hold(`${name} still awaits one`, incomingShifts?.used === 0)
  }
}

/** Nobody owns the connection; the client has nothing wrong, and is told when it speaks. */
function checkLost(run: Run): void {
  const { sim, client, expected } = run
  hold('the octets are wrong', expected.startsWith(client.transcript))
  sim.run(FORGOTTEN_MS)
  const isSpoken = client.ended || client.tcb.snd.finQueued
  if (!isSpoken) client.write(LATE_REQUEST)
  sim.run(FORGOTTEN_MS)
  hold('somebody owns it', sim.ownerOf(client) === undefined)
  // Where the dispatcher is dead, too, nobody is there to reset it.
  const hasDispatcher = sim.owners().some(owner => owner.isDispatcher)
  if (!isSpoken && hasDispatcher) hold('the client was not told', client.failure === 'reset by the server')
  checkTables(run)
}
