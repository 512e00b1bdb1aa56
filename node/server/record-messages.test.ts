import fc from 'fast-check'
import { pack, unpack } from 'msgpackr'
import {
  decodeRecordsMessage,
  encodeRecordsMessage,
  MAX_DISOWNED,
  MAX_RECORD_OCTETS,
  type RecordsMessage,
} from './record-messages.ts'

const flow = {
  ...{ family: 4 as const, remote0: 0, remote1: 0, remote2: 0xffff, remote3: 7 },
  ...{ remotePort: 40_000, localPort: 80 },
}
const record = Uint8Array.of(1, 2, 3)
const MESSAGES: readonly RecordsMessage[] = [
  {
    type: 'RECORD',
    owned: { connection: 7, epoch: 3, flow, timestamps: true, request: 'GET /file.bin' },
    record,
  },
  { type: 'RECOVER', connection: 2 ** 40, epoch: 1_027, flow, ticks: 45, from: 2, record },
  { type: 'NOT_RECOVERED', connection: 7, epoch: 1_027, reason: 'NO_OBJECT' },
  { type: 'DISOWN', connections: [{ connection: 7, epoch: 1_027 }] },
]

const received = (message: RecordsMessage) =>
  unpack(pack(encodeRecordsMessage(message))).slice(1) as unknown[]

describe('a message about birth records', () => {
  it.each(MESSAGES)('$type arrives as it was sent', message => {
    expect(decodeRecordsMessage(received(message))).toEqual({
      ...message,
      ...('record' in message ? { record: expect.objectContaining([1, 2, 3]) } : {}),
    })
  })

  it.each(MESSAGES)('$type with anything else in it is none', message => {
    const plain = received(message)
    fc.assert(
      fc.property(fc.nat(plain.length - 1), fc.anything(), (index, value) => {
        const changed = [...plain]
        changed[index] = value
        const decoded = decodeRecordsMessage(changed)
        // What is taken is a message: it can be sent on as it is.
        if (decoded !== undefined) expect(() => encodeRecordsMessage(decoded)).not.toThrow()
      }),
    )
  })

  it.each([
    ['RECORD', [0, [7, 3, [4, 7, 40_000, 80], true, ''], new Uint8Array(MAX_RECORD_OCTETS + 1)]],
    ['RECOVER', [1, 7, 3, [4, 7, 40_000, 80], 2 ** 21, 1, record]],
    ['DISOWN', [3, new Array(2 * MAX_DISOWNED + 2).fill(1)]],
    ['DISOWN', [3, [1, 2, 3]]],
    ['anything', [4]],
  ])('%s beyond its bounds is refused', (_type, plain) => {
    expect(decodeRecordsMessage(plain)).toBeUndefined()
  })
})
