import { setTimeout as sleep } from 'node:timers/promises'
import { MAX_STEERED_FLOWS, type SteeredFlow } from '../steering/steering.ts'
import { Gateways } from './gateways.ts'
import {
  decodeGatewayMessage,
  encodeGatewayMessage,
  type FlowsMessage,
  type FromGateway,
  type GatewayMessage,
  MAX_FLOWS_PER_MESSAGE,
  type OwnersMessage,
} from './messages.ts'

const FLOW = { family: 4, address: '192.0.2.1', port: 5000 } as const
const flow = (owner: number, port = 5000): SteeredFlow => ({ ...FLOW, port, owner, timeoutMs: 60_000 })

/** A gateway's end of a link that answers when the test says so. */
class Peer {
  readonly heard: GatewayMessage[] = []
  full = false

  send(envelope: unknown): boolean {
    const message = decodeGatewayMessage(envelope)
    if (message === undefined) throw new Error('no message for a gateway')
    if (!this.full) this.heard.push(message)
    return !this.full
  }

  get flows(): FlowsMessage[] {
    return this.heard.filter(message => message.type === 'flows')
  }

  get owners(): OwnersMessage[] {
    return this.heard.filter(message => message.type === 'owners')
  }

  get last(): FlowsMessage {
    const last = this.flows.at(-1)
    if (last === undefined) throw new Error('no flows yet')
    return last
  }
}

let now: number
let gateways: Gateways
let peer: Peer
const say = (link: Peer, message: FromGateway) => gateways.receive(link, encodeGatewayMessage(message))
const apply = (link: Peer) => say(link, { type: 'flows-applied', seq: link.last.seq })

beforeEach(() => {
  now = 0
  gateways = new Gateways(8, () => now, 50)
  peer = new Peer()
})
afterEach(() => gateways.close())

it('tells a gateway that is linked the owners and all elements', async () => {
  gateways.setOwners([{ owner: 1, address: '10.78.0.11', address6: undefined }])
  gateways.up(peer)
  expect(peer.owners.at(-1)?.owners).toHaveLength(1)
  expect(peer.last).toMatchObject({ reset: true, set: [] })
  const done = gateways.updateFlows({ set: [flow(1)], remove: [] })
  apply(peer)
  await done
  const second = new Peer()
  now = 10_000
  gateways.up(second)
  expect(second.last).toMatchObject({ reset: true, set: [{ ...FLOW, owner: 1, timeoutMs: 50_000 }] })
})

it('sends many elements in several messages, the first of which resets', async () => {
  gateways.up(peer)
  for (let from = 0; from < 2500; from += MAX_FLOWS_PER_MESSAGE) {
    const set = Array.from({ length: MAX_FLOWS_PER_MESSAGE }, (_, index) => flow(1, from + index + 1))
    const done = gateways.updateFlows({ set, remove: [] })
    apply(peer)
    await done
  }
  const second = new Peer()
  gateways.up(second)
  expect(second.flows.map(({ reset, set }) => [reset, set.length])).toEqual([
    [true, 1000],
    [false, 1000],
    [false, 1000],
  ])
})

it('resolves when every gateway has applied', async () => {
  const second = new Peer()
  gateways.up(peer)
  gateways.up(second)
  let done = false
  const update = gateways.updateFlows({ set: [flow(1)], remove: [] }).then(() => {
    done = true
  })
  apply(peer)
  apply(peer)
  await sleep(5)
  expect(done).toBe(false)
  apply(second)
  await update
})

describe('takes an update back, here and at the gateways,', () => {
  beforeEach(async () => {
    gateways.up(peer)
    const done = gateways.updateFlows({ set: [flow(1)], remove: [] })
    apply(peer)
    await done
  })

  /** What a gateway that is linked next is told of the flow. */
  function standing(): readonly SteeredFlow[] {
    const next = new Peer()
    gateways.up(next)
    gateways.down(next)
    return next.last.set
  }

  it('that a gateway cannot apply', async () => {
    const update = gateways.updateFlows({ set: [flow(2), flow(2, 1)], remove: [] })
    const refused = expect(update).rejects.toMatchObject({ code: 'UNKNOWN_OWNER' })
    say(peer, { type: 'flows-failed', seq: peer.last.seq, code: 'UNKNOWN_OWNER', error: 'no owner 2' })
    await refused
    expect(peer.last).toMatchObject({ reset: false, set: [{ owner: 1 }], remove: [{ port: 1 }] })
    expect(standing()).toMatchObject([{ owner: 1 }])
    expect(gateways.failures).toBe(1)
  })

  it('that a gateway does not answer', async () => {
    await expect(gateways.updateFlows({ set: [], remove: [FLOW] })).rejects.toMatchObject({
      code: 'NFT_FAILED',
    })
    expect(standing()).toMatchObject([{ owner: 1 }])
  })

  it('whose gateway is lost', async () => {
    const update = gateways.updateFlows({ set: [flow(2)], remove: [] })
    const refused = expect(update).rejects.toMatchObject({ code: 'NFT_FAILED' })
    gateways.down(peer)
    await refused
    expect(standing()).toMatchObject([{ owner: 1 }])
  })

  it('that a full link does not take', async () => {
    peer.full = true
    const update = gateways.updateFlows({ set: [flow(2)], remove: [] })
    await expect(update).rejects.toMatchObject({ code: 'STEERING_BUSY' })
    expect(standing()).toMatchObject([{ owner: 1 }])
  })

  it('but not what a later update changed', async () => {
    const first = gateways.updateFlows({ set: [flow(2)], remove: [] })
    const { seq } = peer.last
    const second = gateways.updateFlows({ set: [flow(3)], remove: [] })
    const refused = expect(first).rejects.toMatchObject({ code: 'NFT_REFUSED' })
    say(peer, { type: 'flows-applied', seq: peer.last.seq })
    say(peer, { type: 'flows-failed', seq, code: 'NFT_REFUSED', error: 'no' })
    await Promise.all([refused, second])
    expect(standing()).toMatchObject([{ owner: 3 }])
  })
})

it('refuses without a gateway, for a bad value, and beyond its bound', async () => {
  const update = { set: [flow(1)], remove: [] }
  await expect(gateways.updateFlows(update)).rejects.toMatchObject({ code: 'NFT_FAILED' })
  gateways.up(peer)
  const bad = { set: [], remove: [{ ...FLOW, address: 'x' }] }
  await expect(gateways.updateFlows(bad)).rejects.toMatchObject({ code: 'BAD_VALUE' })
  const many = { set: new Array(MAX_STEERED_FLOWS + 1).fill(flow(1)), remove: [] }
  await expect(gateways.updateFlows(many)).rejects.toMatchObject({ code: 'STEERING_FULL' })
})

it('adds up the counters of the gateways that are linked', () => {
  const second = new Peer()
  gateways.up(peer)
  gateways.up(second)
  const owners = [{ owner: 1, packets: 2, octets: 20 }]
  const counters = { packets: 3, octets: 30, byOwner: 2, byFlow: 0, unsteered: 1, owners }
  say(peer, { type: 'counters', counters })
  say(second, { type: 'counters', counters })
  expect(gateways.counters()).toMatchObject({ packets: 6, unsteered: 2, owners: [{ owner: 1, packets: 4 }] })
  gateways.down(second)
  expect(gateways.counters()).toMatchObject({ packets: 3 })
})

it('counts what is no message, and drops it', () => {
  gateways.up(peer)
  gateways.receive(peer, 'nonsense')
  gateways.receive(peer, encodeGatewayMessage({ type: 'owners', seq: 1, owners: [] }))
  expect(gateways.malformed).toBe(2)
})
