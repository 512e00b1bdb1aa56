/**
 * Connections of the kernel's own TCP in every state, over both families, with and without timestamps, shifted round and round
 * among machines and among instances of one machine, and back: what `bench/sim/matrix` plays in virtual time, on real packets.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { randomFillSync } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { ConnectionReport } from '../../dispatcher/admin/api.ts'
import { AdminClient } from '../../dispatcher/admin/client.ts'
import { type ClusterState, REPOSITORY, withCluster } from '../local-cluster.ts'
import { inNamespace, run } from '../process.ts'
import { countResets, keepBack, letPass, loseRandomly, readResets, stopLosing } from './packet-counters.ts'
import { ACK_PORTS, FIN_PORTS, FOLDER_VARIABLE, LARGE_OCTETS, STATE_FILES } from './states.ts'
import type { StateReport } from './states-client.ts'

const asRoot = process.getuid?.() === 0 ? describe : describe.skip
const APP = join(REPOSITORY, 'dist', 'bench', 'acceptance', 'states-app.js')
const MOVING_MS = 2_500
/** So many at least of every connection that moves, however long that takes. */
const LEAST_SHIFTS = 10
const MAX_MOVING_MS = 30_000
/** 50 ms apart. */
const MAX_LOOKS = 600
/** Far above the 50 ms that hold in virtual time: on this machine, clients, gateway and all owners share the processors. */
const MAX_STALL_MS = 500

/** What the server's end says of each state (RFC 9293 §3.3.2); the dispatcher's own are not an operator's to move. */
const STATES: Readonly<Record<string, { readonly state: string; readonly stays?: true }>> = {
  'SYN just accepted': { state: 'SYN-RECEIVED', stays: true },
  'accepted, request half received': { state: 'ESTABLISHED', stays: true },
  'idle keep-alive': { state: 'ESTABLISHED' },
  'request half received': { state: 'ESTABLISHED' },
  'request complete': { state: 'ESTABLISHED' },
  'head sent': { state: 'ESTABLISHED' },
  'mid-response': { state: 'ESTABLISHED' },
  'pipelined requests': { state: 'ESTABLISHED' },
  'window closed': { state: 'ESTABLISHED' },
  upload: { state: 'ESTABLISHED' },
  'half-closed by the client': { state: 'CLOSE-WAIT' },
  'half-closed by the server': { state: 'FIN-WAIT-2' },
  'FIN in flight': { state: 'FIN-WAIT-1' },
  'the last FIN in flight': { state: 'LAST-ACK' },
  'TIME-WAIT': { state: 'TIME-WAIT', stays: true },
}

/** The client's program, and its lines. */
class StatesClient {
  readonly #child: ChildProcess
  readonly #lines: AsyncIterator<string>

  constructor(state: ClusterState, root: string) {
    const script = join(REPOSITORY, 'dist', 'bench', 'acceptance', 'states-client.js')
    const args = [script, state.vip, state.vip6 ?? '', `${state.port}`, root]
    const [command, words] = inNamespace(state.clientNamespace, process.execPath, args)
    this.#child = spawn(command, words, { stdio: ['pipe', 'pipe', 'inherit'] })
    const { stdout } = this.#child
    if (stdout === null) throw new Error('no output')
    this.#lines = createInterface(stdout)[Symbol.asyncIterator]()
  }

  async reports(): Promise<StateReport[]> {
    const { value } = await this.#lines.next()
    if (value === undefined) throw new Error('the client has ended')
    return JSON.parse(value) as StateReport[]
  }

  goOn(): void {
    this.#child.stdin?.write('go\n')
  }

  end(): void {
    this.#child.kill()
  }
}

interface Round {
  readonly reports: readonly StateReport[]
  readonly before: ReadonlyMap<string, ConnectionReport>
  readonly after: ReadonlyMap<string, ConnectionReport>
  readonly orders: number
}

