import { setTimeout as sleep } from 'node:timers/promises'
import { createIncarnation, type Hello, PROTOCOL_VERSION } from '../../node/control/hello.ts'
import type { Link } from '../../node/control/link.ts'
import { Listener } from '../../node/control/listener.ts'
import type { GatewayOptions } from '../options.ts'
import { MemorySteering } from '../steering/memory-steering.ts'
import { Gateway } from './gateway.ts'
import { Gateways } from './gateways.ts'

const OWNERS = [
  { owner: 0, address: '10.78.0.2', address6: undefined },
  { owner: 1, address: '10.78.0.11', address6: undefined },
]
const FLOW = { family: 4, address: '192.0.2.1', port: 5000 } as const
const SET = { set: [{ ...FLOW, owner: 1, timeoutMs: 60_000 }], remove: [] }
const now = () => performance.now()

function helloOf(run: number): Hello {
  return {
    protocol: PROTOCOL_VERSION,
    cluster: 'gyre',
    ownerId: 0,
    role: 'dispatcher',
    name: 'dispatcher',
    incarnation: createIncarnation(run, Math.random),
    addresses: [],
    capabilities: [],
  }
}

/** A dispatcher that has nothing but gateways. */
async function listen(
  run: number,
  gateways: Gateways,
  port = 0,
): Promise<{ listener: Listener; port: number }> {
  const listener = new Listener({
    hello: () => helloOf(run),
    handlers: {
      onUp: (link: Link) => gateways.up(link),
      onMessage: (link: Link, message: unknown) => gateways.receive(link, message),
      onDown: (link: Link) => gateways.down(link),
    },
  })
  const address = await listener.listen(port, '127.0.0.1')
  return { listener, port: address.port }
}

async function until(what: () => boolean): Promise<void> {
  for (let waited = 0; !what(); waited += 5) {
    if (waited > 4000) throw new Error(`waited in vain for ${what}`)
    await sleep(5)
  }
}

it('steers as the dispatcher says, also the next run of it, and keeps its rules between them', async () => {
  const steering = new MemorySteering(8, now)
  const first = new Gateways(8, now)
  first.setOwners(OWNERS)
  const { listener, port } = await listen(1, first)
  const options: GatewayOptions = {
    cluster: 'gyre',
    name: 'gateway',
    vip: '10.77.0.1',
    vip6: undefined,
    config: undefined,
    port: 80,
    ownerIdBits: 8,
    dispatchers: [{ host: '127.0.0.1', port }],
    wan: ['wan0'],
    lan: 'lan0',
    steering: 'nft',
  }
  const lines: string[] = []
  const gateway = new Gateway(options, steering, line => lines.push(line))
  let second: Listener | undefined
  try {
    await gateway.ready
    expect([...steering.table.owners.keys()]).toEqual([0, 1])
    await first.updateFlows(SET)
    expect(steering.table.size).toBe(1)
    const unknown = { set: [{ ...FLOW, owner: 9, timeoutMs: 1000 }], remove: [] }
    await expect(first.updateFlows(unknown)).rejects.toMatchObject({ code: 'UNKNOWN_OWNER' })

    await listener.close()
    await until(() => lines.some(line => line.includes('the rules stay')))
    expect(steering.table.size).toBe(1)

    // A dispatcher that has just started knows of no element; what it knows is all there is.
    const next = new Gateways(8, now)
    next.setOwners(OWNERS.slice(0, 1))
    second = (await listen(2, next, port)).listener
    await until(() => steering.table.size === 0 && steering.table.owners.size === 1)
    expect(next.size).toBe(1)
  } finally {
    await gateway.stop()
    await listener.close()
    await second?.close()
  }
}, 15_000)
