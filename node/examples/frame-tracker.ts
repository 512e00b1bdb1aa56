/**
 * Where in a stream of WebSocket frames a connection stands (RFC 6455 §5.2): at the beginning of a message there is nothing in
 * any parser that would have to travel. It only counts; `ws` reads the frames.
 */
const FIN = 0x80
const OPCODE = 0x0f
const FIRST_CONTROL_OPCODE = 8
const MASKED = 0x80
const LENGTH = 0x7f
const MASK_OCTETS = 4

export class FrameTracker {
  /** Octets of a header that is not complete. */
  #header: number[] = []
  /** Of the payload that is still to come. */
  #left = 0
  #isWithinMessage = false

  /** Whether the next octet begins a message. */
  get isBetweenMessages(): boolean {
    return this.#header.length === 0 && this.#left === 0 && !this.#isWithinMessage
  }

  see(octets: Uint8Array): void {
    for (let at = 0; at < octets.length; ) {
      if (this.#left > 0) {
        const some = Math.min(this.#left, octets.length - at)
        this.#left -= some
        at += some
        continue
      }
      this.#header.push(octets[at++] as number)
      if (this.#header.length === headerOctets(this.#header)) this.#begin(this.#header)
    }
  }

  #begin(header: readonly number[]): void {
    const [first = 0] = header
    this.#left = payloadOctets(header)
    if ((first & OPCODE) < FIRST_CONTROL_OPCODE) this.#isWithinMessage = (first & FIN) === 0
    this.#header = []
  }
}

function headerOctets([_first, second]: readonly number[]): number {
  if (second === undefined) return 2
  return 2 + extendedOctets(second) + ((second & MASKED) !== 0 ? MASK_OCTETS : 0)
}

function extendedOctets(second: number): number {
  const length = second & LENGTH
  if (length < 126) return 0
  return length === 126 ? 2 : 8
}

function payloadOctets(header: readonly number[]): number {
  const second = header[1] as number
  const extended = header.slice(2, 2 + extendedOctets(second))
  return extended.length === 0 ? second & LENGTH : extended.reduce((sum, octet) => sum * 256 + octet, 0)
}
