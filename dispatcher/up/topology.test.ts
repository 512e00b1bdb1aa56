import { UpError } from './errors.ts'
import { clientScript, creation, gatewayScript, hostCommands, memberScript } from './namespaces.ts'
import {
  CLUSTER_NAME,
  createTopology,
  HOST_LINKS,
  hostDevice,
  isNamespaceOf,
  isUsableHostLink,
  type Member,
  namespacesOf,
  preferredHostLink,
} from './topology.ts'

const SERVICE = { vip: '10.77.0.1', vip6: 'fd77::1', port: 80 }

describe('createTopology', () => {
  it('names and numbers the members', () => {
    const topology = createTopology('gyre', 3, SERVICE, undefined, 0)
    expect(namespacesOf(topology)).toEqual([
      'gyre-gateway',
      'gyre-client',
      'gyre-dispatcher',
      'gyre-node1',
      'gyre-node2',
      'gyre-node3',
    ])
    expect(topology.dispatchers[0]).toMatchObject({ id: 0, address: '10.78.0.2', address6: 'fd78::2' })
    expect(topology.nodes[2]).toMatchObject({ id: 3, address: '10.78.0.13', address6: 'fd78::d' })
  })

  it('gives 200 nodes different addresses inside of the LAN', () => {
    const topology = createTopology('gyre', 200, SERVICE, undefined, 0)
    const addresses = [
      topology.gateways[0].address,
      topology.dispatchers[0].address,
      ...topology.nodes.map(node => node.address),
    ]
    expect(new Set(addresses).size).toBe(202)
    for (const address of addresses) expect(Number(address.split('.')[3])).toBeLessThan(255)
  })

  it('has several dispatchers and gateways, the further ones with ids and addresses behind those of all nodes', () => {
    const topology = createTopology('gyre', 200, SERVICE, undefined, 0, 1, { dispatchers: 8, gateways: 8 })
    const { gateways, dispatchers, nodes } = topology
    const ids = [...dispatchers, ...nodes].map(({ id }) => id)
    expect(new Set(ids).size).toBe(208)
    expect(Math.max(...ids)).toBeLessThan(256)
    const addresses = [...gateways, ...dispatchers, ...nodes].map(({ address }) => address)
    expect(new Set(addresses).size).toBe(216)
    for (const address of addresses) expect(Number(address.split('.')[3])).toBeLessThan(255)
    const names = namespacesOf(topology)
    expect(names).toContain('gyre-gateway8')
    expect(names.every(name => isNamespaceOf(name, 'gyre'))).toBe(true)
  })

  it('sends the client over all gateways, and answers back over the one whose link its address is of', () => {
    const topology = createTopology('gyre', 1, SERVICE, undefined, 0, 1, { dispatchers: 2, gateways: 2 })
    const [node] = topology.nodes
    expect(clientScript(topology)).toContain(
      'route add 10.77.0.1/32 nexthop via 10.79.0.1 dev eth0 nexthop via 10.79.1.1 dev eth1',
    )
    expect(memberScript(topology, node as Member)).toContain(
      'route add 10.79.1.2/32 via 10.78.0.221 dev eth0',
    )
    const [, second] = topology.gateways
    const script = gatewayScript(topology, second)
    expect(script).toContain('route add 10.77.0.1/32 via 10.78.0.2 dev lan0')
    expect(script).not.toContain('type bridge')
  })

  it('has no IPv6 where there is no IPv6 VIP', () => {
    const topology = createTopology('gyre', 1, { ...SERVICE, vip6: undefined }, undefined, 0)
    const [node] = topology.nodes
    const all = [creation(topology), hostCommands(topology), gatewayScript(topology), clientScript(topology)]
    if (node !== undefined) all.push(memberScript(topology, node))
    expect(all.join('')).not.toMatch(/fd7|undefined|ipv6\/conf/)
  })

  it.each(['10.78.0.9', '10.79.0.1', '169.254.3.4'])('refuses the VIP %s, which it uses itself', vip => {
    expect(() => createTopology('gyre', 1, { ...SERVICE, vip }, undefined, 0)).toThrow(UpError)
  })

  it.each(['fd78::5', 'fd79:1::1'])('refuses the IPv6 VIP %s, which it uses itself', vip6 => {
    expect(() => createTopology('gyre', 1, { ...SERVICE, vip6 }, undefined, 0)).toThrow(UpError)
  })

  it('never writes "undefined" into a command', () => {
    const topology = createTopology('a', 2, SERVICE, 1e8, 5)
    const scripts = [topology.dispatchers[0], ...topology.nodes].map(member => memberScript(topology, member))
    const text = [creation(topology), hostCommands(topology), gatewayScript(topology), ...scripts].join('')
    expect(text).not.toContain('undefined')
    expect(text.match(/tbf rate 100000000bit/g)).toHaveLength(4)
  })

  it('writes neighbours down where there are too many to ask for', () => {
    const few = createTopology('a', 3, SERVICE, undefined, 0)
    expect(gatewayScript(few)).not.toContain('neigh')
    const many = createTopology('a', 200, SERVICE, undefined, 0)
    for (const text of [gatewayScript(many), memberScript(many, many.dispatchers[0])]) {
      expect(text.match(/neigh replace/g)).toHaveLength(404)
      expect(text).toContain('neigh replace fd78::d2 lladdr 02:67:79:72:65:d2 dev')
    }
    expect(creation(many)).toContain('link add eth0 netns a-node200 address 02:67:79:72:65:d2 type veth')
  })

  it('gives the client a route to the VIPs and no default route', () => {
    const script = clientScript(createTopology('gyre', 1, SERVICE, undefined, 0))
    expect(script.match(/route add .*/g)).toEqual([
      'route add 10.77.0.1/32 via 10.79.0.1 dev eth0',
      'route add fd77::1/128 via fd79::1 dev eth0',
    ])
  })
})

