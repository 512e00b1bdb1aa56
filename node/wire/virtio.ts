/**
 * The virtio-net header that stands before each IP packet on the TUN and in the simulator: where its fields
 * lie, and how one is written. What the fields mean for a device is known by `node/tun`.
 */

/** flags, gso_type, hdr_len, gso_size, csum_start, csum_offset (Linux `struct virtio_net_hdr`). */
export const VIRTIO_HEADER_OCTETS = 10
/** flags: the checksum field holds the pseudo-header sum, the rest is left to whoever sends it on. */
export const VIRTIO_NEEDS_CSUM = 1
/** flags: the checksum was verified by the device. */
export const VIRTIO_DATA_VALID = 2
export const VIRTIO_GSO_NONE = 0
export const VIRTIO_GSO_TCPV4 = 1
export const VIRTIO_GSO_TCPV6 = 4
/** gso_type: CWR stands in the first segment only (RFC 3168 §6.1.2). */
export const VIRTIO_GSO_ECN = 0x80

/** Of the machine by default, which the device sets to little-endian everywhere (TUNSETVNETLE). */
const LITTLE_ENDIAN = true

export function writeVirtioHeader(
  view: DataView,
  at: number,
  flags: number,
  gsoType: number,
  headerOctets: number,
  gsoSize: number,
  csumStart: number,
  csumOffset: number,
): void {
  view.setUint8(at, flags)
  view.setUint8(at + 1, gsoType)
  view.setUint16(at + 2, headerOctets, LITTLE_ENDIAN)
  view.setUint16(at + 4, gsoSize, LITTLE_ENDIAN)
  view.setUint16(at + 6, csumStart, LITTLE_ENDIAN)
  view.setUint16(at + 8, csumOffset, LITTLE_ENDIAN)
}

/** Largest payload of one wire segment of a super-segment; meaningless without a gso_type. */
export function virtioGsoSize(view: DataView, at: number): number {
  return view.getUint16(at + 4, LITTLE_ENDIAN)
}

/** Where the sum begins, from the IP header on. */
export function virtioCsumStart(view: DataView, at: number): number {
  return view.getUint16(at + 6, LITTLE_ENDIAN)
}

/** Where the sum goes, from its beginning on. */
export function virtioCsumOffset(view: DataView, at: number): number {
  return view.getUint16(at + 8, LITTLE_ENDIAN)
}

/** Whether a packet's transport checksum need not be verified: `checksumTrusted` of `parsePacket`. */
export function virtioChecksumTrusted(view: DataView, at: number): boolean {
  return (view.getUint8(at) & (VIRTIO_NEEDS_CSUM | VIRTIO_DATA_VALID)) !== 0
}
