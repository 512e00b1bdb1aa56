/**
 * LISTEN (RFC 9293 §3.10.7.2) at the owner that accepts: what a SYN begins, and what an acknowledgement brings back.
 * Half-open connections are bounded; beyond the bound a SYN is answered by a cookie and costs no memory (RFC 4987 §3.6).
 * Everything it gives out is a function of the flow, the cluster's secret and the time of day, so that another
 * dispatcher, or the next run of this one, takes what this one began.
 */
import type { TcpConfig } from '../tcp/config.ts'
import { type HashKey, initialSequenceNumber, timestampOffset } from '../tcp/isn.ts'
import { acceptSyn, flowOf } from '../tcp/open.ts'
import { asSeq, gt } from '../tcp/seq.ts'
import { acceptCookie, COOKIE_LIFE_MS, cookieSynAck } from '../tcp/syn-cookie.ts'
import type { Tcb } from '../tcp/tcb.ts'
import type { Transmission } from '../tcp/transmission.ts'
import { ACK, RST, type Segment, SYN } from '../wire/segment.ts'
import type { ListenCounters } from './counters.ts'

export class Listener {
  readonly #tcp: TcpConfig
  readonly #secret: HashKey
  readonly #counters: ListenCounters
  readonly #maxHalfOpen: number
  /** Until when the cookie given out last may come back. */
  #cookiesUntil = Number.NEGATIVE_INFINITY

  constructor(tcp: TcpConfig, secret: HashKey, counters: ListenCounters, maxHalfOpen: number) {
    this.#tcp = tcp
    this.#secret = secret
    this.#counters = counters
    this.#maxHalfOpen = maxHalfOpen
  }

  /**
   * The connection that `segment`, a SYN, begins. Undefined: `out` holds a cookie, to be sent instead. `leastIsn` is what
   * the flow's last connection, in TIME-WAIT until now, leaves to it (RFC 9293 §3.10.7.4, RFC 6191); such a connection
   * takes the place of one that was there, and gets no cookie, whose sequence number nobody can choose (Linux
   * decides so, too). `halfOpen` is how many there are; `full`: there is no room for any other.
   */
  syn(
    segment: Segment,
    leastIsn: number | undefined,
    halfOpen: number,
    full: boolean,
    wallMs: number,
    now: number,
    out: Transmission,
  ): Tcb | undefined {
    const flow = flowOf(segment)
    const offset = timestampOffset(this.#secret, flow, this.#tcp.ownerIdBits, wallMs, now)
    if (full || (halfOpen >= this.#maxHalfOpen && leastIsn === undefined)) {
      this.#counters.TCPReqQFullDoCookies++
      this.#counters.SyncookiesSent++
      this.#cookiesUntil = now + COOKIE_LIFE_MS
      cookieSynAck(segment, this.#tcp, this.#secret, offset, wallMs, now, out)
      return undefined
    }
    const clocked = initialSequenceNumber(this.#secret, flow, wallMs)
    const isn = leastIsn !== undefined && gt(asSeq(leastIsn), asSeq(clocked)) ? leastIsn : clocked
    return acceptSyn(segment, this.#tcp, isn, offset, now)
  }

  /** The connection whose cookie `segment` acknowledges, to which the segment is to be delivered next. */
  acknowledgement(segment: Segment, wallMs: number, now: number): Tcb | undefined {
    if ((segment.flags & (SYN | ACK | RST)) !== ACK) return undefined
    const offset = timestampOffset(this.#secret, flowOf(segment), this.#tcp.ownerIdBits, wallMs, now)
    const tcb = acceptCookie(segment, this.#tcp, this.#secret, offset, wallMs, now)
    if (tcb !== undefined) this.#counters.SyncookiesRecv++
    else if (this.awaitsCookies(now)) this.#counters.SyncookiesFailed++
    return tcb
  }

  /**
   * Whether a cookie may still come back. Of a client whose first acknowledgement was lost the second segment arrives first,
   * and no cookie fits that one: it must not be reset, for the first comes again.
   */
  awaitsCookies(now: number): boolean {
    return now < this.#cookiesUntil
  }
}
