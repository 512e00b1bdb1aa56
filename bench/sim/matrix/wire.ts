/** The network of a cell: without chance, so that two runs differ in nothing but the shift. What it loses, a state's script says. */
import { createSegment, type Segment } from '../../../node/wire/segment.ts'
import { delay } from '../network/delay.ts'
import { chain, type Element } from '../network/element.ts'
import { readPacket } from '../network/packet.ts'
import { rate } from '../network/rate.ts'
import { segment } from '../network/segment.ts'

/** One way between a client and the cluster. */
export const WIRE_MS = 5
const BITS_PER_SECOND = 50e6
const QUEUE_OCTETS = 500_000

export class ScriptedWire {
  /** Whether a packet is lost; asked of each, in the order in which they are sent. */
  loses: (segment: Segment) => boolean = () => false
  readonly #segment = createSegment()

  readonly element = (): Element =>
    chain([
      segment(1_500),
      {
        attach: (_world, next) => packet => {
          if (readPacket(packet, this.#segment) !== 'tcp' || !this.loses(this.#segment)) next(packet)
        },
      },
      rate(BITS_PER_SECOND, QUEUE_OCTETS),
      delay(WIRE_MS),
    ])

  /** Loses those of the coming data packets to or from the client whose places are named, the first being 0. */
  loseData(direction: 'to-client' | 'from-client', places: readonly number[]): void {
    let place = 0
    this.loses = ({ dstPort, payloadLength }) => {
      const fromClient = dstPort === 80
      if (payloadLength === 0 || fromClient !== (direction === 'from-client')) return false
      return places.includes(place++)
    }
  }
}
