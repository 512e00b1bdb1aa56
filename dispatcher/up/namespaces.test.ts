import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import { whyNoNamespace } from '../../node/tun/test-namespace.ts'
import { runCommand } from '../steering/command.ts'
import {
  buildNetwork,
  freeHostLink,
  namespacesNamed,
  processesIn,
  removeNetwork,
  routedTo,
} from './namespaces.ts'
import { spawnIn } from './test-processes.ts'
import { createTopology, namespacesOf } from './topology.ts'

const missing = whyNoNamespace()
const name = `t${process.pid}`
const SERVICE = { vip: '10.99.1.1', vip6: 'fd99:1::1', port: 80 }

const SERVER = `require('node:net').createServer(s => s.end('hello from ' + s.remoteAddress))
  .listen(80, '::', () => process.stdout.write('up'))`

;(missing === undefined ? describe : describe.skip)('the network of a cluster', () => {
  const topology = createTopology(name, 2, SERVICE, 1e9, freeHostLink(name))

  beforeAll(async () => {
    await buildNetwork(topology)
  }, 20_000)

  afterAll(async () => {
    await removeNetwork(topology.hostDevice, namespacesOf(topology))
  }, 20_000)

  it('has its namespaces and nobody in them', async () => {
    expect((await namespacesNamed(name)).sort()).toEqual(namespacesOf(topology).sort())
    for (const namespace of namespacesOf(topology)) expect(await processesIn(namespace)).toEqual([])
  })

  it('routes the VIPs to the gateway, and from the root namespace only there', async () => {
    expect(await routedTo(SERVICE.vip)).toBe(topology.hostDevice)
    expect(await routedTo(SERVICE.vip6)).toBe(topology.hostDevice)
  })

  it('has a client with nothing but the VIPs', () => {
    const routes = execFileSync('ip', ['-n', topology.clientNamespace, '-4', 'route']).toString()
    expect(routes.trim().split('\n')).toHaveLength(2)
    expect(routes).not.toContain('default')
  })

  it('carries packets between members, client and the machine, over IPv4 and IPv6', async () => {
    const { dispatchers, clientNamespace, nodes } = topology
    const [dispatcher] = dispatchers
    const [node] = nodes
    // Stands for the TUN that the dispatcher would have.
    const vips = `address add ${SERVICE.vip}/32 dev lo\naddress add ${SERVICE.vip6}/128 dev lo nodad\n`
    await runCommand('ip', ['-n', dispatcher.namespace, '-batch', '-'], vips)
    const server = spawnIn(dispatcher.namespace, process.execPath, ['-e', SERVER])
    try {
      await once(server.stdout, 'data')
      for (const [host, from] of [
        [SERVICE.vip, topology.hostLink.far],
        [SERVICE.vip6, topology.hostLink.far6],
      ]) {
        const socket = connect({ host, port: 80, timeout: 3000 })
        const [hello] = await once(socket, 'data')
        expect(String(hello)).toContain(`${from}`)
      }
      for (const url of [`http://${SERVICE.vip}/`, `http://[${SERVICE.vip6}]/`]) {
        const curl = ['netns', 'exec', clientNamespace, 'curl', '-s', '-m', '3', '--http0.9', url]
        expect(await runCommand('ip', curl)).toContain('hello from')
      }
      const ping = ['netns', 'exec', dispatcher.namespace, process.execPath, '-e', PROBE, `${node?.address}`]
      expect(await runCommand('ip', ping)).toBe('ECONNREFUSED')
    } finally {
      process.kill(server.pid ?? 0, 'SIGKILL')
    }
  }, 15_000)

  it('lets no client reach a member, and so no control port, by a route of its own', async () => {
    const { clientNamespace, gateways, nodes } = topology
    const [{ clientLink }] = gateways
    const [node] = nodes
    const add = (family: string, ...route: string[]) =>
      runCommand('ip', ['-n', clientNamespace, family, 'route', 'add', ...route])
    await add('-4', `${node?.address}/32`, 'via', clientLink.gateway)
    await add('-6', `${node?.address6}/128`, 'via', `${clientLink.gateway6}`)
    for (const address of [node?.address, node?.address6]) {
      const probe = ['netns', 'exec', clientNamespace, process.execPath, '-e', PROBE, `${address}`]
      expect(await runCommand('ip', probe)).toMatch(/^(EHOSTUNREACH|EACCES|ENETUNREACH)$/)
    }
  })

  it('limits the rate of the nodes in both directions', () => {
    const { nodes, dispatchers } = topology
    const [dispatcher] = dispatchers
    const gatewayNamespace = topology.gateways[0].namespace
    const show = (namespace: string, device: string) =>
      execFileSync('tc', ['-n', namespace, 'qdisc', 'show', 'dev', device]).toString()
    for (const { namespace, port } of nodes) {
      expect(show(namespace, 'eth0')).toContain('rate 1Gbit')
      expect(show(gatewayNamespace, port)).toContain('rate 1Gbit')
    }
    expect(show(dispatcher.namespace, 'eth0')).not.toContain('tbf')
  })

  it('refuses what exists already', async () => {
    await expect(buildNetwork(topology)).rejects.toMatchObject({ code: 'NETWORK_FAILED' })
  })
})

/** A refused connection proves that a host is there, without a server and without ping. */
const PROBE = `const s = require('node:net').connect(9, process.argv[1])
  s.on('error', e => process.stdout.write(e.code)); s.setTimeout(3000, () => process.exit(1))`

;(missing === undefined ? it : it.skip)('removes a network of which only a part is there', async () => {
  const partly = `${name}p`
  await runCommand('ip', ['netns', 'add', `${partly}-node1`])
  const topology = createTopology(partly, 2, SERVICE, undefined, freeHostLink(partly))
  await removeNetwork(topology.hostDevice, namespacesOf(topology))
  expect(await namespacesNamed(partly)).toEqual([])
})