async function listed(admin: AdminClient): Promise<Map<string, ConnectionReport>> {
  const { connections } = await admin.connections({ limit: 500 })
  return new Map(
    connections.map(connection => {
      const { client } = connection
      return [
        keyOf({ family: client.startsWith('[') ? 6 : 4, localPort: Number(client.split(':').at(-1)) }),
        connection,
      ]
    }),
  )
}

/** Of both families a socket may have the same port. */
function keyOf({ family, localPort }: Pick<StateReport, 'family' | 'localPort'>): string {
  return `${family} ${localPort}`
}

/** The list once every state is there: what is on its way between two owners is in nobody's. */
async function reached(
  admin: AdminClient,
  begun: readonly StateReport[],
): Promise<Map<string, ConnectionReport>> {
  const isThere = (all: Map<string, ConnectionReport>) =>
    begun.every(report => all.get(keyOf(report))?.state === STATES[report.name]?.state)
  for (let tries = 0; ; tries++) {
    const all = await listed(admin)
    if (isThere(all) || tries === MAX_LOOKS) return all
    await new Promise(resolve => setTimeout(resolve, 50))
  }
}

/** What is done to all connections, again and again, while they stand in their states. */
type Act = (turn: number) => Promise<unknown>

const NOTHING: Act = () => new Promise(resolve => setTimeout(resolve, 50))

/** One round: every state is reached, all is moved for a while or nothing, and the clients go on. */
async function round(state: ClusterState, root: string, act: Act): Promise<Round> {
  const admin = new AdminClient(state.admin, state.token)
  await keepBack(state.clientNamespace, FIN_PORTS, ACK_PORTS)
  const client = new StatesClient(state, root)
  try {
    const begun = await client.reports()
    expect(begun.filter(({ error }) => error !== '' && !error.endsWith('missing'))).toEqual([])
    const before = await reached(admin, begun)
    let orders = 0
    let after = await listed(admin)
    const began = performance.now()
    const isDone = () =>
      performance.now() - began >
      (act !== NOTHING && tooFew(begun, before, after) ? MAX_MOVING_MS : MOVING_MS)
    for (; !isDone(); orders++) {
      await act(orders)
      after = await listed(admin)
    }
    await letPass(state.clientNamespace)
    client.goOn()
    return { reports: await client.reports(), before, after, orders }
  } finally {
    client.end()
    await admin.close()
  }
}

/** Whether one of those that move, and are there still, has not moved often enough. */
function tooFew(
  begun: readonly StateReport[],
  before: ReadonlyMap<string, ConnectionReport>,
  after: ReadonlyMap<string, ConnectionReport>,
): boolean {
  return begun.some(report => {
    const { name } = report
    const [was, is] = [before.get(keyOf(report)), after.get(keyOf(report))]
    return STATES[name]?.stays !== true && is !== undefined && is.shifts - (was?.shifts ?? 0) <= LEAST_SHIFTS
  })
}

function expectWhole({ reports, before, after, orders }: Round, isMoved: boolean): void {
  expect(reports.filter(({ error }) => error !== '')).toEqual([])
  for (const report of reports) {
    const { name } = report
    const key = keyOf(report)
    const { state, stays } = STATES[name] as (typeof STATES)[string]
    const was = before.get(key)
    expect([name, was?.state]).toEqual([name, state])
    // Those that were over before the orders ended are not listed any more.
    const shifts = (after.get(key)?.shifts ?? orders) - (was?.shifts ?? 0)
    if (!isMoved) continue
    if (stays === true) expect([name, after.get(key)?.shifts ?? 0]).toEqual([name, was?.shifts])
    else expect([name, shifts > LEAST_SHIFTS]).toEqual([name, true])
  }
}

function expectNoStall(moved: readonly StateReport[], control: readonly StateReport[]): void {
  for (const { name, family, longestGapMs } of moved) {
    // What the rule of the packet filter keeps back comes when its sender repeats it the next time.
    if (name.includes('FIN in flight')) continue
    const unmoved = control.find(other => other.name === name && other.family === family)
    const stall = longestGapMs - (unmoved?.longestGapMs ?? 0)
    expect([name, family, stall < MAX_STALL_MS, longestGapMs]).toEqual([name, family, true, longestGapMs])
  }
}

