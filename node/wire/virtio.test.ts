import {
  VNET_DATA_VALID,
  VNET_GSO_ECN,
  VNET_GSO_NONE,
  VNET_GSO_TCPV4,
  VNET_GSO_TCPV6,
  VNET_HEADER_OCTETS,
  VNET_NEEDS_CSUM,
} from '../tun/packet-batch.ts'
import {
  VIRTIO_DATA_VALID,
  VIRTIO_GSO_ECN,
  VIRTIO_GSO_NONE,
  VIRTIO_GSO_TCPV4,
  VIRTIO_GSO_TCPV6,
  VIRTIO_HEADER_OCTETS,
  VIRTIO_NEEDS_CSUM,
  virtioChecksumTrusted,
  virtioCsumOffset,
  virtioCsumStart,
  virtioGsoSize,
  writeVirtioHeader,
} from './virtio.ts'

test('the constants are those of the device', () => {
  expect([VIRTIO_HEADER_OCTETS, VIRTIO_NEEDS_CSUM, VIRTIO_DATA_VALID, VIRTIO_GSO_NONE]).toEqual([
    VNET_HEADER_OCTETS,
    VNET_NEEDS_CSUM,
    VNET_DATA_VALID,
    VNET_GSO_NONE,
  ])
  expect([VIRTIO_GSO_TCPV4, VIRTIO_GSO_TCPV6, VIRTIO_GSO_ECN]).toEqual([
    VNET_GSO_TCPV4,
    VNET_GSO_TCPV6,
    VNET_GSO_ECN,
  ])
})

test('a header in the order of struct virtio_net_hdr', () => {
  const octets = new Uint8Array(12).fill(0xaa)
  const view = new DataView(octets.buffer)
  writeVirtioHeader(view, 1, VIRTIO_NEEDS_CSUM, VIRTIO_GSO_TCPV4, 0x0102, 0x0304, 0x0506, 0x0708)
  expect([...octets]).toEqual([0xaa, 1, 1, 2, 1, 4, 3, 6, 5, 8, 7, 0xaa])
  expect([virtioGsoSize(view, 1), virtioCsumStart(view, 1), virtioCsumOffset(view, 1)]).toEqual([
    0x0304, 0x0506, 0x0708,
  ])
})

test.each([
  [0, false],
  [VIRTIO_NEEDS_CSUM, true],
  [VIRTIO_DATA_VALID, true],
])('flags %p: the checksum is trusted: %p', (flags, trusted) => {
  expect(virtioChecksumTrusted(new DataView(new Uint8Array([flags]).buffer), 0)).toBe(trusted)
})
