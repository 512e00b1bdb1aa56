/**
 * Writes captures in the pcapng form (draft-ietf-opsawg-pcapng) that Wireshark and tcpdump read: raw IP packets
 * with nanosecond times, a direction and a comment each. It gives octets and knows no file.
 */

/** Blocks are padded to 32 bits; so are the options in them. */
const SECTION_HEADER = 0x0a0d0d0a
const INTERFACE_DESCRIPTION = 1
const ENHANCED_PACKET = 6
const BYTE_ORDER_MAGIC = 0x1a2b3c4d
/** The packet begins with its IPv4 or IPv6 header. */
const LINKTYPE_RAW = 101

const OPTION_COMMENT = 1
const OPTION_SECTION_APPLICATION = 4
const OPTION_INTERFACE_NAME = 2
const OPTION_INTERFACE_TIME_RESOLUTION = 9
const OPTION_PACKET_FLAGS = 2
/** An option's length is 16 bits. */
const MAX_OPTION_OCTETS = 65_535

const NANOSECONDS_A_MILLISECOND = 1_000_000

export interface CapturedPacket {
  /** Milliseconds since 1970, with fraction; a simulator may count from 0. */
  readonly timeMs: number
  /** Index of the interface in the list given to `pcapHead`. */
  readonly interfaceIndex: number
  readonly direction: 'in' | 'out'
  /** The IP packet or its beginning. */
  readonly octets: Uint8Array
  /** Octets that the packet had on the link, at least those that were captured. */
  readonly originalOctets: number
  readonly comments: readonly string[]
}

interface Option {
  readonly code: number
  readonly value: Uint8Array
}

/** The beginning of a capture: one section with the named interfaces. */
export function pcapHead(interfaceNames: readonly string[]): Uint8Array {
  const section = new Uint8Array(16)
  const view = new DataView(section.buffer)
  view.setUint32(0, BYTE_ORDER_MAGIC, true)
  view.setUint16(4, 1, true)
  // A section length of -1 says that it is not known.
  view.setBigInt64(8, -1n, true)
  const blocks = [block(SECTION_HEADER, section, [textOption(OPTION_SECTION_APPLICATION, 'gyre')])]
  for (const name of interfaceNames) blocks.push(interfaceBlock(name))
  return concatenate(blocks)
}

function interfaceBlock(name: string): Uint8Array {
  const body = new Uint8Array(8)
  new DataView(body.buffer).setUint16(0, LINKTYPE_RAW, true)
  return block(INTERFACE_DESCRIPTION, body, [
    textOption(OPTION_INTERFACE_NAME, name),
    { code: OPTION_INTERFACE_TIME_RESOLUTION, value: Uint8Array.of(9) },
  ])
}

/** One captured packet, to be appended to the capture. */
export function pcapPacket(packet: CapturedPacket): Uint8Array {
  const body = new Uint8Array(20 + padded(packet.octets.length))
  const view = new DataView(body.buffer)
  view.setUint32(0, packet.interfaceIndex, true)
  // A double holds today's milliseconds to about 240 ns, but not their nanoseconds: go on in integers.
  const wholeMs = Math.floor(packet.timeMs)
  const restNs = Math.floor((packet.timeMs - wholeMs) * NANOSECONDS_A_MILLISECOND)
  const time = BigInt(wholeMs) * BigInt(NANOSECONDS_A_MILLISECOND) + BigInt(restNs)
  view.setUint32(4, Number((time >> 32n) & 0xffff_ffffn), true)
  view.setUint32(8, Number(time & 0xffff_ffffn), true)
  view.setUint32(12, packet.octets.length, true)
  view.setUint32(16, packet.originalOctets, true)
  body.set(packet.octets, 20)
  const flags = Uint8Array.of(packet.direction === 'in' ? 1 : 2, 0, 0, 0)
  const options: Option[] = [{ code: OPTION_PACKET_FLAGS, value: flags }]
  for (const comment of packet.comments) options.push(textOption(OPTION_COMMENT, comment))
  return block(ENHANCED_PACKET, body, options)
}

function padded(octets: number): number {
  return (octets + 3) & ~3
}

function textOption(code: number, text: string): Option {
  return { code, value: new TextEncoder().encode(text).subarray(0, MAX_OPTION_OCTETS) }
}

function block(type: number, body: Uint8Array, options: readonly Option[]): Uint8Array {
  let total = 12 + body.length + 4
  for (const option of options) total += 4 + padded(option.value.length)
  const octets = new Uint8Array(total)
  const view = new DataView(octets.buffer)
  view.setUint32(0, type, true)
  view.setUint32(4, total, true)
  octets.set(body, 8)
  let at = 8 + body.length
  for (const option of options) {
    view.setUint16(at, option.code, true)
    view.setUint16(at + 2, option.value.length, true)
    octets.set(option.value, at + 4)
    at += 4 + padded(option.value.length)
  }
  // The end of the options is four zero octets, which are there already.
  view.setUint32(total - 4, total, true)
  return octets
}

function concatenate(pieces: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(pieces.reduce((total, piece) => total + piece.length, 0))
  let at = 0
  for (const piece of pieces) {
    whole.set(piece, at)
    at += piece.length
  }
  return whole
}
