import fc from 'fast-check'
import { FrameTracker } from './frame-tracker.ts'

/** A masked frame, as clients send them. */
function frame(opcode: number, fin: boolean, octets: number): Uint8Array {
  const extended = octets < 126 ? 0 : octets < 65_536 ? 2 : 8
  const all = new Uint8Array(2 + extended + 4 + octets).fill(0xff)
  const view = new DataView(all.buffer)
  all[0] = opcode | (fin ? 0x80 : 0)
  all[1] = 0x80 | (extended === 0 ? octets : extended === 2 ? 126 : 127)
  if (extended === 2) view.setUint16(2, octets)
  if (extended === 8) view.setBigUint64(2, BigInt(octets))
  return all
}

describe('where a WebSocket stands', () => {
  it('is between messages exactly there, however the octets are cut', () => {
    const size = fc.oneof(fc.nat(200), fc.constantFrom(0, 125, 126, 127, 65_535, 65_536))
    const message = fc.array(size, { minLength: 1, maxLength: 4 })
    fc.assert(
      fc.property(
        fc.array(message, { maxLength: 4 }),
        fc.integer({ min: 1, max: 5_000 }),
        (messages, cut) => {
          const tracker = new FrameTracker()
          const octets: number[] = []
          const ends = new Set([0])
          for (const sizes of messages) {
            sizes.forEach((length, part) => {
              octets.push(...frame(part === 0 ? 1 : 0, part === sizes.length - 1, length))
              // A ping in the middle of a message is none itself.
              if (part < sizes.length - 1) octets.push(...frame(9, true, 3))
            })
            ends.add(octets.length)
          }
          for (let at = 0; at < octets.length; at += cut) {
            // Compared by hand: there may be many places.
            if (tracker.isBetweenMessages !== ends.has(at)) throw new Error(`wrong at octet ${at}`)
            tracker.see(Uint8Array.from(octets.slice(at, at + cut)))
          }
          expect(tracker.isBetweenMessages).toBe(true)
        },
      ),
      { numRuns: 30 },
    )
  })
})
