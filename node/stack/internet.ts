/**
 * What comes to an owner below TCP: ICMP, and packets that are damaged, not for us, or for a protocol that we do not have. An
 * ICMP error goes to the owner of the flow that it quotes, whoever that is.
 */

import { icmpArrives } from '../tcp/soft-error.ts'
import { type PacketBatch, VNET_HEADER_OCTETS } from '../tun/packet-batch.ts'
import { createIcmpError, parseIcmp } from '../wire/icmp.ts'
import type { ParseVerdict } from '../wire/parse.ts'
import type { Segment } from '../wire/segment.ts'
import type { Connection } from './connection.ts'
import { count } from './counters.ts'
import type { Emitter } from './emitter.ts'
import { countRefused, type IcmpCounters } from './ip-counters.ts'
import type { Owner } from './owner.ts'
import { Refusals } from './refusals.ts'

/** In the place of the owner that gave a packet back; owner ids begin at 0. */
export const NOT_RETURNED = -1

export interface InternetHost {
  passOn(to: number, batch: PacketBatch, index: number, hops: number): void
  /** Hands a packet to the dispatcher. */
  giveBack(batch: PacketBatch, index: number, hops: number): void
  /** Has another dispatcher look for the flow; false where each was asked. */
  ask(batch: PacketBatch, index: number, hops: number, returnedBy: number): boolean
  /** The connection's TCB has changed. */
  advance(connection: Connection, now: number): void
}

export class Internet {
  readonly #owner: Owner
  readonly #emitter: Emitter
  readonly #host: InternetHost
  readonly #refusals: Refusals
  readonly #error = createIcmpError()

  constructor(owner: Owner, emitter: Emitter, host: InternetHost) {
    this.#owner = owner
    this.#emitter = emitter
    this.#host = host
    this.#refusals = new Refusals(emitter)
  }

  /** Counts a packet that is not TCP or ICMP for our addresses, and answers it where that is due. */
  refuse(
    verdict: ParseVerdict,
    batch: PacketBatch,
    index: number,
    packet: Segment,
    trusted: boolean,
    now: number,
  ): void {
    const { counters, config } = this.#owner
    const offset = batch.offsetOf(index) + VNET_HEADER_OCTETS
    const octets = batch.headOctetsOf(index) - VNET_HEADER_OCTETS
    const isV6 = octets > 0 && batch.view.getUint8(offset) >> 4 === 6
    const isRead = verdict === 'tcp' || verdict === 'icmp' || verdict === 'other-protocol'
    const isOther = isRead && !config.vips.isTo(packet)
    const isFromUs = isRead && config.vips.isFrom(packet)
    const reason = isOther ? 'not-our-address' : isFromUs ? 'martian' : verdict
    count(counters.discarded, reason)
    countRefused(isV6 ? counters.ip6 : counters.ip4, reason)
    if (reason !== 'other-protocol') return
    const icmp = isV6 ? counters.icmp6 : counters.icmp4
    const isIntact = this.#refusals.refuse(batch, offset, octets, packet, trusted, icmp, now)
    if (!isIntact) count(counters.discarded, 'udp-checksum')
  }

  /** `returnedBy` as in the owner: who gave the packet back, not knowing its flow. */
  icmp(
    batch: PacketBatch,
    index: number,
    packet: Segment,
    trusted: boolean,
    hops: number,
    returnedBy: number,
    now: number,
  ): void {
    const { counters, flows } = this.#owner
    const icmp = packet.family === 4 ? counters.icmp4 : counters.icmp6
    const error = this.#error
    icmp.InMsgs++
    const verdict = parseIcmp(batch.view, packet, trusted, error)
    if (verdict === 'echo-request') return this.#echo(packet, icmp)
    if (verdict !== 'error') {
      if (verdict === 'checksum') icmp.InCsumErrors++
      if (verdict !== 'ignored') icmp.InErrors++
      return count(counters.discarded, `icmp-${verdict}`)
    }
    if (error.kind === 'packet-too-big') icmp.InPktTooBigs++
    else icmp.InDestUnreachs++
    const entry = flows.get(error.dst0, error.dst1, error.dst2, error.dst3, error.dstPort, error.srcPort)
    if (entry?.kind === 'connection') this.#take(entry, now)
    else if (entry !== undefined && entry.to !== returnedBy) this.#host.passOn(entry.to, batch, index, hops)
    else this.#unknown(batch, index, hops, returnedBy)
  }

  #echo(request: Segment, icmp: IcmpCounters): void {
    icmp.InEchos++
    if (this.#emitter.echo(request)) icmp.OutEchoReps++
    else count(this.#owner.counters.discarded, 'icmp-echo-too-long')
  }

  /** An error about a segment of ours; whether it is believed the TCB's numbers say (RFC 5927 §4). */
  #take(connection: Connection, now: number): void {
    const error = this.#error
    count(this.#owner.counters.icmpErrors, error.kind)
    if (icmpArrives(connection.tcb, error, now)) this.#host.advance(connection, now)
  }

  /** The quoted timestamp is an owner's own and names it; a node leaves it to the dispatcher to know. */
  #unknown(batch: PacketBatch, index: number, hops: number, returnedBy: number): void {
    const { config, counters, environment, isDispatcher } = this.#owner
    const { hasTimestamps, tsVal } = this.#error
    const named = hasTimestamps ? tsVal & ((1 << config.tcp.ownerIdBits) - 1) : config.id
    const isNew = returnedBy === NOT_RETURNED
    if (isNew && !isDispatcher) this.#host.giveBack(batch, index, hops)
    else if (isNew && named !== config.id && environment.reachable(named)) {
      this.#host.passOn(named, batch, index, hops)
    } else if (!isDispatcher || !this.#host.ask(batch, index, hops, returnedBy)) {
      count(counters.discarded, 'icmp-error')
    }
  }
}
