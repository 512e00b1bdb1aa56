/**
 * What a simulated network is made of: elements that take packets and hand them on, later, changed or not at
 * all. A packet is an IP packet behind its virtio header; once handed on it is never changed, so that it may be
 * kept, delayed and handed on twice without a copy.
 */
import { Scheduler } from './clock/scheduler.ts'
import { Random } from './random.ts'

/** Virtual time and randomness: everything that makes two runs of one seed equal. */
export interface World {
  readonly seed: number
  readonly scheduler: Scheduler
  readonly random: Random
}

export function createWorld(seed: number): World {
  return { seed, scheduler: new Scheduler(), random: new Random(seed) }
}

/** 10 octets of virtio header and an IP packet. */
export type Packet = Uint8Array
export type Sink = (packet: Packet) => void

/** One direction of a piece of network. */
export interface Element {
  /**
   * Puts the element before `next` and returns where its packets go in. An element may be attached many times;
   * each time has its own queue and random stream, while counters and controls are shared.
   */
  attach(world: World, next: Sink): Sink
}

/** An element that loses packets and says how many. */
export interface LossyElement extends Element {
  /** Packets lost so far. */
  readonly lost: number
}

/** The elements one after the other, the first one nearest to the sender. */
export function chain(elements: readonly Element[]): Element {
  return {
    attach: (world, next) => elements.reduceRight((sink, element) => element.attach(world, sink), next),
  }
}

/** A view over the whole packet; its virtio header stands at 0 and its IP header at 10. */
export function viewOf(packet: Packet): DataView {
  return new DataView(packet.buffer, packet.byteOffset, packet.byteLength)
}
