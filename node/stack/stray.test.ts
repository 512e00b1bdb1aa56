import { createTcpHeader } from '../wire/emit.ts'
import { ACK, RST } from '../wire/segment.ts'
import { decodeOwnerMessage, encodeOwnerMessage, MAX_HOPS, type OwnerMessage } from './messages.ts'
import { OWNER_PROTOCOL } from './owner.ts'
import { type Sent, TestStand } from './test-stand.ts'

const [SECOND, THIRD] = [201, 202]
/** The stand is dispatcher 0. */
const NODE = 7

function told({ envelope }: Sent): OwnerMessage | undefined {
  return decodeOwnerMessage(envelope.slice(1))
}

function stray(stand: TestStand, octets: Uint8Array, asked: number[], returnedBy = -1, hops = 1): void {
  const message = { type: 'STRAY', hops, octets, returnedBy, asked } as const
  stand.owner.receiveMessage(SECOND, [OWNER_PROTOCOL, ...encodeOwnerMessage(message)], stand.now)
}

/** Of a flow that nobody knows, without timestamps. */
function unknown(stand: TestStand, flags = ACK): Uint8Array {
  return stand.segment({ ...createTcpHeader(), flags, srcPort: 5_000, seq: 1, ack: 2 })
}

describe('a packet that a dispatcher does not know', () => {
  const stand = () => new TestStand({}, { dispatchers: () => [SECOND, THIRD] })

  it('is asked of each other dispatcher before it is reset', () => {
    const first = stand()
    first.receive([unknown(first)])
    expect(first.packets).toEqual([])
    expect(first.messages.map(({ to }) => to)).toEqual([SECOND])
    expect(told(first.messages[0] as Sent)).toMatchObject({ type: 'STRAY', asked: [0], returnedBy: -1 })

    const middle = stand()
    stray(middle, unknown(middle), [SECOND])
    expect(middle.packets).toEqual([])
    expect(middle.messages.map(({ to }) => to)).toEqual([THIRD])
    expect(told(middle.messages[0] as Sent)).toMatchObject({ asked: [SECOND, 0] })

    const last = stand()
    stray(last, unknown(last), [SECOND, THIRD])
    expect(last.messages).toEqual([])
    expect(last.owner.counters.resetsSent).toBe(1)
  })

  it('is asked for also by one that has just started, and by a reset', () => {
    const young = stand()
    young.settled = false
    young.receive([unknown(young), unknown(young, RST)])
    expect(young.messages.map(({ to }) => to)).toEqual([SECOND, SECOND])
    stray(young, unknown(young), [SECOND, THIRD])
    expect(young.owner.counters.resetsSent).toBe(0)
  })

  it('says which node has returned it, so that none is asked whether it is the owner again', () => {
    const first = stand()
    const octets = unknown(first)
    const returned = { type: 'RETURNED', hops: 1, octets, leastIsn: undefined } as const
    first.owner.receiveMessage(NODE, [OWNER_PROTOCOL, ...encodeOwnerMessage(returned)], first.now)
    expect(told(first.messages[0] as Sent)).toMatchObject({ type: 'STRAY', returnedBy: NODE })
  })

  it('does not go round for ever', () => {
    const last = stand()
    stray(last, unknown(last), [], -1, MAX_HOPS)
    expect(last.messages).toEqual([])
    expect(last.owner.counters.resetsSent).toBe(1)
  })

  it('that is empty or cut is dropped', () => {
    const first = stand()
    for (const length of [0, 5, 10, 30]) stray(first, unknown(first).subarray(0, length), [SECOND])
    expect([first.messages, first.packets]).toEqual([[], []])
  })
})
