import { setTimeout as sleep } from 'node:timers/promises'
import { createIncarnation, type Hello, PROTOCOL_VERSION } from '../../node/control/hello.ts'
import type { Link } from '../../node/control/link.ts'
import { createKeyText, type LinkKeys, parseLinkKeys } from '../../node/control/link-keys.ts'
import { Listener } from '../../node/control/listener.ts'
import { EmbeddedCoordinator } from '../coordination/embedded.ts'
import { formatEndpoint } from '../flags.ts'
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

function helloOf(run: number, ownerId: number): Hello {
  return {
    protocol: PROTOCOL_VERSION,
    cluster: 'gyre',
    ownerId,
    role: 'dispatcher',
    name: `dispatcher${ownerId}`,
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
  { ownerId = 0, keys = undefined as LinkKeys | undefined } = {},
): Promise<{ listener: Listener; port: number }> {
  const hello = helloOf(run, ownerId)
  const listener = new Listener({
    hello: () => hello,
    keys,
    handlers: {
      onUp: (link: Link) => gateways.up(link),
      onMessage: (link: Link, message: unknown) => gateways.receive(link, message),
      onDown: (link: Link) => gateways.down(link),
    },
  })
  const address = await listener.listen(port, '127.0.0.1')
  return { listener, port: address.port }
}

function optionsFor(...ports: readonly number[]): GatewayOptions {
  return {
    cluster: 'gyre',
    name: 'gateway',
    vip: '10.77.0.1',
    vip6: undefined,
    config: undefined,
    port: 80,
    ownerIdBits: 8,
    dispatchers: ports.map(port => ({ host: '127.0.0.1', port })),
    wan: ['wan0'],
    lan: 'lan0',
    steering: 'nft',
  }
}

function gatewayOf(
  options: GatewayOptions,
  steering: MemorySteering,
  log: (line: string) => void,
  keys?: LinkKeys,
): Gateway {
  return new Gateway(
    options,
    new EmbeddedCoordinator(options.dispatchers.map(formatEndpoint)),
    steering,
    log,
    keys,
  )
}

async function until(what: () => boolean): Promise<void> {
  for (let waited = 0; !what(); waited += 5) {
    if (waited > 20_000) throw new Error(`waited in vain for ${what}`)
    await sleep(5)
  }
}

it('steers as the dispatcher says, also the next run of it, and keeps its rules between them', async () => {
  const steering = new MemorySteering(8, now)
  const first = new Gateways(8, now)
  first.setOwners(OWNERS)
  const { listener, port } = await listen(1, first)
  const lines: string[] = []
  const gateway = gatewayOf(optionsFor(port), steering, line => lines.push(line))
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
}, 60_000)

it('says that clients may come while it steers and has a dispatcher, and says why where not', async () => {
  const steering = new MemorySteering(8, now)
  const gateways = new Gateways(8, now)
  gateways.setOwners(OWNERS)
  // A port that nobody listens on yet.
  const { listener: early, port } = await listen(1, gateways)
  await early.close()
  const gateway = gatewayOf(optionsFor(port), steering, () => {})
  let listener: Listener | undefined
  try {
    const health = await gateway.listen({ host: '127.0.0.1', port: 0 })
    const ask = async (path: string) => {
      const response = await fetch(`http://127.0.0.1:${health}${path}`)
      return [response.status, (await response.text()).trim()]
    }
    expect(await ask('/readyz')).toEqual([503, 'no dispatcher has named the owners'])
    listener = (await listen(1, gateways, port)).listener
    await gateway.ready
    expect(await ask('/readyz')).toEqual([200, 'ok'])
    await listener.close()
    await until(() => gateway.fault !== undefined)
    expect(await ask('/readyz')).toEqual([503, 'no dispatcher is linked; the rules stay'])
    expect(await ask('/healthz')).toEqual([200, 'ok'])
    expect(await ask('/')).toEqual([404, 'not found'])
  } finally {
    await gateway.stop()
    await listener?.close()
  }
}, 60_000)

it('is linked with each of several dispatchers by the key, and spreads over those that it hears', async () => {
  const keys = parseLinkKeys(createKeyText())
  if (typeof keys === 'string') throw new Error(keys)
  const steering = new MemorySteering(8, now)
  const node = { owner: 1, address: '10.78.0.11', address6: undefined }
  const made = await Promise.all(
    [0, 201].map(async ownerId => {
      const gateways = new Gateways(8, now)
      gateways.setOwners([{ owner: ownerId, address: `10.78.0.${ownerId + 2}`, address6: undefined }, node])
      return listen(1, gateways, 0, { ownerId, keys })
    }),
  )
  const spreadOver = () => [...new Set(steering.table.slots)].sort((a, b) => a - b)
  const gateway = gatewayOf(optionsFor(...made.map(({ port }) => port)), steering, () => {}, keys)
  try {
    await until(() => `${spreadOver()}` === '0,201')
    expect([...steering.table.owners.keys()]).toEqual([0, 1, 201])
    await made[1]?.listener.close()
    await until(() => `${spreadOver()}` === '0')
    expect([...steering.table.owners.keys()]).toEqual([0, 1])
  } finally {
    await gateway.stop()
    for (const { listener } of made) await listener.close()
  }
}, 60_000)
