/** Elements that lose packets: at random, in bursts, or altogether while a link is down. */
import type { LossyElement, Sink, World } from './element.ts'

/** Each packet with probability `p`, whatever happened to the others. */
export function drop(p: number): LossyElement {
  const element = {
    lost: 0,
    attach({ random }, next) {
      const stream = random.fork()
      return packet => {
        if (stream.chance(p)) element.lost++
        else next(packet)
      }
    },
  } satisfies LossyElement
  return element
}

/**
 * One packet in every stretch of `packets`, at a random place of it: as random as `drop` from packet to packet, with less
 * chance in how many are lost in the long run.
 */
export function dropOneIn(packets: number): LossyElement {
  const element = {
    lost: 0,
    attach({ random }, next) {
      const stream = random.fork()
      let place = stream.int(packets)
      let at = 0
      return packet => {
        const isLost = at === place
        if (++at === packets) {
          at = 0
          place = stream.int(packets)
        }
        if (isLost) element.lost++
        else next(packet)
      }
    },
  } satisfies LossyElement
  return element
}

/**
 * The Gilbert-Elliott channel: before each packet a good channel turns bad with probability `toBad` and a bad one
 * good with `toGood`; a bad one loses a packet with `lossInBad`. Loss in the long run: toBad / (toBad + toGood) *
 * lossInBad, in bursts of 1 / toGood packets.
 */
export function burstDrop(toBad: number, toGood: number, lossInBad = 1): LossyElement {
  const element = {
    lost: 0,
    attach({ random }, next) {
      const stream = random.fork()
      let isBad = false
      return packet => {
        isBad = stream.chance(isBad ? 1 - toGood : toBad)
        if (isBad && stream.chance(lossInBad)) element.lost++
        else next(packet)
      }
    },
  } satisfies LossyElement
  return element
}

/** A link that can be taken down and up again; up at first. */
export class Cut implements LossyElement {
  isDown = false
  lost = 0

  attach(_world: World, next: Sink): Sink {
    return packet => {
      if (this.isDown) this.lost++
      else next(packet)
    }
  }

  down(): void {
    this.isDown = true
  }

  up(): void {
    this.isDown = false
  }
}

export function cut(): Cut {
  return new Cut()
}
