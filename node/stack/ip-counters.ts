/** What an owner counts below TCP, for each family, by its names in `nstat` (RFC 4293, RFC 4884). */
import type { ParseVerdict } from '../wire/parse.ts'

export interface IpCounters {
  /** Packets given to TCP or to ICMP. */
  InDelivers: number
  InHdrErrors: number
  /** Not our address, or none that a packet can have. */
  InAddrErrors: number
  InUnknownProtos: number
  InTruncatedPkts: number
  InCsumErrors: number
  /** Fragments: none is put together again, for TCP with path MTU discovery has none. */
  ReasmReqds: number
  ReasmFails: number
  /** Delivered behind IPv4 options or IPv6 extension headers, which were skipped. */
  InExtended: number
}

export interface IcmpCounters {
  InMsgs: number
  InErrors: number
  InCsumErrors: number
  /** Errors about our packets, by what they say. */
  InDestUnreachs: number
  InPktTooBigs: number
  InEchos: number
  OutEchoReps: number
  OutDestUnreachs: number
  /** IPv6: unrecognised next header. */
  OutParmProblems: number
  /** Errors that were not sent, because there were too many. */
  OutRateLimitGlobal: number
}

export function createIpCounters(): IpCounters {
  return {
    InDelivers: 0,
    InHdrErrors: 0,
    InAddrErrors: 0,
    InUnknownProtos: 0,
    InTruncatedPkts: 0,
    InCsumErrors: 0,
    ReasmReqds: 0,
    ReasmFails: 0,
    InExtended: 0,
  }
}

export function createIcmpCounters(): IcmpCounters {
  return {
    InMsgs: 0,
    InErrors: 0,
    InCsumErrors: 0,
    InDestUnreachs: 0,
    InPktTooBigs: 0,
    InEchos: 0,
    OutEchoReps: 0,
    OutDestUnreachs: 0,
    OutParmProblems: 0,
    OutRateLimitGlobal: 0,
  }
}

/** Counts a packet that goes no further. */
export function countRefused(counters: IpCounters, verdict: ParseVerdict | 'not-our-address'): void {
  switch (verdict) {
    case 'tcp':
    case 'icmp':
      return
    case 'checksum':
      // TCP's matter.
      counters.InDelivers++
      return
    case 'other-protocol':
      counters.InUnknownProtos++
      return
    case 'not-our-address':
    case 'martian':
      counters.InAddrErrors++
      return
    case 'truncated':
      counters.InTruncatedPkts++
      return
    case 'header-checksum':
      counters.InCsumErrors++
      return
    case 'fragment':
      counters.ReasmReqds++
      counters.ReasmFails++
      return
    case 'malformed':
    case 'jumbogram':
    case 'source-route':
    case 'routing-header':
    case 'extension-option':
      counters.InHdrErrors++
      return
  }
}
