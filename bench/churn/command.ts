/** `npm run bench -- churn`: broken connections per 100,000 while nodes leave and come back, ours beside steering by hashes. */
import { type PublishOptions, publish } from '../report/publish.ts'
import type { Result, Row } from '../report/result.ts'
import { ScaledCluster } from '../scale/cluster.ts'
import { type ChurnFigures, type ChurnSystem, churn, FILE_OCTETS } from './churn.ts'
import { HASHES, HashedServers } from './hashed-servers.ts'

/** Well above what a node takes to be emptied of what it has here. */
const DRAIN_MS = 60_000
/** Between nodes that leave. */
const CHANGE_MS = 10_000
const FILES = new Map([['/0', new Uint8Array(FILE_OCTETS)]])
export const SYSTEMS = ['gyre', ...HASHES] as const
export type SystemName = (typeof SYSTEMS)[number]

export interface ChurnOptions extends PublishOptions {
  readonly connections: number
  readonly nodes: number
  readonly seed: number
  readonly only: string
}

export function churnOf(
  system: SystemName,
  nodes: number,
  connections: number,
  seed: number,
  changeMs = CHANGE_MS,
): Promise<ChurnFigures> {
  const created =
    system === 'gyre'
      ? new DrainedNodes(nodes, connections, seed)
      : new HashedServers(system, nodes, connections, FILES, seed)
  return churn(created, nodes, connections, changeMs)
}

/** A node is emptied before it goes. */
class DrainedNodes implements ChurnSystem {
  readonly #sim: ScaledCluster
  readonly #leaving = new Set<number>()

  constructor(nodes: number, clients: number, seed: number) {
    this.#sim = new ScaledCluster({ nodes, clients, files: FILES, seed })
    this.#sim.join()
  }

  get world() {
    return this.#sim.world
  }

  get clients() {
    return this.#sim.clients
  }

  async run(ms: number): Promise<void> {
    await this.#sim.runUntil(() => false, ms)
    for (const id of this.#leaving) {
      if (this.#sim.drains.report(id)?.state !== 'drained') continue
      this.#leaving.delete(id)
      this.#sim.leave(id)
    }
  }

  leave(id: number): void {
    this.#sim.drains.start(id, DRAIN_MS)
    this.#leaving.add(id)
  }

  enter(id: number): void {
    if (this.#leaving.has(id)) throw new Error(`node ${id} is not empty yet`)
    this.#sim.enter(id)
  }

  close(): void {
    this.#sim.close()
  }
}

export async function churnBench({
  connections,
  nodes,
  seed,
  only,
  ...options
}: ChurnOptions): Promise<Result> {
  const rows: Row[] = []
  for (const system of SYSTEMS.filter(name => name.includes(only))) {
    const { changes, broken, brokenPer100000 } = await churnOf(system, nodes, connections, seed)
    const figures = { changes: [changes], broken: [broken], 'per 100,000': [brokenPer100000] }
    rows.push({ group: `${nodes} nodes`, system, figures, errors: 0 })
  }
  const column = (name: string, digits: number) => ({ name, unit: '', digits })
  return publish(
    {
      bench: 'churn',
      title: `Connections that break while nodes leave and come back: ${connections} connections`,
      ...{ seeds: [seed], options: { connections, nodes, only }, rows, noise: [] },
      notes: [
        'Virtual time: five requests a connection, 200 ms apart; every 10 s another node leaves, and comes back after 5 s.',
        'gyre: a node is emptied before it goes. Hashes: the gateway steers by flow over the nodes that are there.',
      ],
      columns: [column('changes', 0), column('broken', 0), column('per 100,000', 1)],
      charts: [{ kind: 'bars', column: 'per 100,000' }],
    },
    options,
  )
}
