import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { whyNoNamespace } from '../../node/tun/test-namespace.ts'
import { ACK } from '../../node/wire/segment.ts'
import { buildNetwork, freeHostLink, removeNetwork } from '../up/namespaces.ts'
import { createTopology, namespacesOf } from '../up/topology.ts'
import { runCommand } from './command.ts'
import { TestOwner } from './test-owner.ts'
import { tunCommands } from './tun-routes.ts'

const OPTIONS = { device: 'tun0', vip: '10.77.0.1', vip6: 'fd77::1', lanDevice: 'eth0' }

describe('tunCommands', () => {
  it('route the VIPs into the device and give it no address', () => {
    expect(tunCommands(OPTIONS, 4)).toBe(
      'link set tun0 up txqueuelen 8192 mtu 1500 addrgenmode none\nroute replace 10.77.0.1/32 dev tun0\n',
    )
    expect(tunCommands(OPTIONS, 6)).toBe('route replace fd77::1/128 dev tun0\n')
  })

  it('send what a node writes back for the VIP to the dispatcher', () => {
    const node = { ...OPTIONS, dispatcherAddress: '10.78.0.2', dispatcherAddress6: 'fd78::2' }
    expect(tunCommands(node, 6)).toBe(
      'route replace fd77::1/128 dev tun0\n' +
        'route replace fd77::1/128 via fd78::2 dev eth0 table 77\n' +
        'rule add iif tun0 lookup 77 priority 7700\n',
    )
  })
})

const name = `r${process.pid}`
const SERVICE = { vip: '10.99.4.1', vip6: 'fd99:4::1', port: 80 }

;(whyNoNamespace() === undefined ? describe : describe.skip)('in namespaces', () => {
  const topology = createTopology(name, 1, SERVICE, undefined, freeHostLink(name))
  const { dispatcher, nodes, clientLink } = topology
  beforeAll(() => buildNetwork(topology), 20_000)
  afterAll(() => removeNetwork(topology.hostDevice, namespacesOf(topology)), 20_000)

  it.each([4, 6] as const)(
    'a packet that a node does not know reaches the dispatcher over IPv%i',
    async family => {
      const vip = family === 4 ? SERVICE.vip : SERVICE.vip6
      const client = family === 4 ? clientLink.far : `${clientLink.far6}`
      const routes = { ...OPTIONS, ...SERVICE }
      const addresses = { dispatcherAddress: dispatcher.address, dispatcherAddress6: dispatcher.address6 }
      const owners = [await TestOwner.open(0, dispatcher.namespace, routes, vip, client)]
      try {
        // As if it had come from the client: the ends are the other way round.
        const node = `${nodes[0]?.namespace}`
        const returning = await TestOwner.open(1, node, { ...routes, ...addresses }, client, vip)
        owners.push(returning)
        returning.send({ flags: ACK, srcPort: 5000, dstPort: 80, seq: 7 })
        const arrival = await owners[0]?.take('returned packet', ({ seq }) => seq === 7)
        expect(arrival?.srcPort).toBe(5000)
      } finally {
        for (const owner of owners) owner.close()
        const rule = ['-n', `${nodes[0]?.namespace}`, 'rule', 'delete', 'iif', 'tun0', 'lookup', '77']
        for (const family of ['-4', '-6']) await runCommand('ip', [family, ...rule])
      }
    },
  )

  it('bringUpTun can be called again, and remove leaves no rule', async () => {
    const options = {
      ...OPTIONS,
      ...SERVICE,
      dispatcherAddress: dispatcher.address,
      dispatcherAddress6: dispatcher.address6,
    }
    const script = `
      const { bringUpTun } = await import(${JSON.stringify(join(__dirname, '../../dist/dispatcher/steering/tun-routes.js'))})
      const { openTun } = await import(${JSON.stringify(join(__dirname, '../../dist/node/tun/tun-device.js'))})
      const { execFileSync } = await import('node:child_process')
      const options = ${JSON.stringify(options)}
      const device = openTun({ name: 'tun0' })
      await bringUpTun(options)
      const routes = await bringUpTun(options)
      const show = () => ['-4', '-6'].map(family => String(execFileSync('ip', [family, 'rule'])).split('iif tun0').length - 1)
      const before = show()
      await routes.remove()
      console.log(JSON.stringify([before, show()]))
      device.close()`
    const node = [
      'netns',
      'exec',
      `${nodes[0]?.namespace}`,
      process.execPath,
      '--input-type=module',
      '-e',
      script,
    ]
    expect(JSON.parse(await runCommand('ip', node))).toEqual([
      [1, 1],
      [0, 0],
    ])
    expect(readFileSync('/proc/net/route', 'utf8')).not.toContain('tun0')
  })
})