/** The ways in which all connections are moved among owners. */
function waysOf({ admin, token, roles }: ClusterState, owners: readonly number[]) {
  // A client asks one thing after the other.
  const [first, second] = [new AdminClient(admin, token), new AdminClient(admin, token)]
  const gateway = roles.find(({ role }) => role === 'gateway')?.pid as number
  const to = (client: AdminClient, turn: number) =>
    client.shift({ connection: 'all', to: `${owners[turn % owners.length]}` })
  const inTurn: Act = turn => to(first, turn)
  /** Whoever owns them is told to give them to two others at once, of which one has some of them already. */
  const atOnce: Act = turn => Promise.all([to(first, turn), to(second, turn + 1)])
  /** At first while the gateway's process takes nothing. */
  const gatewayStopped = async (isMoved: boolean, turn: number): Promise<unknown> => {
    if (turn > 0) return atOnce(turn)
    process.kill(gateway, 'SIGSTOP')
    try {
      const report = await to(first, turn)
      expect(report.shifted > 0).toBe(isMoved)
      return report
    } finally {
      process.kill(gateway, 'SIGCONT')
    }
  }
  return { inTurn, gatewayStopped }
}

asRoot(`a shift in every state${process.getuid?.() === 0 ? '' : ' (skipped: it needs root)'}`, () => {
  let root = ''

  beforeAll(() => {
    root = mkdtempSync(join(tmpdir(), 'gyre-states-'))
    const octets = { 'first.bin': 3_000, 'small.bin': 2_000, 'large.bin': LARGE_OCTETS }
    for (const name of STATE_FILES)
      writeFileSync(join(root, name), randomFillSync(Buffer.alloc(octets[name])))
  })
  afterAll(() => rmSync(root, { recursive: true, force: true }))

  const flags = (...more: string[]) => {
    const addresses = { vip: '10.77.124.1', vip6: 'fd77:124::1', admin: '127.0.0.1:8924' }
    return {
      ...{ name: 'gyre-ts', ...addresses, nodes: 2, root },
      more: ['--link-rate', '200mbit', '--app', APP, ...more],
      environment: { [FOLDER_VARIABLE]: root },
    }
  }

  async function expectUnmoved(state: ClusterState, acts: readonly Act[]): Promise<void> {
    const control = await round(state, root, NOTHING)
    expectWhole(control, false)
    for (const act of acts) {
      const moved = await round(state, root, act)
      expectWhole(moved, true)
      expectNoStall(moved.reports, control.reports)
    }
  }

  it('among machines and instances of one machine, with and without timestamps, and while packets are lost', async () => {
    await withCluster(flags('--instances', '2'), async state => {
      // To another instance of the machine, to another machine, round in a chain, and back to where it was before.
      const { inTurn, gatewayStopped } = waysOf(state, [1, 2, 3, 2, 4, 1, 3])
      await countResets(state.clientNamespace)
      await expectUnmoved(state, [inTurn, turn => gatewayStopped(true, turn)])
      await run(...inNamespace(state.clientNamespace, 'sysctl', ['-qw', 'net.ipv4.tcp_timestamps=0']))
      // Without timestamps nothing moves that the gateway is not told of.
      await expectUnmoved(state, [inTurn, turn => gatewayStopped(false, turn)])
      await run(...inNamespace(state.clientNamespace, 'sysctl', ['-qw', 'net.ipv4.tcp_timestamps=1']))
      await loseRandomly(state.clientNamespace, 'eth0', 1)
      expectWhole(await round(state, root, inTurn), true)
      await stopLosing(state.clientNamespace)
      expect(await readResets(state.clientNamespace)).toBe(0)
    })
  }, 180_000)

  it('of clones, whose packets come through the dispatcher', async () => {
    await withCluster(flags('--mode', 'clone'), async state => {
      await countResets(state.clientNamespace)
      expectWhole(await round(state, root, waysOf(state, [1, 2]).inTurn), true)
      expect(await readResets(state.clientNamespace)).toBe(0)
    })
  }, 120_000)
})