describe('names', () => {
  it.each(['gyre', 'a', 'gyre-2', 'x'.repeat(32)])('allows the cluster name %s', name => {
    expect(name).toMatch(CLUSTER_NAME)
    expect(hostDevice(name).length).toBeLessThanOrEqual(15)
  })

  it.each(['', '2a', 'A', 'a b', 'a/b', 'a;b', '-a', 'x'.repeat(33)])(
    'refuses the cluster name "%s"',
    name => {
      expect(name).not.toMatch(CLUSTER_NAME)
    },
  )

  it('knows its own namespaces and no others', () => {
    const mine = ['a-gateway', 'a-dispatcher', 'a-client', 'a-node1', 'a-node200']
    const others = ['a', 'a-', 'a-node', 'a-node0', 'a-node01', 'a-node1x', 'a-b-node1', 'b-node1', 'a-other']
    expect([...mine, ...others].filter(namespace => isNamespaceOf(namespace, 'a'))).toEqual(mine)
  })

  it('gives long names different devices', () => {
    expect(hostDevice('a-rather-long-name-1')).not.toBe(hostDevice('a-rather-long-name-2'))
  })
})

describe('host links', () => {
  it('are /30s of link-local addresses without the ends and the metadata network', () => {
    for (let number = 0; number < HOST_LINKS; number += 7) {
      if (!isUsableHostLink(number)) continue
      const { gateway, far } = createTopology('a', 1, SERVICE, undefined, number).hostLink
      const [, , network = 0, low = 0] = gateway.split('.').map(Number)
      const good = network >= 1 && network <= 254 && network !== 169 && low % 4 === 1
      if (!good || far !== `169.254.${network}.${low + 1}`) throw new Error(`${number}: ${gateway} ${far}`)
    }
  })

  it('prefer the same one each time', () => {
    expect(preferredHostLink('gyre')).toBe(preferredHostLink('gyre'))
    expect(preferredHostLink('gyre')).not.toBe(preferredHostLink('gyre2'))
  })
})
