/**
 * The files of `dispatcher/deploy` as they are: each role started as its unit says, with no right but what the unit leaves;
 * keepalived and BIRD with the committed configurations; a node in another subnet. Needs root.
 */
import { createHash, randomBytes } from 'node:crypto'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { startProgram } from '../local-cluster.ts'
import { inNamespace, Server } from '../process.ts'
import type { Download } from './download.ts'
import { ExampleSite, namespaceOf, VIP } from './example-site.ts'
import { DEPLOY } from './unit.ts'

const asRoot = process.getuid?.() === 0 ? describe : describe.skip
const FILE = 'large.bin'
const OCTETS = 16 * 1024 * 1024
/** Octets a second that a client reads until it is told: a download would take more than a minute. */
const RATE = 256 * 1024
const NEXT_HOP = '198.51.100.1'
const LAN_HOP = '10.0.0.1'
const TIMEOUT_MS = 120_000
/** CAP_NET_ADMIN, alone. */
const NET_ADMIN = '0000000000001000'

asRoot('a site by the example files', () => {
  const site = new ExampleSite()
  const octets = randomBytes(OCTETS)
  const sha256 = createHash('sha256').update(octets).digest('hex')
  const announcers: Server[] = []

  beforeAll(async () => {
    await site.build()
    await lanHop('add')
    writeFileSync(join(site.folder, 'root', FILE), octets)
    site.start('dispatcher', 'gyre-dispatcher.service')
    site.start('gateway1', 'gyre-gateway.service')
    site.start('gateway2', 'gyre-gateway.service', '', { NAME: 'gateway2' })
    site.start('node1', 'gyre-node@.service', '1')
    site.start('node2', 'gyre-node@.service', '2', at(12))
    site.start('node3', 'gyre-node@.service', '3', at(13))
    await site.until('nodes and gateways', async () => (await upOwners()).length === 4)
    for (const gateway of ['gateway1', 'gateway2'] as const) {
      await site.until(gateway, async () => (await readiness(gateway)) === '200')
    }
  }, TIMEOUT_MS)
  const silence = () => Promise.all(announcers.splice(0).map(announcer => announcer.stop()))
  afterAll(async () => {
    await silence()
    await site.close()
  }, TIMEOUT_MS)

  /** Where nothing else holds it, the default route of the owners leads to the first gateway. */
  const lanHop = (what: 'add' | 'delete') =>
    site.run('gateway1', 'ip', 'address', what, `${LAN_HOP}/24`, 'dev', 'lan0')

  const at = (number: number) => ({ ADDRESS: `10.0.0.${number}`, LISTEN: `10.0.0.${number}:7700` })

  async function upOwners(): Promise<readonly string[]> {
    const { owners } = await site.operator<{ owners: { name: string; state: string }[] }>('status')
    return owners.filter(({ state }) => state === 'up').map(({ name }) => name)
  }

  function readiness(gateway: 'gateway1' | 'gateway2'): Promise<string> {
    const url = 'http://127.0.0.1:8810/readyz'
    return site.run(gateway, 'curl', '-sS', '-m', '5', '-o', '/dev/null', '-w', '%{http_code}', url)
  }

  const slowDownload = () =>
    startProgram<Download>(namespaceOf('router'), 'download', `http://${VIP}/${FILE}`, `${RATE}`, 'told')
  const download = () =>
    startProgram<Download>(namespaceOf('router'), 'download', `http://${VIP}/${FILE}`).result

  async function shiftTo(owner: number): Promise<void> {
    await site.until(`owner ${owner}`, async () => {
      await site.operator('shift', '--all', '--to', `${owner}`)
      const { connections } = await site.operator<{ connections: { owner: number }[] }>('connections')
      return connections.some(connection => connection.owner === owner)
    })
  }

  function announce(gateway: 'gateway1' | 'gateway2', command: string, ...args: string[]): Server {
    const announcer = new Server(...inNamespace(namespaceOf(gateway), command, args))
    announcers.push(announcer)
    return announcer
  }

  const routes = () => site.run('router', 'ip', '-4', 'route', 'show', `${VIP}/32`)

  it(
    'serves from another subnet too, every role as a user with CAP_NET_ADMIN alone',
    async () => {
      const { result, end } = slowDownload()
      for (const owner of [1, 3, 2]) await shiftTo(owner)
      end()
      expect(await result).toMatchObject({ error: '', sha256 })
      for (const machine of ['gateway1', 'dispatcher', 'node1', 'node3'] as const) {
        const status = readFileSync(`/proc/${site.role(machine).pid}/status`, 'utf8')
        const of = (key: string) => new RegExp(`^${key}:\\s+(.*)$`, 'm').exec(status)?.[1]?.split(/\s+/)[0]
        const rights = ['Uid', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb', 'NoNewPrivs'].map(of)
        expect([machine, ...rights]).toEqual([
          machine,
          '65534',
          NET_ADMIN,
          NET_ADMIN,
          NET_ADMIN,
          NET_ADMIN,
          '1',
        ])
      }
      // Written by the node on which the last octet was acknowledged.
      await site.until('a line in an access log', async () =>
        readdirSync(join(site.folder, 'log')).some(name =>
          readFileSync(join(site.folder, 'log', name), 'utf8').includes(`GET /${FILE}`),
        ),
      )
    },
    TIMEOUT_MS,
  )

  it(
    'keepalived moves the next hop from a gateway that does not steer, and back, under a download',
    async () => {
      const config = readFileSync(join(DEPLOY, 'keepalived.conf'), 'utf8')
      await lanHop('delete')
      const holds = (gateway: 'gateway1' | 'gateway2') => async () =>
        (await site.run(gateway, 'ip', '-4', 'address', 'show', 'dev', 'wan0')).includes(` ${NEXT_HOP}/24`)
      for (const [gateway, priority] of [
        ['gateway1', 100],
        ['gateway2', 90],
      ] as const) {
        const file = join(site.folder, `${gateway}.conf`)
        writeFileSync(file, config.replace('priority 100', `priority ${priority}`))
        const pids = ['-p', '-r', '-c'].flatMap(flag => [flag, join(site.folder, `${gateway}${flag}.pid`)])
        announce(gateway, 'keepalived', '-n', '-l', '-f', file, ...pids)
      }
      await site.until('gateway1 to hold it', holds('gateway1'))
      await site.run('router', 'ip', 'route', 'replace', `${VIP}/32`, 'via', NEXT_HOP)
      const { result, end } = slowDownload()
      await shiftTo(2)
      // By kill, so that its rules stay; the machine is well, and only its process does not answer.
      process.kill(site.role('gateway1').pid, 'SIGKILL')
      await site.until('gateway2 to hold it', holds('gateway2'))
      await site.until('gateway1 to give it up', async () => !(await holds('gateway1')()))
      end()
      expect(await result).toMatchObject({ error: '', sha256 })
      expect(await download()).toMatchObject({ error: '', sha256 })
      site.start('gateway1', 'gyre-gateway.service')
      await site.until('gateway1 to hold it again', holds('gateway1'))
      expect(await download()).toMatchObject({ error: '', sha256 })
      await silence()
      await lanHop('add')
    },
    TIMEOUT_MS,
  )

  it(
    'BIRD announces the virtual address from both gateways, and not from one that does not steer',
    async () => {
      const config = readFileSync(join(DEPLOY, 'bird.conf'), 'utf8')
      await site.run('router', 'ip', 'route', 'delete', `${VIP}/32`)
      for (const [gateway, address] of [
        ['gateway1', '198.51.100.2'],
        ['gateway2', '198.51.100.3'],
      ] as const) {
        const socket = join(site.folder, `${gateway}.ctl`)
        const file = join(site.folder, `${gateway}-bird.conf`)
        writeFileSync(
          file,
          config.replaceAll('198.51.100.2;', `${address};`).replace('198.51.100.2 as', `${address} as`),
        )
        announce(gateway, 'bird', '-f', '-c', file, '-s', socket)
        announce(
          gateway,
          join(DEPLOY, 'gyre-announce'),
          'http://127.0.0.1:8810/readyz',
          'gyre_vip',
          '-s',
          socket,
        )
      }
      const file = join(site.folder, 'router-bird.conf')
      writeFileSync(file, ROUTER)
      announcers.push(
        new Server(...inNamespace(namespaceOf('router'), 'bird', ['-f', '-c', file, '-s', `${file}.ctl`])),
      )
      await site.until('two next hops', async () => (await routes()).match(/via/g)?.length === 2)
      const { result, end } = slowDownload()
      await shiftTo(1)
      process.kill(site.role('gateway2').pid, 'SIGKILL')
      await site.until('one next hop', async () => /via 198\.51\.100\.2 /.test(await routes()))
      end()
      expect(await result).toMatchObject({ error: '', sha256 })
      expect(await download()).toMatchObject({ error: '', sha256 })
    },
    TIMEOUT_MS,
  )
})

/** The other side of the example: a router of any make that spreads over all next hops. */
const ROUTER = `
router id 198.51.100.254;
protocol device { }
protocol kernel { ipv4 { import none; export all; }; merge paths on; }
template bgp gyre { local 198.51.100.254 as 65000; ipv4 { import all; export none; }; }
protocol bgp gateway1 from gyre { neighbor 198.51.100.2 as 65010; }
protocol bgp gateway2 from gyre { neighbor 198.51.100.3 as 65010; }
`
