/** What is wrong with our connection of a scenario, beside the kernel's. */
import type { Outcome, Played } from './run.ts'
import type { Scenario } from './scenario.ts'

/**
 * How much longer than the kernel's our longest wait may be. First transmissions of the same octets have the same fate on
 * both connections, but acknowledgements, and repetitions that are cut otherwise, have not: one may need timeouts where the
 * other needs none. Three of them in a row, which is what a segment lost four times needs, are 1 + 2 + 4 times the RTO: Linux'
 * least of 200 ms and the round trip, which a full queue makes longer. Four losses of one segment at the highest rate of
 * loss drawn (5 %) are one in 160,000.
 */
const TIMEOUTS = 1 + 2 + 4
const MIN_RTO_MS = 200
/** A busy machine may not run one of the processes for so long. */
const SCHEDULING_MS = 500

export function toleranceMs({ path }: Scenario): number {
  const queueMs = (path.queueOctets * 8_000) / path.bitsPerSecond
  return TIMEOUTS * (MIN_RTO_MS + 2 * path.delayMs + path.reorderMs + queueMs) + SCHEDULING_MS
}

export function longestGapMs({ client, server }: Outcome): number {
  return Math.max(client.longestGapMs, server.longestGapMs)
}

export function elapsedMs({ client, server }: Outcome): number {
  return Math.max(client.elapsedMs, server.elapsedMs)
}

/** Empty: nothing. */
export function faultsOf({ scenario, kernel, own }: Played): string[] {
  const faults = [...faultsOfTransfer(scenario, own)]
  const ofKernel = faultsOfTransfer(scenario, kernel)
  if (ofKernel.length > 0) faults.push(`the kernel's own connection failed: ${ofKernel.join(', ')}`)
  if (own.wire.earlyResets > kernel.wire.earlyResets) faults.push(`${own.wire.earlyResets} early resets`)
  for (const option of ['timestamps', 'sack', 'scaled', 'ecn'] as const) {
    if (own.peer[option] !== kernel.peer[option])
      faults.push(`${option}: ${own.peer[option]}, not negotiated alike`)
  }
  const most = longestGapMs(kernel) + toleranceMs(scenario)
  if (longestGapMs(own) > most) {
    faults.push(
      `stalled for ${longestGapMs(own).toFixed(0)} ms; the kernel for ${longestGapMs(kernel).toFixed(0)}`,
    )
  }
  return faults
}

function faultsOfTransfer(scenario: Scenario, outcome: Outcome): string[] {
  const faults: string[] = []
  const ends = [
    { name: 'client', end: outcome.client, plan: scenario.client, other: scenario.server },
    { name: 'server', end: outcome.server, plan: scenario.server, other: scenario.client },
  ]
  for (const { name, end, plan, other } of ends) {
    if (end.wrongAt >= 0) faults.push(`${name}: octet ${end.wrongAt} is wrong`)
    if (end.sent !== plan.send) faults.push(`${name}: sent ${end.sent} of ${plan.send} octets`)
    if (end.received !== other.send) faults.push(`${name}: received ${end.received} of ${other.send} octets`)
    if (!end.orderly) faults.push(`${name}: no orderly end${end.error === '' ? '' : ` (${end.error})`}`)
  }
  return faults
}
