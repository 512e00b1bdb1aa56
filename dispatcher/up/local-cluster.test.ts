import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { whyNoNamespace } from '../../node/tun/test-namespace.ts'
import { DEFAULT_LIVENESS } from '../liveness-settings.ts'
import { down } from './down.ts'
import { type ClusterOptions, LocalCluster } from './local-cluster.ts'
import { buildNetwork, freeHostLink, namespacesNamed, processesIn } from './namespaces.ts'
import { identify, isAlive } from './processes.ts'
import { StateFolder, type UpState } from './state.ts'
import { spawnIn } from './test-processes.ts'
import { createTopology, hostDevice, namespacesOf } from './topology.ts'

const PROGRAM = [process.execPath, join(__dirname, 'test-role.mjs')]

let runFolder: string
let lines: string[]
let names = 0
let clusters: LocalCluster[]

/** Each test has a cluster of its own name and addresses. */
function optionsOf(more: Partial<ClusterOptions> = {}): ClusterOptions {
  names++
  return {
    name: `u${process.pid}-${names}`,
    nodes: 2,
    instances: 1,
    service: { vip: `10.99.2.${names}`, vip6: `fd99:2::${names}`, port: 80 },
    config: undefined,
    root: runFolder,
    admin: { host: '127.0.0.1', port: 0 },
    mode: 'shift',
    steering: 'nft',
    policy: 'locality',
    liveness: DEFAULT_LIVENESS,
    linkBits: undefined,
    cacheOctets: 2 ** 28,
    pcap: undefined,
    pcapOctets: 0,
    app: undefined,
    ...more,
  }
}

function clusterOf(options: ClusterOptions, program: readonly string[] = PROGRAM): LocalCluster {
  const line = (from: string, text: string) => lines.push(`${from}: ${text}`)
  const cluster = new LocalCluster(options, { program, runFolder, line })
  clusters.push(cluster)
  return cluster
}

async function expectNothingLeft(name: string): Promise<void> {
  expect(await namespacesNamed(name)).toEqual([])
  expect(existsSync(`/sys/class/net/${hostDevice(name)}`)).toBe(false)
  expect(new StateFolder(name, runFolder).read()).toBeUndefined()
}

async function until(what: () => boolean): Promise<void> {
  for (let waited = 0; !what(); waited += 20) {
    if (waited > 5000) throw new Error(`waited in vain for ${what}; ${lines.join(' | ')}`)
    await sleep(20)
  }
}

