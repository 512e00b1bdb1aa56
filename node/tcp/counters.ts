/**
 * Counts of what the core did, named as `nstat` and RFC 4022 name them where they have a name. One record is
 * shared by all connections of a stack through their configuration; the core only ever adds to it.
 */
export interface TcpCounters {
  ActiveOpens: number
  PassiveOpens: number
  AttemptFails: number
  EstabResets: number
  CurrEstab: number
  InSegs: number
  OutSegs: number
  RetransSegs: number
  /** Segments dropped because a field contradicts another (RFC 4022 tcpInErrs counts these beside checksums). */
  InErrs: number
  OutRsts: number
  TCPTimeouts: number
  TCPLossProbes: number
  TCPLossProbeRecovery: number
  TCPSpuriousRTOs: number
  TCPDSACKUndo: number
  TCPSackRecovery: number
  TCPRenoRecovery: number
  TCPLostRetransmit: number
  TCPFastRetrans: number
  TCPSlowStartRetrans: number
  TCPSACKReorder: number
  TCPSACKReneging: number
  TCPSACKDiscard: number
  TCPDSACKRecv: number
  TCPDSACKOldSent: number
  TCPDSACKOfoSent: number
  TCPOFOQueue: number
  TCPOFOMerge: number
  TCPOFODrop: number
  TCPRcvQDrop: number
  TCPZeroWindowDrop: number
  TCPToZeroWindowAdv: number
  TCPWinProbe: number
  TCPKeepAlive: number
  TCPAbortOnTimeout: number
  TCPChallengeACK: number
  TCPSYNChallenge: number
  TCPACKSkippedChallenge: number
  TCPHystartDelayDetect: number
  DelayedACKs: number
  PAWSEstab: number
  /** Segments without timestamps on a connection that negotiated them (RFC 7323 §3.2): dropped. */
  TSMissing: number
  TWRecycled: number
  /** The path took less than was sent, by ICMP or by a black hole; probes for more that arrived, and that did not. */
  TCPMTUPReduced: number
  TCPMTUPSuccess: number
  TCPMTUPFail: number
  /** ICMP errors that quote no sequence number in flight. */
  OutOfWindowIcmps: number
  /** Packets that carried CE, and window reductions that an ECE asked for. */
  InCEPkts: number
  TCPECNReductions: number
  /** Connections that came here, probes sent to confirm that, and confirmations. */
  ShiftAdopted: number
  ShiftProbes: number
  ShiftConfirmed: number
  /** Connections taken over from an owner that died; and those whose record proved to be older than what the peer has. */
  ShiftSucceeded: number
  ShiftStale: number
}

export function createCounters(): TcpCounters {
  return {
    ActiveOpens: 0,
    PassiveOpens: 0,
    AttemptFails: 0,
    EstabResets: 0,
    CurrEstab: 0,
    InSegs: 0,
    OutSegs: 0,
    RetransSegs: 0,
    InErrs: 0,
    OutRsts: 0,
    TCPTimeouts: 0,
    TCPLossProbes: 0,
    TCPLossProbeRecovery: 0,
    TCPSpuriousRTOs: 0,
    TCPDSACKUndo: 0,
    TCPSackRecovery: 0,
    TCPRenoRecovery: 0,
    TCPLostRetransmit: 0,
    TCPFastRetrans: 0,
    TCPSlowStartRetrans: 0,
    TCPSACKReorder: 0,
    TCPSACKReneging: 0,
    TCPSACKDiscard: 0,
    TCPDSACKRecv: 0,
    TCPDSACKOldSent: 0,
    TCPDSACKOfoSent: 0,
    TCPOFOQueue: 0,
    TCPOFOMerge: 0,
    TCPOFODrop: 0,
    TCPRcvQDrop: 0,
    TCPZeroWindowDrop: 0,
    TCPToZeroWindowAdv: 0,
    TCPWinProbe: 0,
    TCPKeepAlive: 0,
    TCPAbortOnTimeout: 0,
    TCPChallengeACK: 0,
    TCPSYNChallenge: 0,
    TCPACKSkippedChallenge: 0,
    TCPHystartDelayDetect: 0,
    DelayedACKs: 0,
    PAWSEstab: 0,
    TSMissing: 0,
    TWRecycled: 0,
    TCPMTUPReduced: 0,
    TCPMTUPSuccess: 0,
    TCPMTUPFail: 0,
    OutOfWindowIcmps: 0,
    InCEPkts: 0,
    TCPECNReductions: 0,
    ShiftAdopted: 0,
    ShiftProbes: 0,
    ShiftConfirmed: 0,
    ShiftSucceeded: 0,
    ShiftStale: 0,
  }
}
