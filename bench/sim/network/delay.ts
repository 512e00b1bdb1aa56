/** Elements that hold packets for a while: propagation delay, and reordering by holding some longer. */
import type { Element } from './element.ts'

/** `ms` and up to `jitterMs` more, uniformly. Packets keep their order, as on one path: the later waits. */
export function delay(ms: number, jitterMs = 0): Element {
  return {
    attach({ scheduler, random }, next) {
      const stream = random.fork()
      let last = 0
      return packet => {
        const at = scheduler.now + ms + (jitterMs > 0 ? stream.between(0, jitterMs) : 0)
        last = Math.max(last, at)
        scheduler.at(last, () => next(packet))
      }
    },
  }
}

/** Each packet with probability `p` is held for `extraMs`, and those behind it overtake. */
export function reorder(p: number, extraMs: number): Element & { readonly held: number } {
  const element = {
    held: 0,
    attach({ scheduler, random }, next) {
      const stream = random.fork()
      return packet => {
        if (!stream.chance(p)) return next(packet)
        element.held++
        scheduler.after(extraMs, () => next(packet))
      }
    },
  } satisfies Element & { held: number }
  return element
}
