/** The things that can befall a cluster, done to it and taken back. None of them knows whether the cluster bears it. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { AdminClient } from '../../dispatcher/admin/client.ts'
import { loseRandomly, nft, stopLosing } from '../acceptance/packet-counters.ts'
import { type ClusterState, stateOf } from '../local-cluster.ts'
import { inNamespace, run } from '../process.ts'
import type { Kind, Step } from './plan.ts'

export interface Scene {
  readonly state: ClusterState
  readonly nodes: readonly string[]
  /** A client of the admin port for each caller, as one asks one thing after the other. */
  readonly admins: readonly [AdminClient, AdminClient]
}

type Act = (scene: Scene, step: Step) => Promise<void>
type Role = ClusterState['roles'][number]

const [CLIENT_DEVICE, MEMBER_DEVICE] = ['eth0', 'eth0']
const LOSS_PERCENT = 2
const DOUBLED_PERCENT = 10
/** Of a node's wire, and how long packets may wait for it. */
const [SLOW_BITS, DELAY_MS] = ['20mbit', 1_000]
const DRAIN_DEADLINE_MS = 20_000
const TABLE = 'gyre_chaos'

/** The bits a second of each node's wire, and the cluster's own shaper, as `dispatcher/up/namespaces.ts` sets it. */
export const LINK_RATE = '200mbit'
const SHAPER = ['root', 'tbf', 'rate', LINK_RATE, 'burst', '100000b', 'latency', '50ms']

async function roleOf({ state }: Scene, name: string): Promise<Role> {
  const role = (await stateOf(state.name)).roles.find(one => one.name === name)
  if (role === undefined) throw new Error(`there is no ${name}`)
  return role
}

const kill: Act = async (scene, { victim }) => {
  process.kill((await roleOf(scene, victim)).pid, 'SIGKILL')
}

const stop: Act = async (scene, { victim, ms }) => {
  const { pid } = await roleOf(scene, victim)
  process.kill(pid, 'SIGSTOP')
  await sleep(ms)
  process.kill(pid, 'SIGCONT')
}

const drain: Act = async ({ admins: [admin] }, { victim }) => {
  await admin.drain({ node: victim, deadlineMs: DRAIN_DEADLINE_MS })
  while ((await admin.drained(victim)).state === 'draining') await sleep(50)
  await admin.undrain(victim)
}

/** Two operators who want everything in different places, as fast as they can. */
const storm: Act = async ({ admins, nodes }, { ms }) => {
  const until = performance.now() + ms
  await Promise.all(
    admins.map(async (admin, operator) => {
      for (let turn = operator; performance.now() < until; turn++) {
        await admin.shift({ connection: 'all', to: nodes[turn % nodes.length] as string })
      }
    }),
  )
}

/** Rules in a namespace for a while. */
async function ruled(namespace: string, family: string, chains: string, ms: number): Promise<void> {
  await nft(namespace, `table ${family} ${TABLE} {\n${chains}\n}\n`)
  await sleep(ms)
  await nft(namespace, `delete table ${family} ${TABLE}\n`)
}

function chain(hook: string, rule: string): string {
  return `chain ${hook} { type filter hook ${hook} priority 0; policy accept; ${rule}\n }`
}

/** What `victim` says to `other`, acknowledgements and all, is lost; what it hears is not. */
const cutOneWay: Act = async (scene, { victim, other, ms }) => {
  const [from, to] = await Promise.all([roleOf(scene, victim), roleOf(scene, other)])
  const rule = `ip saddr ${from.address} ip daddr ${to.address} meta l4proto tcp drop`
  await ruled(from.namespace, 'inet', chain('output', rule), ms)
}

/** The route and the neighbours stay, as they would with a switch that is away. */
const cutWire: Act = async (scene, { victim, ms }) => {
  const { namespace } = await roleOf(scene, victim)
  const hook = (name: string) =>
    `chain ${name} { type filter hook ${name} device "${MEMBER_DEVICE}" priority -400; policy drop;\n }`
  await ruled(namespace, 'netdev', `${hook('ingress')}\n${hook('egress')}`, ms)
}

const lose: Act = async ({ state }, { ms }) => {
  await loseRandomly(state.clientNamespace, CLIENT_DEVICE, LOSS_PERCENT)
  await sleep(ms)
  await stopLosing(state.clientNamespace)
}

/** Packets of clients are sent twice at their end, those to them by the gateway. */
const double: Act = async ({ state }, { ms }) => {
  const some = `numgen random mod 100 < ${DOUBLED_PERCENT}`
  const fromClient = chain('output', `ip daddr ${state.vip} ${some} dup to 10.79.0.1`)
  const toClient = chain('forward', `ip saddr ${state.vip} ${some} dup to 10.79.0.2`)
  await Promise.all([
    ruled(state.clientNamespace, 'ip', fromClient, ms),
    ruled(state.gatewayNamespace, 'ip', toClient, ms),
  ])
}

/** A wire that is too slow and has a long queue: what a node sends, also to other nodes, waits in it. */
const delay: Act = async (scene, { victim, ms }) => {
  const { namespace } = await roleOf(scene, victim)
  const shape = (...args: string[]) =>
    run(...inNamespace(namespace, 'tc', ['qdisc', 'replace', 'dev', MEMBER_DEVICE, ...args]))
  await shape('root', 'tbf', 'rate', SLOW_BITS, 'burst', '65536b', 'latency', `${DELAY_MS}ms`)
  await sleep(ms)
  await shape(...SHAPER)
}

const withoutTimestamps: Act = async ({ state }, { ms }) => {
  const set = (value: number) =>
    run(...inNamespace(state.clientNamespace, 'sysctl', ['-qw', `net.ipv4.tcp_timestamps=${value}`]))
  await set(0)
  await sleep(ms)
  await set(1)
}

export const ACTS: Readonly<Record<Kind, Act>> = {
  'kill -9 of a node': kill,
  'kill -9 of a dispatcher': kill,
  'kill -9 of a gateway': kill,
  'drain and undrain': drain,
  'storm of shifts': storm,
  'link cut one way': cutOneWay,
  'wire of a node cut': cutWire,
  'process stopped': stop,
  'packets lost': lose,
  'packets doubled': double,
  'packets delayed': delay,
  'no timestamps': withoutTimestamps,
}
