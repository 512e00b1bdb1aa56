/**
 * A connection as plain data and back: what COMMIT carries. Its parts check themselves (`node/tcp/snapshot.ts` the TCB,
 * the application its state); here they are put together, with a version, and taken apart again with suspicion.
 */
import type { TcpConfig } from '../node/tcp/config.ts'
import type { Content } from '../node/tcp/content.ts'
import { exportTcb, importTcb } from '../node/tcp/snapshot.ts'
import type { Tcb } from '../node/tcp/tcb.ts'

/** Raised whenever the form of any part changes; another version is refused, and the source goes on. */
export const SNAPSHOT_VERSION = 2

/** Shown to the operator; not part of the protocol. */
export const MAX_REQUEST_CHARS = 200

export interface Snapshot {
  readonly tcb: Tcb
  readonly application: unknown
  /** Changes of owner before this one. */
  readonly shifts: number
  readonly request: string
  /** When the connection was accepted, in seconds since 1970. */
  readonly since: number
}

export function exportSnapshot(snapshot: Snapshot, now: number): unknown[] {
  return [
    SNAPSHOT_VERSION,
    exportTcb(snapshot.tcb, now),
    snapshot.application,
    snapshot.shifts,
    snapshot.request,
    snapshot.since,
  ]
}

/** The snapshot that `plain` holds, or what is wrong with it. `resolve` gives the contents that its queue refers to. */
export function importSnapshot(
  plain: unknown,
  config: TcpConfig,
  now: number,
  resolve: (key: string) => Content | undefined,
): Snapshot | string {
  if (!Array.isArray(plain) || plain.length !== 6) return 'not a snapshot'
  const [version, exported, application, shifts, request, since] = plain
  if (version !== SNAPSHOT_VERSION) return `snapshot version ${String(version)}, not ${SNAPSHOT_VERSION}`
  if (!Number.isSafeInteger(shifts) || shifts < 0) return 'bad count of shifts'
  if (!Number.isSafeInteger(since) || since < 0) return 'bad time of acceptance'
  if (typeof request !== 'string' || request.length > MAX_REQUEST_CHARS) return 'bad request line'
  const tcb = importTcb(exported, config, now, resolve)
  return typeof tcb === 'string' ? tcb : { tcb, application, shifts, request, since }
}
