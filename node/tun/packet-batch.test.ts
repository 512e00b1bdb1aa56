import fc from 'fast-check'
import { MAX_BATCH_PACKETS, MAX_BATCH_PARTS, PacketBatch } from './packet-batch.ts'

describe('PacketBatch', () => {
  it('gives back what was put in, whatever lies in the arena and what in references', () => {
    const octets = fc.uint8Array({ maxLength: 40 })
    const reference = fc.record({ buffer: fc.nat(2), start: fc.nat(50), length: fc.nat(50) })
    const packet = fc.record({ head: octets, references: fc.array(reference, { maxLength: 5 }) })
    const buffers = [0, 1, 2].map(seed => Uint8Array.from({ length: 100 }, (_, at) => at * 3 + seed))
    const batch = new PacketBatch(4_096)
    fc.assert(
      fc.property(fc.array(packet, { maxLength: MAX_BATCH_PACKETS }), packets => {
        batch.clear()
        const expected: number[][] = []
        for (const { head, references } of packets) {
          if (!batch.fits(head.length, references.length)) break
          batch.arena.set(head, batch.begin(head.length))
          const whole = [...head]
          for (const { buffer, start, length } of references) {
            const source = buffers[buffer] as Uint8Array
            batch.add(source, start, length)
            whole.push(...source.subarray(start, start + length))
          }
          expected.push(whole)
        }
        const found = Array.from({ length: batch.count }, (_, index) => [...batch.copyOf(index)])
        expect(found).toEqual(expected)
        expect(found.map(whole => whole.length)).toEqual(expected.map((_, index) => batch.octetsOf(index)))
      }),
    )
  })

  it('starts each packet at a multiple of 8', () => {
    const batch = new PacketBatch(100)
    expect([batch.begin(10), batch.begin(1), batch.begin(8), batch.begin(3)]).toEqual([0, 16, 24, 32])
    expect([0, 1, 2, 3].map(index => batch.headOctetsOf(index))).toEqual([10, 1, 8, 3])
  })

  it('is bounded by packets, arena octets and references', () => {
    const batch = new PacketBatch(1_000)
    expect(batch.fits(1_000, 0)).toBe(true)
    expect(batch.fits(1_001, 0)).toBe(false)
    batch.begin(0)
    expect(batch.fits(0, MAX_BATCH_PARTS)).toBe(true)
    expect(batch.fits(0, MAX_BATCH_PARTS + 1)).toBe(false)
    for (let count = 1; count < MAX_BATCH_PACKETS; count++) expect(batch.push(Uint8Array.of(1))).toBe(true)
    expect(batch.push(Uint8Array.of(1))).toBe(false)
    batch.clear()
    expect(batch.push(new Uint8Array(993))).toBe(true)
    // The next packet would begin at the end, after the padding.
    expect(batch.push(Uint8Array.of(1))).toBe(false)
    expect(batch.fits(0, 0)).toBe(true)
  })

  it('lists a buffer once for references that stand near each other', () => {
    const batch = new PacketBatch(1_000)
    const [a, b] = [new Uint8Array(10), new Uint8Array(10)]
    batch.begin(1)
    batch.add(a, 0, 5)
    batch.add(a, 5, 5)
    batch.begin(1)
    batch.add(a, 0, 1)
    batch.add(b, 0, 1)
    batch.add(a, 0, 1)
    expect(batch.partCount).toBe(5)
    expect(batch.bufferCount).toBe(2)
    const others = Array.from({ length: 4 }, () => new Uint8Array(1))
    for (const other of others) batch.add(other, 0, 1)
    expect(batch.bufferCount).toBe(6)
    batch.add(b, 0, 1)
    expect(batch.bufferCount).toBe(7)
  })

  it('lets go of the buffers when it is cleared', () => {
    const batch = new PacketBatch(1_000)
    const octets = new Uint8Array(10)
    batch.begin(1)
    batch.add(octets, 0, 5)
    batch.clear()
    expect(batch.buffers).not.toContain(octets)
    expect([batch.count, batch.used, batch.partCount, batch.bufferCount]).toEqual([0, 0, 0, 0])
  })

  it('takes a packet over from another batch', () => {
    const [from, to] = [new PacketBatch(100), new PacketBatch(100)]
    from.arena.set([1, 2, 3], from.begin(3))
    from.add(Uint8Array.of(7, 8, 9), 1, 2)
    expect(to.pushFrom(from, 0)).toBe(true)
    from.clear()
    expect([...to.copyOf(0)]).toEqual([1, 2, 3, 8, 9])
    from.begin(99)
    expect(to.pushFrom(from, 0)).toBe(false)
  })
})