;(whyNoNamespace() === undefined ? describe : describe.skip)('LocalCluster', () => {
  beforeEach(() => {
    runFolder = mkdtempSync(join(tmpdir(), 'gyre-up-'))
    lines = []
    clusters = []
  })

  afterEach(async () => {
    delete process.env.FAKE_FAIL
    delete process.env.FAKE_SLOW
    for (const cluster of clusters) await cluster.stop()
    rmSync(runFolder, { recursive: true })
  })

  it('starts every role in its namespace, says so in the state file, and leaves nothing', async () => {
    const options = optionsOf()
    const cluster = clusterOf(options)
    const state = await cluster.start()
    expect(state.status).toBe('ready')
    expect(state.roles.map(({ name }) => name).sort()).toEqual(['dispatcher', 'gateway', 'node1', 'node2'])
    expect(state.admin).toMatch(/^127\.0\.0\.1:[1-9]\d+$/)
    expect(new StateFolder(options.name, runFolder).read()).toEqual(JSON.parse(JSON.stringify(state)))
    for (const { pid, namespace } of state.roles) expect(await processesIn(namespace)).toEqual([pid])
    const token = join(runFolder, options.name, 'admin-token')
    expect(statSync(token).mode & 0o777).toBe(0o600)
    expect(readFileSync(token, 'utf8')).toMatch(/^[\w-]{32}\n$/)
    await cluster.stop()
    expect(existsSync(token)).toBe(false)
    for (const role of state.roles) expect(isAlive(role)).toBe(false)
    await expectNothingLeft(options.name)
  }, 20_000)

  it('passes each role its flags, and the dispatcher the listening admin socket', async () => {
    const state = await clusterOf(optionsOf({ mode: 'clone', steering: 'relay' })).start()
    const command = (name: string) => {
      const pid = state.roles.find(role => role.name === name)?.pid
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(2).join(' ')
    }
    const service = `--vip ${state.vip} --vip6 ${state.vip6} --port 80 --owner-bits 8 --plain-links`
    expect(command('gateway')).toContain(
      `gateway --cluster ${state.name} --name gateway ${service} --dispatcher ws://10.78.0.2:7700 --wan wan0,host0 --lan lan0`,
    )
    expect(command('node2')).toContain(`node --cluster ${state.name} --name node2 ${service}`)
    expect(command('node2')).toContain('--id 2 --address 10.78.0.12 ')
    expect(command('node2')).toContain('--address6 fd78::c')
    expect(command('node2')).toContain('--dispatcher ws://10.78.0.2:7700')
    expect(command('dispatcher')).toContain('--mode clone')
    expect(command('dispatcher')).toMatch(/--steering relay .*--admin-fd 3/)
    const pid = state.roles.find(({ name }) => name === 'dispatcher')?.pid
    const listening = execFileSync('ss', ['-Hltnp', `sport = :${state.admin.split(':')[1]}`]).toString()
    expect(listening).toContain(`pid=${pid},`)
    expect(listening).not.toContain(`pid=${process.pid},`)
  }, 20_000)

  it('starts a role again that dies', async () => {
    const cluster = clusterOf(optionsOf())
    const before = await cluster.start()
    const pidOf = (state: UpState, name: string) => state.roles.find(role => role.name === name)?.pid ?? 0
    const first = pidOf(before, 'dispatcher')
    process.kill(first, 'SIGKILL')
    await until(() => lines.some(line => line.includes('dispatcher: serves again')))
    const state = new StateFolder(before.name, runFolder).read()
    expect(state?.roles.find(({ name }) => name === 'dispatcher')).toMatchObject({ restarts: 1 })
    expect(pidOf(cluster.state, 'dispatcher')).not.toBe(first)
    expect(lines.some(line => line.includes('died (SIGKILL); starts again in 250 ms'))).toBe(true)
  }, 20_000)

  it('removes everything when a role does not start, and says what the role said', async () => {
    process.env.FAKE_FAIL = 'node2'
    const options = optionsOf()
    const message = 'node2 did not start (status 1): error: node node2 cannot start'
    await expect(clusterOf(options).start()).rejects.toMatchObject({ code: 'ROLE_FAILED', message })
    await expectNothingLeft(options.name)
  }, 20_000)

  it.each([0, 150, 400])(
    'removes everything when it is stopped %i ms after its start',
    async ms => {
      process.env.FAKE_SLOW = 'node1'
      const options = optionsOf()
      const cluster = clusterOf(options)
      const started = cluster.start()
      const refused = expect(started).rejects.toMatchObject({ code: 'INTERRUPTED' })
      await sleep(ms)
      await cluster.stop()
      await refused
      await expectNothingLeft(options.name)
    },
    20_000,
  )

  it('runs beside another cluster, and refuses the name, the VIP and the admin port of that', async () => {
    const first = optionsOf({ nodes: 1 })
    const second = optionsOf({ nodes: 1 })
    const { admin } = await clusterOf(first).start()
    const taken = { host: '127.0.0.1', port: Number(admin.split(':')[1]) }
    const { service, name } = first
    await expect(clusterOf({ ...second, service }).start()).rejects.toMatchObject({ code: 'VIP_IN_USE' })
    await expect(clusterOf({ ...second, name }).start()).rejects.toMatchObject({ code: 'NAME_IN_USE' })
    await expect(clusterOf({ ...second, admin: taken }).start()).rejects.toMatchObject({
      code: 'ADMIN_IN_USE',
    })
    await expectNothingLeft(second.name)
    const state = await clusterOf(second).start()
    expect(state.status).toBe('ready')
    expect(await namespacesNamed(first.name)).toHaveLength(4)
  }, 20_000)

  it('refuses a VIP that is an address of this machine, and a root that is no folder', async () => {
    const vip = optionsOf({ service: { vip: '127.0.0.1', vip6: undefined, port: 80 } })
    await expect(clusterOf(vip).start()).rejects.toMatchObject({ code: 'VIP_IN_USE' })
    const root = optionsOf({ root: '/no/such/folder' })
    await expect(clusterOf(root).start()).rejects.toMatchObject({ code: 'BAD_FLAG' })
  })

  /** A cluster whose supervisor was killed in the middle: network, a process that did not notice, state file. */
  async function crash(options: ClusterOptions) {
    const { name, nodes, service } = options
    const topology = createTopology(name, nodes, service, undefined, freeHostLink(name))
    await buildNetwork(topology)
    const role = spawnIn(`${name}-node1`, 'sleep', ['60'])
    await until(() => readFileSync(`/proc/${role.pid}/comm`, 'utf8').startsWith('sleep'))
    const roleId = identify(role.pid ?? 0)
    const dead = spawnSync('true').pid
    const { state } = new LocalCluster(options, { program: PROGRAM, runFolder, line: () => {} })
    const left = {
      ...state,
      supervisor: { pid: dead, startTime: 1 },
      hostDevice: topology.hostDevice,
      namespaces: namespacesOf(topology),
      roles: [{ ...roleId, name: 'node1', role: 'node', id: 1 }],
    } as unknown as UpState
    expect(new StateFolder(name, runFolder).claim(left)).toBe(true)
    if (roleId === undefined) throw new Error('no process')
    return roleId
  }

  it('cleans what a crash has left, at the next start', async () => {
    const options = optionsOf()
    const role = await crash(options)
    const state = await clusterOf(options).start()
    expect(isAlive(role)).toBe(false)
    expect(state.status).toBe('ready')
  }, 20_000)

  it('cleans what a crash has left, by gyre down', async () => {
    const options = optionsOf()
    const role = await crash(options)
    expect(await down(options.name, runFolder)).toBe('cleaned')
    expect(isAlive(role)).toBe(false)
    await expectNothingLeft(options.name)
    expect(await down(options.name, runFolder)).toBe('nothing')
  }, 20_000)

  it('does not touch namespaces of its names that somebody else uses', async () => {
    const options = optionsOf()
    const namespace = `${options.name}-client`
    execFileSync('ip', ['netns', 'add', namespace])
    const stranger = spawnIn(namespace, 'sleep', ['60'])
    try {
      await until(() => readFileSync(`/proc/${stranger.pid}/comm`, 'utf8').startsWith('sleep'))
      await expect(clusterOf(options).start()).rejects.toMatchObject({ code: 'NAME_IN_USE' })
      expect(stranger.exitCode).toBeNull()
    } finally {
      stranger.kill('SIGKILL')
      execFileSync('ip', ['netns', 'delete', namespace])
    }
  }, 20_000)

  it('says that the admin address cannot be listened on', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    try {
      const admin = { host: '203.0.113.1', port: 80 }
      await expect(clusterOf(optionsOf({ admin })).start()).rejects.toMatchObject({ code: 'BAD_FLAG' })
    } finally {
      server.close()
    }
  }, 20_000)
})
