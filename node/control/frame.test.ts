import fc from 'fast-check'
import {
  CLOSE,
  closeFrame,
  FrameReader,
  frameHeader,
  MAX_FRAME_OCTETS,
  MESSAGES,
  PING,
  PONG,
  parseClose,
  pingFrame,
} from './frame.ts'
import { frameOf } from './stranger.ts'

type Frame = readonly [kind: number, payload: string]

function readAll(chunks: readonly Uint8Array[], most = Number.POSITIVE_INFINITY) {
  const reader = new FrameReader()
  const frames: Frame[] = []
  for (const chunk of chunks) {
    const fault = reader.read(Buffer.from(chunk), (kind, payload) => {
      frames.push([kind, payload.toString('latin1')])
      return frames.length < most
    })
    if (fault !== undefined) return { frames, fault }
    if (frames.length >= most) break
  }
  return { frames, fault: undefined }
}

const time = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8)
const text = (octets: Uint8Array) => Buffer.from(octets).toString('latin1')

it('are read as they were written, however the octets are cut', () => {
  const payload = fc.uint8Array({ maxLength: 400 })
  const written = fc.array(fc.oneof(payload, fc.constantFrom(PING, PONG)), { maxLength: 8 })
  fc.assert(
    fc.property(written, fc.array(fc.nat({ max: 60 }), { minLength: 1, maxLength: 40 }), (what, cuts) => {
      const whole = Buffer.concat(
        what.map(each => (typeof each === 'number' ? pingFrame(each, time) : frameOf(each))),
      )
      const chunks: Uint8Array[] = []
      for (let at = 0, cut = 0; at < whole.length; cut++) {
        const length = 1 + (cuts[cut % cuts.length] as number)
        chunks.push(whole.subarray(at, at + length))
        at += length
      }
      const expected = what.map(each =>
        typeof each === 'number' ? [each, text(time)] : [MESSAGES, text(each)],
      )
      expect(readAll(chunks)).toEqual({ frames: expected, fault: undefined })
    }),
  )
})

it('in pieces of one octet are whole, and not kept in as many', () => {
  const octets = Uint8Array.from({ length: 50_000 }, (_, at) => at % 251)
  const reader = new FrameReader()
  const payloads: Buffer[] = []
  let most = 0
  for (const octet of frameOf(octets)) {
    reader.read(Buffer.of(octet), (_, payload) => payloads.push(payload) > 0)
    most = Math.max(most, reader.pieces)
  }
  expect(payloads.map(payload => Buffer.compare(payload, octets))).toEqual([0])
  expect(most).toBeLessThan(50)
})

it('of an end name its code and a reason that is visible ASCII and short', () => {
  const frame = closeFrame(4_001, `gone\n${'x'.repeat(200)}`)
  const { frames } = readAll([frame])
  expect(frames[0]?.[0]).toBe(CLOSE)
  expect(parseClose(Buffer.from(frames[0]?.[1] ?? '', 'latin1'))).toEqual({
    code: 4_001,
    reason: `gone?${'x'.repeat(118)}`,
  })
})

it('behind one that ended the link are not read', () => {
  expect(readAll([Buffer.concat([frameOf(Uint8Array.of(65)), frameOf(Uint8Array.of(66))])], 1)).toEqual({
    frames: [[MESSAGES, 'A']],
    fault: undefined,
  })
})

it.each([
  ['of no known kind', Uint8Array.of(9, 0, 0, 0, 0), 'FRAME_INVALID'],
  ['of kind 0', Uint8Array.of(0, 0, 0, 0, 0), 'FRAME_INVALID'],
  ['that is text of another protocol', Buffer.from('GET / HTTP/1.1\r\n'), 'FRAME_INVALID'],
  ['with more than the largest message', frameHeader(MESSAGES, MAX_FRAME_OCTETS + 1), 'MESSAGE_TOO_LARGE'],
  ['that claims 4 GiB', frameHeader(MESSAGES, 2 ** 32 - 1), 'MESSAGE_TOO_LARGE'],
  ['of a ping that is too long', frameHeader(PING, 9), 'FRAME_INVALID'],
  ['of an empty pong', frameHeader(PONG, 0), 'FRAME_INVALID'],
  ['of an end without a code', frameHeader(CLOSE, 1), 'FRAME_INVALID'],
  ['of an end with a long reason', frameHeader(CLOSE, 126), 'FRAME_INVALID'],
])('%s are refused as soon as they begin', (_, octets, fault) => {
  expect(readAll([frameOf(Uint8Array.of(65)), octets])).toEqual({ frames: [[MESSAGES, 'A']], fault })
})
