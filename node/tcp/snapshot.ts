/**
 * A TCB as a plain array that packs small, and back. What is exported is what `TRAVELS` names, in its order;
 * what is imported is checked field by field and then as a whole, because it came over a network. Octets that
 * the peer has acknowledged, and octets of contents, do not travel: contents are named by their keys.
 */
import type { TcpConfig } from './config.ts'
import type { Content } from './content.ts'
import { violation } from './invariants.ts'
import { updateMss } from './open.ts'
import { diff } from './seq.ts'
import {
  exportRecords,
  exportRuns,
  exportSend,
  exportUnread,
  importRecords,
  importRuns,
  importSend,
  importUnread,
} from './snapshot-lists.ts'
import { exportNumbers, importNumbers } from './snapshot-numbers.ts'
import { MAX_REACH_OCTETS } from './succession.ts'
import { createTcb, type Tcb } from './tcb.ts'
import { resumeClock } from './timestamps.ts'

/** Raised whenever a field comes, goes, moves or changes its meaning. */
export const TCB_VERSION = 5

/** Version, bits of an owner id, the numbers; then four lists. */
const LENGTH = 7
const NO_RECORDS = new Uint8Array(0)

/** The TCB at `now`; it may be used on, the export refers to nothing that changes. */
export function exportTcb(tcb: Tcb, now: number): unknown[] {
  return [
    TCB_VERSION,
    tcb.config.ownerIdBits,
    exportNumbers(tcb, now),
    exportSend(tcb),
    exportUnread(tcb),
    exportRuns(tcb),
    exportRecords(tcb, now),
  ]
}

/** What `exportTcb` makes of a connection with nothing queued, unread, out of order or in flight, from its numbers alone. */
export function quietTcb(numbers: Uint8Array, config: TcpConfig): unknown[] {
  return [TCB_VERSION, config.ownerIdBits, numbers, [[]], [], [], NO_RECORDS]
}

/**
 * The TCB that `plain` stands for, dormant until `adopt`; or what is wrong with it. `resolve` gives the content of
 * a key. To make good the time that `plain` was under way, pass a `now` that is earlier by so much.
 */
export function importTcb(
  plain: unknown,
  config: TcpConfig,
  now: number,
  resolve: (key: string) => Content | undefined,
): Tcb | string {
  if (!Array.isArray(plain) || plain.length !== LENGTH) return 'not a TCB'
  if (plain[0] !== TCB_VERSION) return `TCB version ${String(plain[0])}, not ${TCB_VERSION}`
  if (plain[1] !== config.ownerIdBits)
    return `owner ids of ${String(plain[1])} bits, not ${config.ownerIdBits}`
  const tcb = createTcb(config, emptyFlow(), 'CLOSED', 0, 0, now)
  const wrong =
    importNumbers(tcb, plain[2], now) ??
    importLists(tcb, plain, now, resolve) ??
    implausible(tcb) ??
    violation(settle(tcb, now))
  return wrong ?? tcb
}

function emptyFlow() {
  return {
    family: 4 as const,
    local0: 0,
    local1: 0,
    local2: 0,
    local3: 0,
    localPort: 0,
    remote0: 0,
    remote1: 0,
    remote2: 0,
    remote3: 0,
    remotePort: 0,
  }
}

function importLists(
  tcb: Tcb,
  plain: unknown[],
  now: number,
  resolve: (key: string) => Content | undefined,
): string | undefined {
  return (
    importSend(tcb, plain[3], resolve) ??
    importUnread(tcb, plain[4]) ??
    importRuns(tcb, plain[5]) ??
    importRecords(tcb, plain[6], now)
  )
}

/** Values that are possible in themselves and make no sense here; what depends on several is for `violation`. */
function implausible(tcb: Tcb): string | undefined {
  const { flow, snd, rcv, ack, rtt, ts, rack, recovery, mtu, shift } = tcb
  if (flow.family !== 4 && flow.family !== 6) return 'bad flow.family'
  if (flow.localPort > 0xffff || flow.remotePort > 0xffff) return 'bad flow ports'
  if (tcb.state === 'CLOSED' || tcb.state === 'SYN-SENT') return `a connection in ${tcb.state} does not move`
  if (snd.scale > 14 || rcv.scale > 14) return 'bad window scale'
  if (snd.peerMss < 88 || snd.peerMss > 0xffff || snd.pathMss < 88 || snd.pathMss > 0xffff) return 'bad MSS'
  if (snd.maxWnd > 2 ** 30 || rcv.limit > 2 ** 30 || rcv.limit < 1) return 'bad window'
  if (diff(rcv.edge, rcv.nxt) > 2 ** 30) return 'bad rcv.edge'
  if (ack.owed > 16 || ack.challenges > 0xffff || ack.quick > 0xffff) return 'bad acknowledgement counts'
  if (ts.ownerId >= 1 << tcb.config.ownerIdBits) return 'bad ts.ownerId'
  if (!Number.isFinite(rtt.srttMs) || !Number.isFinite(rtt.rttvarMs)) return 'bad round-trip time'
  if (!(rtt.rtoMs >= 1) || rtt.rtoMs > 3_600_000) return 'bad rtt.rtoMs'
  if (rack.multiplier < 1 || rack.multiplier > 64 || !Number.isFinite(rack.rttMs)) return 'bad RACK state'
  if (recovery.prrFlight < 1 && recovery.phase !== 'OPEN') return 'bad recovery.prrFlight'
  if (!Number.isFinite(rcv.rttMs)) return 'bad rcv.rttMs'
  if (shift.reaches && Math.abs(diff(shift.reach, snd.una)) > MAX_REACH_OCTETS + 1) return 'bad shift.reach'
  if (mtu.high > 0xffff || mtu.probe > 0xffff) return 'bad MTU search'
  if (recovery.retries > 0xff || tcb.timers.persistCount > 0xffffff) return 'bad retries'
  return undefined
}

/** What the target decides: its own clock, MTU and limits. */
function settle(tcb: Tcb, now: number): Tcb {
  const { config, snd, congestion } = tcb
  resumeClock(tcb, tcb.ts.tick, now)
  const ownMss = tcb.flow.family === 4 ? config.mssV4 : config.mssV6
  snd.pathMss = Math.min(snd.pathMss, ownMss)
  tcb.mtu.high = Math.min(tcb.mtu.high, ownMss)
  updateMss(tcb)
  congestion.cwnd = Math.max(Math.min(congestion.cwnd, config.maxCwndOctets), snd.mss)
  return tcb
}
