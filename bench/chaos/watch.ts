/** What can be seen of a cluster from outside: whether it is whole, and what it holds. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { OwnerReport, StatusReport } from '../../dispatcher/admin/api.ts'
import { AdminClient } from '../../dispatcher/admin/client.ts'
import { type ClusterState, stateOf } from '../local-cluster.ts'
import { inNamespace, run } from '../process.ts'
import { residentOctets } from '../resident.ts'

const LOOK_EVERY_MS = 100

/** What is to be nothing when no client is there any more. */
export interface Left {
  /** Those in TIME-WAIT aside, whose clients have gone. */
  readonly connections: number
  /** Of the dispatchers: who owns what, and with what another node could go on with a response. */
  readonly forwards: number
  readonly records: number
  readonly recovering: number
  /** Of the nodes, for a minute. */
  readonly tombstones: number
  /** Of clients without timestamps, at the gateways. */
  readonly elements: number
}

export const NOTHING_LEFT: Left = {
  ...{ connections: 0, forwards: 0, records: 0, recovering: 0, tombstones: 0, elements: 0 },
}

/** Octets of resident memory, by process. */
export type Memory = ReadonlyMap<number, { readonly name: string; readonly octets: number }>

export class Watch {
  readonly #state: ClusterState
  readonly #admin: AdminClient

  constructor(state: ClusterState) {
    this.#state = state
    this.#admin = new AdminClient(state.admin, state.token)
  }

  close(): Promise<void> {
    return this.#admin.close()
  }

  /** Until every process is there and linked with every other; throws, with what was seen last, after `limitMs`. */
  async whole(limitMs: number): Promise<void> {
    const owners = this.#state.roles.filter(({ role }) => role !== 'gateway').length
    await this.#until(limitMs, 'the cluster is not whole', async () => {
      const { owners: all } = await this.#admin.status()
      const faults = all.filter(owner => !isWell(owner, owners)).map(({ name, state }) => `${name} ${state}`)
      if (all.length !== owners) faults.push(`${all.length} of ${owners} owners`)
      for (const { name, pid } of (await stateOf(this.#state.name)).roles)
        if (!isAlive(pid)) faults.push(name)
      return faults.join(', ')
    })
  }

  /** Until nothing is left of what `kinds` names, or for so long; returns what is. */
  async empty(kinds: readonly (keyof Left)[], limitMs: number): Promise<Left> {
    let left: Left = NOTHING_LEFT
    const look = async () => {
      left = await this.left()
      return kinds
        .filter(kind => left[kind] !== 0)
        .map(kind => `${kind} ${left[kind]}`)
        .join(', ')
    }
    await this.#until(limitMs, 'something is left', look).catch(() => {})
    return left
  }

  async left(): Promise<Left> {
    const { owners, crashes } = await this.#admin.status()
    const sum = (role: OwnerReport['role'] | '', of: (owner: OwnerReport) => number) =>
      owners
        .filter(owner => role === '' || owner.role === role)
        .reduce((total, owner) => total + of(owner), 0)
    const forwards = ({ limits }: OwnerReport) => limits.forwards?.used ?? 0
    return {
      connections: sum('', ({ connections, limits }) => connections - (limits.timeWait?.used ?? 0)),
      forwards: sum('dispatcher', forwards),
      records: crashes.records,
      recovering: crashes.recovering,
      tombstones: sum('node', forwards),
      elements: await this.#elements(),
    }
  }

  status(): Promise<StatusReport> {
    return this.#admin.status()
  }

  async memory(): Promise<Memory> {
    const { roles } = await stateOf(this.#state.name)
    return new Map(roles.map(({ name, pid }) => [pid, { name, octets: residentOctets(pid) }]))
  }

  /** While a dispatcher starts nobody answers. */
  async #until(limitMs: number, what: string, look: () => Promise<string>): Promise<void> {
    const end = performance.now() + limitMs
    for (let last = ''; ; await sleep(LOOK_EVERY_MS)) {
      try {
        last = await look()
        if (last === '') return
      } catch (error) {
        last = String(error)
      }
      if (performance.now() > end) throw new Error(`${what}: ${last}`)
    }
  }

  async #elements(): Promise<number> {
    const gateways = this.#state.roles.filter(({ role }) => role === 'gateway')
    const counts = await Promise.all(
      gateways.map(async ({ namespace }) => {
        const text = await run(...inNamespace(namespace, 'nft', ['-j', 'list', 'ruleset']))
        const { nftables } = JSON.parse(text) as { nftables: { map?: { name: string; elem?: unknown[] } }[] }
        return nftables
          .filter(({ map }) => map?.name.startsWith('flows') === true)
          .reduce((total, { map }) => total + (map?.elem?.length ?? 0), 0)
      }),
    )
    return counts.reduce((a, b) => a + b, 0)
  }
}

function isWell({ state, links }: OwnerReport, owners: number): boolean {
  return state === 'up' && links.filter(({ up }) => up).length >= owners - 1
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
