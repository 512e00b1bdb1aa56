/** What an owner tells of one connection, and of the objects that it holds: asked for by hand, so it may take its time. */
import type { Connection } from '../stack/connection.ts'
import { diff } from '../tcp/seq.ts'
import { clientText } from './client-text.ts'
import type { OperatorHost } from './operator.ts'
import { exportShift, roundMs, type WatchedShift } from './watch.ts'

/** Objects in one answer. */
const MAX_HOTTEST = 100

export interface Inspected {
  /** As `ss -i` names them; null where the connection is not here. */
  readonly tcp: Readonly<Record<string, string | number>> | null
  readonly client: string
  readonly request: string
  /** Seconds since 1970. */
  readonly since: number
  readonly shifts: number
  /** Those that began here, each with its epoch. */
  readonly log: readonly (readonly [epoch: number, ...WatchedShift])[]
  /** Those that brought it here: how long the client's first packet took after COMMIT had come. */
  readonly arrivals: readonly (readonly [epoch: number, ms: number])[]
}

export interface HotObject {
  readonly path: string
  readonly octets: number
  /** Look-ups that found it since it came into memory. */
  readonly hits: number
}

export function inspect(host: OperatorHost, id: unknown): Inspected | undefined {
  if (!Number.isSafeInteger(id)) return undefined
  const { owner } = host
  const entry = owner.byId.get(id as number)
  const connection = entry?.kind === 'connection' ? entry : undefined
  return {
    tcp: connection === undefined ? null : tcpInfo(connection),
    client: connection === undefined ? '' : clientText(connection),
    request: connection?.request ?? '',
    since: connection?.since ?? 0,
    shifts: connection?.shifts ?? 0,
    log: owner.shiftLog
      .of(id as number)
      .map(shift => [shift.epoch, ...exportShift(shift, host.now())] as const),
    arrivals: owner.shiftLog.arrivals.of(id as number).map(({ epoch, ms }) => [epoch, roundMs(ms)] as const),
  }
}

export function hottest(host: OperatorHost): HotObject[] {
  const entries = host.store?.hottest(MAX_HOTTEST) ?? []
  return entries.flatMap(({ path, hits, object }) =>
    object === undefined ? [] : [{ path, octets: object.length, hits }],
  )
}

function tcpInfo(connection: Connection): Record<string, string | number> {
  const tcb = connection.peek()
  const { snd, rcv, rtt, congestion, recovery } = tcb
  const flags = [
    ...(connection.timestamps ? ['ts'] : []),
    ...(tcb.sack ? ['sack'] : []),
    ...(tcb.ecn.on ? ['ecn'] : []),
  ]
  return {
    state: tcb.state,
    options: flags.join(' '),
    ...(tcb.scaled ? { wscale: `${snd.scale},${rcv.scale}` } : {}),
    cubic: recovery.phase,
    rto: roundMs(rtt.rtoMs),
    rtt: `${roundMs(rtt.srttMs)}/${roundMs(rtt.rttvarMs)}`,
    ...(Number.isFinite(rtt.minMs) ? { minrtt: roundMs(rtt.minMs) } : {}),
    mss: snd.mss,
    pmtu: snd.pathMss,
    cwnd: Math.floor(congestion.cwnd / snd.mss),
    ssthresh: Math.floor(congestion.ssthresh / snd.mss),
    bytes_acked: tcb.sendQueue.released,
    unacked: diff(snd.nxt, snd.una),
    notsent: tcb.sendQueue.octets - Math.max(0, diff(snd.nxt, snd.una)),
    snd_wnd: snd.wnd,
    rcv_space: rcv.limit,
    retrans: connection.retransmissions,
    backoff: recovery.retries,
    epoch: connection.epoch,
  }
}
