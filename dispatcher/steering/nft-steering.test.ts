import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { whyNoNamespace } from '../../node/tun/test-namespace.ts'
import { ACK, RST, SYN } from '../../node/wire/segment.ts'
import { buildNetwork, freeHostLink, removeNetwork } from '../up/namespaces.ts'
import { createTopology, GATEWAY_HOST, GATEWAY_LAN, GATEWAY_WAN, namespacesOf } from '../up/topology.ts'
import { NftCommand } from './nft-command.ts'
import { type TableSpec, tableName } from './nft-rules.ts'
import { NftSteering } from './nft-steering.ts'
import type { NextHop } from './steering.ts'
import { type Arrival, TestOwner } from './test-owner.ts'

const name = `s${process.pid}`
const SERVICE = { vip: '10.99.3.1', vip6: 'fd99:3::1', port: 80 }

/** A client with the kernel's own TCP: connects, then writes as many octets as each line of its input says. */
const CLIENT = `const s = require('node:net').connect({ port: 80, host: process.argv[1], localPort: +process.argv[2] })
  s.on('error', e => process.stdout.write(e.code))
  require('node:readline').createInterface({ input: process.stdin })
    .on('line', n => n !== 'reset' ? s.write(Buffer.alloc(Number(n), 'x')) : s.resetAndDestroy())
    .on('close', () => setImmediate(() => process.exit()))`

