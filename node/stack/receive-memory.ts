/**
 * Octets that all connections of an owner hold for their applications: unread, or beyond a gap. One connection is bounded by
 * its window; this bounds all together, in three steps as Linux's tcp_mem: first windows do not grow; then only octets are
 * let in that the application may take at once; at last none. What is refused the peer sends again.
 */
import type { TcpConfig } from '../tcp/config.ts'
import type { Tcb } from '../tcp/tcb.ts'
import { FIN, type Segment } from '../wire/segment.ts'
import type { Connection } from './connection.ts'
import type { MemoryCounters } from './counters.ts'

/** Of the bound: where windows stop growing, and where queues do (tcp_mem's defaults stand as 1/2 : 2/3 : 1). */
const PRESSURE_SHARE = 0.5
const SCARCE_SHARE = 0.75

export class ReceiveMemory {
  readonly #tcp: TcpConfig
  readonly #counters: MemoryCounters
  readonly #max: number
  #pressed = false
  octets = 0

  constructor(tcp: TcpConfig, counters: MemoryCounters, max: number) {
    this.#tcp = tcp
    this.#counters = counters
    this.#max = max
  }

  /** Whether `refuse` is to be asked about segments with text. */
  get scarce(): boolean {
    return this.octets >= SCARCE_SHARE * this.#max
  }

  /** To be called after the application took what it wanted. */
  account(connection: Connection): void {
    const { tcb } = connection
    this.#hold(connection, heldOctets(tcb))
    if (this.octets > this.#max && tcb.outOfOrder.runs.length > 0) {
      this.#counters.PruneCalled++
      this.#counters.OfoPruned += tcb.outOfOrder.runs.length
      tcb.outOfOrder.runs.length = 0
      this.#hold(connection, heldOctets(tcb))
    }
    const pressed = this.octets > PRESSURE_SHARE * this.#max
    if (pressed && !this.#pressed) this.#counters.TCPMemoryPressures++
    this.#pressed = pressed
    // What was offered stays offered (SHLD-14); no more is.
    if (pressed) tcb.rcv.limit = Math.min(tcb.rcv.limit, this.#tcp.receiveInitialOctets)
  }

  release(connection: Connection): void {
    this.#hold(connection, 0)
  }

  /**
   * While memory is scarce: takes the text out of a segment that would have to be kept, and leaves the acknowledgement.
   * What continues an empty queue is let in until all is full, for the application takes most of that at once.
   */
  refuse(tcb: Tcb, segment: Segment): void {
    const inOrder = segment.seq === tcb.rcv.nxt
    if (inOrder && tcb.receiveQueue.octets === 0 && this.octets < this.#max) return
    if (inOrder) this.#tcp.counters.TCPRcvQDrop++
    else this.#tcp.counters.TCPOFODrop++
    segment.payloadLength = 0
    segment.flags &= ~FIN
  }

  #hold(connection: Connection, octets: number): void {
    this.octets += octets - connection.heldOctets
    connection.heldOctets = octets
  }
}

/** Of octets beyond a gap the buffers count: one octet may have taken 2 KiB. */
function heldOctets(tcb: Tcb): number {
  let held = tcb.receiveQueue.octets
  const { runs } = tcb.outOfOrder
  for (let index = 0; index < runs.length; index++) held += runs[index]?.octets.length ?? 0
  return held
}
