/**
 * The frames of a control link: a kind, the octets that follow in four (RFC 1700's order), and those. A shift waits for
 * them, so there is no more to them than that: one write each, and nothing between a socket's octets and the message.
 * The reader takes octets as they come, from a peer that may send anything; what frames carry is not its business.
 */
import { MAX_MESSAGE_OCTETS } from './codec.ts'

/** Messages, one after the other. */
export const MESSAGES = 1
/** Eight octets that come back in a PONG. */
export const PING = 2
export const PONG = 3
/** A close code in two octets, then the reason in ASCII. Nothing follows. */
export const CLOSE = 4
type Kind = typeof MESSAGES | typeof PING | typeof PONG | typeof CLOSE

export const FRAME_HEADER_OCTETS = 5
export const PING_OCTETS = 8
/** The largest frame taken: one message of the largest size; joined ones are far smaller. */
export const MAX_FRAME_OCTETS = MAX_MESSAGE_OCTETS
/** Pieces of a frame that is not whole are joined up to here: one of a single octet takes some 200 to keep. */
const MAX_SMALL_PIECE_OCTETS = 4096
const CLOSE_CODE_OCTETS = 2
const MAX_REASON_OCTETS = 123

export function writeFrameHeader(frame: Uint8Array, kind: Kind, octets: number): void {
  frame[0] = kind
  frame[1] = octets >>> 24
  frame[2] = octets >>> 16
  frame[3] = octets >>> 8
  frame[4] = octets
}

/** A frame around a payload that is written beside it. */
export function frameHeader(kind: Kind, octets: number): Buffer {
  const header = Buffer.allocUnsafe(FRAME_HEADER_OCTETS)
  writeFrameHeader(header, kind, octets)
  return header
}

export function pingFrame(kind: typeof PING | typeof PONG, payload: Uint8Array): Buffer {
  return Buffer.concat([frameHeader(kind, PING_OCTETS), payload])
}

export function closeFrame(code: number, reason: string): Buffer {
  // Visible ASCII, so that octets are characters.
  const text = reason.replace(/[^\x20-\x7e]/g, '?').slice(0, MAX_REASON_OCTETS)
  const frame = Buffer.allocUnsafe(FRAME_HEADER_OCTETS + CLOSE_CODE_OCTETS + text.length)
  writeFrameHeader(frame, CLOSE, CLOSE_CODE_OCTETS + text.length)
  frame.writeUInt16BE(code, FRAME_HEADER_OCTETS)
  frame.write(text, FRAME_HEADER_OCTETS + CLOSE_CODE_OCTETS, 'latin1')
  return frame
}

export function parseClose(payload: Buffer): { readonly code: number; readonly reason: string } {
  return { code: payload.readUInt16BE(0), reason: payload.toString('latin1', CLOSE_CODE_OCTETS) }
}

export type FrameFault = 'FRAME_INVALID' | 'MESSAGE_TOO_LARGE'

export class FrameReader {
  /** What came of a frame that is not whole. No more is kept than was sent, whatever length it claims. */
  private rest: Buffer[] = []
  private restOctets = 0
  /** Octets of `rest` that are needed to go on. */
  private wanted = FRAME_HEADER_OCTETS

  /**
   * Takes what has arrived and hands each whole frame to `deliver` until that returns false. Payloads are views into
   * `chunk`, or into a copy where a frame came in pieces. Returns what was wrong; nothing may be read after that.
   */
  read(chunk: Buffer, deliver: (kind: number, payload: Buffer) => boolean): FrameFault | undefined {
    let octets = chunk
    if (this.restOctets > 0) {
      this.append(chunk)
      if (this.restOctets < this.wanted) return undefined
      octets = Buffer.concat(this.rest, this.restOctets)
      this.rest = []
      this.restOctets = 0
    }
    let at = 0
    while (octets.length - at >= FRAME_HEADER_OCTETS) {
      const kind = octets[at] as number
      const length = octets.readUInt32BE(at + 1)
      const fault = faultOf(kind, length)
      if (fault !== undefined) return fault
      const end = at + FRAME_HEADER_OCTETS + length
      if (end > octets.length) break
      if (!deliver(kind, octets.subarray(at + FRAME_HEADER_OCTETS, end))) return undefined
      at = end
    }
    if (at < octets.length) this.keep(octets.subarray(at))
    return undefined
  }

  /** In how many pieces a frame that is not whole is kept. */
  get pieces(): number {
    return this.rest.length
  }

  /** Each octet is copied at most once for each doubling, so that a peer who sends them one by one gains nothing. */
  private append(chunk: Buffer): void {
    this.restOctets += chunk.length
    let piece = chunk
    for (let last = this.rest.at(-1); last !== undefined; last = this.rest.at(-1)) {
      if (last.length > piece.length || last.length + piece.length > MAX_SMALL_PIECE_OCTETS) break
      this.rest.pop()
      piece = Buffer.concat([last, piece])
    }
    this.rest.push(piece)
  }

  private keep(octets: Buffer): void {
    this.rest.push(octets)
    this.restOctets = octets.length
    this.wanted = FRAME_HEADER_OCTETS
    if (octets.length >= FRAME_HEADER_OCTETS) this.wanted += octets.readUInt32BE(1)
  }
}

function faultOf(kind: number, length: number): FrameFault | undefined {
  switch (kind) {
    case MESSAGES:
      return length > MAX_FRAME_OCTETS ? 'MESSAGE_TOO_LARGE' : undefined
    case PING:
    case PONG:
      return length === PING_OCTETS ? undefined : 'FRAME_INVALID'
    case CLOSE:
      return length >= CLOSE_CODE_OCTETS && length <= CLOSE_CODE_OCTETS + MAX_REASON_OCTETS
        ? undefined
        : 'FRAME_INVALID'
    default:
      return 'FRAME_INVALID'
  }
}
