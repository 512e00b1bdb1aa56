/** An element that only looks: for captures, counters and checks of what is on the wire. */
import type { Element, Packet } from './element.ts'

/** `look` is called with each packet and the time in ms, before it goes on; it may keep it, but not change it. */
export function tap(look: (packet: Packet, now: number) => void): Element {
  return {
    attach({ scheduler }, next) {
      return packet => {
        look(packet, scheduler.now)
        next(packet)
      }
    },
  }
}
