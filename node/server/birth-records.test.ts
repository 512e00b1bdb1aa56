import { TestPeer } from '../stack/test-peer.ts'
import { TestStand } from '../stack/test-stand.ts'
import { send } from '../tcp/user.ts'
import { BirthRecords } from './birth-records.ts'
import { decodeRecordsMessage } from './record-messages.ts'

const KIBIBYTE = 1_024

/** A client that is sent a response longer than one flight, and does not read it; what is sent to the dispatcher. */
function stand() {
  const told: number[] = []
  const server = new TestStand({}, { record: connection => births.look(connection) })
  const births = new BirthRecords({
    owner: server.owner,
    send: envelope => {
      const message = decodeRecordsMessage(envelope.slice(1))
      if (message?.type === 'RECORD') told.push(message.record.length)
      return true
    },
    now: () => server.now,
    wake: () => {},
  })
  births.linkUp()
  const peer = new TestPeer(server, 5_000).establish()
  const { connection } = peer
  const respond = (octets: number) => {
    send(connection.tcb, new Uint8Array(octets), server.now)
    server.owner.touched(connection, server.now)
  }
  const say = (octets: number) => {
    peer.send({ payloadLength: octets })
    peer.seq = (peer.seq + octets) | 0
  }
  return { told, respond, say, connection }
}

describe('a birth record', () => {
  it('is told of what is longer than one flight, and once', () => {
    const { told, respond } = stand()
    respond(20 * KIBIBYTE)
    expect(told).toHaveLength(1)
    expect(told[0]).toBeGreaterThan(20 * KIBIBYTE)
  })

  it('is taken back where the client sends what is too much for a record', () => {
    const { told, respond, say } = stand()
    respond(20 * KIBIBYTE)
    for (let segments = 0; segments < 15; segments++) say(KIBIBYTE)
    expect(told[0]).toBeGreaterThan(0)
    expect(told.at(-1)).toBe(0)
  })

  it('costs a bounded number of octets, whatever a client sends that does not read', () => {
    const { told, respond, say } = stand()
    respond(20 * KIBIBYTE)
    for (let segments = 0; segments < 500; segments++) say(1)
    expect(told.at(-1)).toBe(0)
    expect(told.reduce((sum, octets) => sum + octets)).toBeLessThan(300 * KIBIBYTE)
  })
})