;(whyNoNamespace() === undefined ? describe : describe.skip)('steering by the kernel', () => {
  const topology = createTopology(name, 2, SERVICE, undefined, freeHostLink(name))
  const { nodes, clientNamespace } = topology
  const [dispatcher] = topology.dispatchers
  const [{ namespace: gatewayNamespace, clientLink }] = topology.gateways
  const members = [dispatcher, ...nodes]
  const hops: NextHop[] = members.map(({ id, address, address6 }) => ({ owner: id, address, address6 }))
  const spec: TableSpec = {
    kind: 'gateway',
    table: tableName(name, 'gateway'),
    service: SERVICE,
    inDevices: [GATEWAY_WAN, GATEWAY_HOST],
    outDevice: GATEWAY_LAN,
    ownerIdBits: 8,
  }
  const relaySpec: TableSpec = {
    ...spec,
    kind: 'relay',
    table: tableName(name, 'relay'),
    inDevices: ['eth0'],
    outDevice: 'eth0',
  }
  const commandIn = (namespace: string) => new NftCommand(5000, ['ip', 'netns', 'exec', namespace])
  const nft = (namespace: string, ...args: string[]) =>
    execFileSync('ip', ['netns', 'exec', namespace, 'nft', ...args]).toString()
  const timestamps = (value: 0 | 1) =>
    execFileSync('ip', [
      'netns',
      'exec',
      clientNamespace,
      'sysctl',
      '-qw',
      `net.ipv4.tcp_timestamps=${value}`,
    ])

  let owners: TestOwner[]
  let clients: ChildProcess[]
  let steering: NftSteering
  let clock: number

  beforeAll(() => buildNetwork(topology), 20_000)
  afterAll(() => removeNetwork(topology.hostDevice, namespacesOf(topology)), 20_000)

  beforeEach(async () => {
    owners = []
    clients = []
    clock = 0
    timestamps(1)
    steering = new NftSteering(spec, commandIn(gatewayNamespace), () => clock)
    await steering.start()
    await steering.setOwners(hops)
  })

  afterEach(async () => {
    // A client that is only killed goes on sending its FIN, into the next test.
    for (const client of clients) {
      client.stdin?.end('reset\n')
      if (client.exitCode === null && client.signalCode === null) await once(client, 'exit')
    }
    for (const owner of owners) owner.close()
    await steering.stop()
    for (const { namespace } of members) expect(nft(namespace, 'list', 'tables')).toBe('')
    expect(nft(gatewayNamespace, 'list', 'tables')).toBe('')
  })

  /** The owners of all members, for clients of one family. */
  async function openOwners(family: 4 | 6): Promise<[TestOwner, TestOwner, TestOwner]> {
    const vip = family === 4 ? SERVICE.vip : SERVICE.vip6
    const client = family === 4 ? clientLink.far : `${clientLink.far6}`
    for (const { id, namespace } of members) {
      const routes = { device: 'tun0', metric: 1, ...SERVICE, lanDevice: 'eth0' }
      owners.push(await TestOwner.open(id, namespace, routes, vip, client))
    }
    return owners as [TestOwner, TestOwner, TestOwner]
  }

  function connectClient(family: 4 | 6, localPort = 0): ChildProcess {
    const vip = family === 4 ? SERVICE.vip : SERVICE.vip6
    const args = ['netns', 'exec', clientNamespace, process.execPath, '-e', CLIENT, vip, `${localPort}`]
    const client = spawn('ip', args, { stdio: ['pipe', 'inherit', 'inherit'] })
    clients.push(client)
    return client
  }

  const isSyn = ({ flags }: Arrival) => (flags & (SYN | ACK)) === SYN
  const isAck = ({ flags, payload }: Arrival) => (flags & (SYN | ACK)) === ACK && payload === 0
  const isData = ({ payload }: Arrival) => payload > 0

  describe.each([4, 6] as const)('over IPv%i', family => {
    it('sends each packet to the owner that its timestamp names, and SYNs to the dispatcher', async () => {
      const [first, one, two] = await openOwners(family)
      const client = connectClient(family)
      const syn = await first.take('SYN', isSyn)
      first.acceptSyn(syn, 2)
      const ack = await two.take('ACK of the handshake', isAck)
      expect(ack.echoed).toBe(2)
      client.stdin?.write('1000\n')
      const data = await two.take('data', isData)
      expect(data.payload).toBe(1000)
      // Through two routers: the gateway, and the node's own way from the wire into its TUN.
      expect(data.ttl).toBe(62)

      // Another owner speaks, with a later tick: the client's next packet is already its own.
      one.acknowledge(data, 1, 2)
      client.stdin?.write('500\n')
      expect((await one.take('data after the shift', isData)).echoed).toBe(1)
      expect(first.arrivals).toEqual([])

      const counters = await steering.counters()
      expect(counters.byFlow).toBe(0)
      expect(counters.unsteered).toBe(1)
      expect(counters.byOwner).toBe(counters.packets - 1)
      const packets = (owner: number) => counters.owners.find(count => count.owner === owner)?.packets ?? 0
      expect(packets(2)).toBeGreaterThanOrEqual(2)
      expect(packets(1)).toBeGreaterThanOrEqual(1)
      expect(packets(0)).toBe(0)
    })

    it('passes super-packets whole', async () => {
      const [first, , two] = await openOwners(family)
      const client = connectClient(family)
      first.acceptSyn(await first.take('SYN', isSyn), 2)
      await two.take('ACK', isAck)
      let largest = 0
      let next: number | undefined
      let delivered = 0
      // Two CPUs carry the packets of one flow, and now and then one overtakes another.
      const early = new Map<number, Arrival>()
      two.onArrival = arrival => {
        if (arrival.payload === 0) return
        largest = Math.max(largest, arrival.payload)
        next ??= arrival.seq
        early.set(arrival.seq, arrival)
        for (let due = early.get(next); due !== undefined; due = early.get(next)) {
          early.delete(next)
          next = (next + due.payload) | 0
          delivered += due.payload
        }
        two.acknowledge({ ...arrival, seq: next, payload: 0 }, 2)
      }
      client.stdin?.write('4000000\n')
      for (let waited = 0; delivered < 4_000_000 && waited < 4000; waited += 10) await sleep(10)
      expect(delivered).toBe(4_000_000)
      expect(largest).toBeGreaterThan(60_000)
      expect(first.arrivals).toEqual([])
    })

    it('follows the element of a client without timestamps, its change and its end', async () => {
      timestamps(0)
      const [first, one, two] = await openOwners(family)
      const client = connectClient(family)
      const syn = await first.take('SYN', isSyn)
      expect(syn.echoed).toBe(-1)
      first.acceptSyn(syn, 0)
      await first.take('ACK', isAck)

      const address = family === 4 ? clientLink.far : `${clientLink.far6}`
      const flow = { family, address, port: syn.srcPort }
      await steering.updateFlows({ set: [{ ...flow, owner: 2, timeoutMs: 60_000 }], remove: [] })
      client.stdin?.write('10\n')
      const data = await two.take('data', isData)
      two.acknowledge(data, 2)

      await steering.updateFlows({ set: [{ ...flow, owner: 1, timeoutMs: 60_000 }], remove: [] })
      client.stdin?.write('20\n')
      one.acknowledge(await one.take('data after the change', isData), 1)

      // The address of its owner changes: the element follows it.
      await steering.setOwners(hops.map(hop => (hop.owner === 1 ? { ...hop, ...hops[2], owner: 1 } : hop)))
      client.stdin?.write('25\n')
      const again = await two.take('data after the owner moved', ({ payload }) => payload === 25)
      two.acknowledge(again, 2)
      expect(first.arrivals).toEqual([])

      await steering.updateFlows({ set: [], remove: [flow] })
      client.stdin?.write('30\n')
      first.acknowledge(await first.take('data after the end', isData), 0)
      expect(await steering.counters()).toMatchObject({ byOwner: 0, byFlow: 3 })
    })
  })

  it('lets an RST follow the element, and a new SYN of the same port go to the dispatcher', async () => {
    timestamps(0)
    const [first, , two] = await openOwners(4)
    const client = connectClient(4)
    const syn = await first.take('SYN', isSyn)
    first.acceptSyn(syn, 0)
    await first.take('ACK', isAck)
    const flow = { family: 4, address: clientLink.far, port: syn.srcPort } as const
    await steering.updateFlows({ set: [{ ...flow, owner: 2, timeoutMs: 60_000 }], remove: [] })
    client.stdin?.write('reset\n')
    await two.take('RST', ({ flags }) => (flags & RST) !== 0)
    connectClient(4, syn.srcPort)
    expect((await first.take('SYN of the reused port', isSyn)).srcPort).toBe(syn.srcPort)
  })

  it('relays a flow in the kernel of the dispatcher to the owner of the clone', async () => {
    // Without a gateway's rules, as in clone mode with the dispatcher's own id.
    await steering.setOwners([])
    const relay = new NftSteering(relaySpec, commandIn(dispatcher.namespace), () => clock)
    await relay.start()
    try {
      await relay.setOwners(hops)
      const [first, one, two] = await openOwners(4)
      const client = connectClient(4)
      const syn = await first.take('SYN', isSyn)
      first.acceptSyn(syn, 0)
      await first.take('ACK', isAck)
      const flow = { family: 4, address: clientLink.far, port: syn.srcPort } as const
      await relay.updateFlows({ set: [{ ...flow, owner: 1, timeoutMs: 60_000 }], remove: [] })
      client.stdin?.write('100\n')
      const data = await one.take('relayed data', isData)
      expect(data.ttl).toBe(61)
      one.acknowledge(data, 0)
      expect(first.arrivals).toEqual([])
      expect(two.arrivals).toEqual([])
      expect(await relay.counters()).toMatchObject({ byOwner: 0, byFlow: 1 })
    } finally {
      await relay.stop()
    }
  })

  it('forgets elements whose time is over', async () => {
    const flow = { family: 4, address: '192.0.2.1', owner: 1 } as const
    await steering.updateFlows({
      set: [
        { ...flow, port: 1, timeoutMs: 5000 },
        { ...flow, port: 2, timeoutMs: 60_000 },
      ],
      remove: [],
    })
    clock = 10_000
    await sleep(1200)
    const left = nft(gatewayNamespace, 'list', 'map', 'netdev', spec.table, 'flows4')
    expect(left).toContain('192.0.2.1 . 2 ')
    expect(left).not.toContain('192.0.2.1 . 1 ')
  })

  it('builds its table again when somebody has removed it or changed what is in it', async () => {
    const flow = { family: 4, address: '192.0.2.1', port: 1, owner: 1, timeoutMs: 60_000 } as const
    await steering.updateFlows({ set: [flow], remove: [] })
    nft(gatewayNamespace, 'flush', 'ruleset')
    await steering.updateFlows({ set: [{ ...flow, port: 2 }], remove: [] })
    const list = () => nft(gatewayNamespace, 'list', 'map', 'netdev', spec.table, 'flows4')
    expect(list()).toMatch(/192\.0\.2\.1 \. 1 .*192\.0\.2\.1 \. 2 /s)
    nft(gatewayNamespace, 'flush', 'map', 'netdev', spec.table, 'flows4')
    await steering.updateFlows({ set: [], remove: [flow] })
    expect(list()).not.toContain('192.0.2.1 . 1 ')
    expect(list()).toContain('192.0.2.1 . 2 ')
  })

  it('builds its table again by itself, and counters go on from where they were', async () => {
    nft(gatewayNamespace, 'flush', 'ruleset')
    await expect(steering.counters()).rejects.toMatchObject({ code: 'NFT_REFUSED' })
    await sleep(1200)
    expect(nft(gatewayNamespace, 'list', 'tables')).toContain(spec.table)
    await steering.counters()
  })

  it('sets and replaces thousands of elements in a moment', async () => {
    const flows = Array.from({ length: 5000 }, (_, index) => ({
      family: 4 as const,
      address: `192.0.${index >> 8}.${index & 255}`,
      port: 1000,
      owner: 1 + (index % 2),
      timeoutMs: 60_000,
    }))
    const startedAt = performance.now()
    await Promise.all(flows.map(flow => steering.updateFlows({ set: [flow], remove: [] })))
    await Promise.all(flows.map(flow => steering.updateFlows({ set: [{ ...flow, owner: 1 }], remove: [] })))
    // A process for each would take 18 s.
    expect(performance.now() - startedAt).toBeLessThan(9_000)
    await steering.replaceFlows(flows.slice(0, 3))
    const map = JSON.parse(nft(gatewayNamespace, '-j', 'list', 'map', 'netdev', spec.table, 'flows4'))
    expect(map.nftables[1].map.elem).toHaveLength(3)
  })

  it('refuses what it cannot do, and keeps what it had', async () => {
    const flow = { family: 4, address: '192.0.2.1', port: 1, owner: 9, timeoutMs: 60_000 } as const
    await expect(steering.updateFlows({ set: [flow], remove: [] })).rejects.toMatchObject({
      code: 'UNKNOWN_OWNER',
    })
    const other = new NftSteering(
      { ...spec, table: 'other', outDevice: 'nosuch0' },
      commandIn(gatewayNamespace),
    )
    await expect(other.start()).rejects.toMatchObject({ code: 'NFT_REFUSED' })
    await other.stop()
    await expect(other.setOwners(hops)).rejects.toMatchObject({ code: 'STEERING_STOPPED' })
  })

  it('leaves the rules of an earlier run in force until it has its own', async () => {
    const next = new NftSteering(spec, commandIn(gatewayNamespace))
    await next.start()
    expect(nft(gatewayNamespace, 'list', 'map', 'netdev', spec.table, 'owners4')).toContain('10.78.0.12')
    await next.setOwners(hops.slice(0, 2))
    expect(nft(gatewayNamespace, 'list', 'map', 'netdev', spec.table, 'owners4')).not.toContain('10.78.0.12')
    await next.stop()
  })
})
