/**
 * The counters of one owner in the groups and by the names of `nstat` (RFC 4022, RFC 4293), put together from what TCP, the
 * owner and its parts count. For the operator: nothing of it is on the packet path.
 */
import type { IcmpCounters, IpCounters } from './ip-counters.ts'
import type { Owner } from './owner.ts'

export type Counts = Readonly<Record<string, number>>

/** The groups of Linux's `/proc/net/snmp`, `netstat` and `snmp6`, and one of our own. */
export interface Nstat {
  readonly Ip: Counts
  readonly Icmp: Counts
  readonly Ip6: Counts
  readonly Icmp6: Counts
  readonly Tcp: Counts
  readonly TcpExt: Counts
  /** ICMP errors about segments of connections here, by what they say. */
  readonly IcmpErrors: Counts
  /** Packets dropped, by why. */
  readonly Discarded: Counts
}

/** RFC 4022 tcpRtoAlgorithm: rfc2988(5), which RFC 6298 took the place of. */
const RTO_ALGORITHM = 5

/** TCP counters of RFC 4022; all others are extensions. */
const TCP = new Set([
  'ActiveOpens',
  'PassiveOpens',
  'AttemptFails',
  'EstabResets',
  'CurrEstab',
  'InSegs',
  'OutSegs',
  'RetransSegs',
  'InErrs',
  'OutRsts',
])

export function nstat({ counters, config }: Owner): Nstat {
  const { tcp, limits } = config
  const { resetsSent, listen, memory, discarded, icmpErrors } = counters
  const base: Record<string, number> = {
    RtoAlgorithm: RTO_ALGORITHM,
    RtoMin: tcp.rtoMinMs,
    RtoMax: tcp.rtoMaxMs,
    MaxConn: limits.connections,
  }
  const extended: Record<string, number> = { ...listen, ...memory }
  for (const [name, value] of Object.entries(tcp.counters)) (TCP.has(name) ? base : extended)[name] = value
  const InCsumErrors = discarded.checksum ?? 0
  // What is answered without a connection the core does not see.
  base.OutRsts = (base.OutRsts ?? 0) + resetsSent
  base.OutSegs = (base.OutSegs ?? 0) + resetsSent + listen.SyncookiesSent
  base.InErrs = (base.InErrs ?? 0) + InCsumErrors
  base.InCsumErrors = InCsumErrors
  return {
    Ip: ip(counters.ip4),
    Icmp: icmp(counters.icmp4),
    Ip6: ip(counters.ip6),
    Icmp6: icmp(counters.icmp6),
    Tcp: base,
    TcpExt: extended,
    IcmpErrors: icmpErrors,
    Discarded: discarded,
  }
}

/** A packet is delivered, or has one reason why it is not. */
function ip(counters: IpCounters): Counts {
  const {
    InDelivers,
    InHdrErrors,
    InAddrErrors,
    InUnknownProtos,
    InTruncatedPkts,
    InCsumErrors,
    ReasmReqds,
  } = counters
  const refused = InHdrErrors + InAddrErrors + InUnknownProtos + InTruncatedPkts + InCsumErrors + ReasmReqds
  return { InReceives: InDelivers + refused, ...counters }
}

function icmp(counters: IcmpCounters): Counts {
  const { OutEchoReps, OutDestUnreachs, OutParmProblems } = counters
  return { ...counters, OutMsgs: OutEchoReps + OutDestUnreachs + OutParmProblems }
}
