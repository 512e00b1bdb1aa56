/**
 * Nodes that join and leave under load, and the connections that break by it. Clients come at a steady rate, ask some times and
 * close; one node after the other leaves and comes back. A connection is broken when not all of its requests are answered: it
 * was reset, or its packets went to who does not know it.
 */
import type { World } from '../sim/network/element.ts'
import type { HandMadeClients } from '../soak/hand-made-clients.ts'

export const FILE_OCTETS = 1_024
/** Requests of one connection, and the time between them. */
const REQUESTS = 5
const THINK_MS = 200
/** Connections that come in a millisecond. */
const OPENED_PER_MS = 2
/** For the first nodes to be known, and the last answers to come. */
const SETTLE_MS = 2_000

/** What clients meet. Nodes are numbered from 1. */
export interface ChurnSystem {
  readonly world: World
  readonly clients: HandMadeClients
  run(ms: number): Promise<void>
  leave(id: number): void
  enter(id: number): void
  close(): void
}

export interface ChurnFigures {
  readonly connections: number
  readonly changes: number
  readonly broken: number
  readonly brokenPer100000: number
}

/** Every `changeMs`, which is even, a node leaves; it is away for half of that. */
export async function churn(
  system: ChurnSystem,
  nodes: number,
  connections: number,
  changeMs: number,
): Promise<ChurnFigures> {
  const { clients, world } = system
  const { scheduler } = world
  const began = scheduler.now
  const due = schedule(connections)
  const answered = new Uint8Array(connections)
  clients.answered = client => {
    answered[client] = (answered[client] as number) + 1
  }
  let changes = 0
  const end = Math.ceil(connections / OPENED_PER_MS) + REQUESTS * THINK_MS
  for (let ms = 0; ms < end; ms++) {
    for (const act of due(ms)) act(clients)
    if (ms % changeMs === changeMs / 2) system.leave(nodeOf(changes++, nodes))
    if (ms % changeMs === 0 && ms > 0) system.enter(nodeOf(changes++, nodes))
    await system.run(began + ms + 1 - scheduler.now)
  }
  await system.run(SETTLE_MS)
  system.close()
  let broken = 0
  for (let client = 0; client < connections; client++) {
    if (answered[client] !== REQUESTS) broken++
  }
  return { connections, changes, broken, brokenPer100000: (broken * 100_000) / connections }
}

/** Leaving and coming back are two changes of the same node. */
function nodeOf(change: number, nodes: number): number {
  return 1 + ((change >> 1) % nodes)
}

type Act = (clients: HandMadeClients) => void

/** What the clients do in each millisecond. */
function schedule(connections: number): (ms: number) => Act[] {
  return ms => {
    const acts: Act[] = []
    const begunAt = (from: number, act: (clients: HandMadeClients, client: number) => void) => {
      for (let turn = 0; turn < OPENED_PER_MS; turn++) {
        const client = from * OPENED_PER_MS + turn
        if (from >= 0 && client < connections) acts.push(clients => act(clients, client))
      }
    }
    begunAt(ms, (clients, client) => {
      clients.open(client)
      clients.ask(client, '/0')
    })
    for (let request = 1; request < REQUESTS; request++) {
      begunAt(ms - request * THINK_MS, (clients, client) => clients.ask(client, '/0'))
    }
    begunAt(ms - REQUESTS * THINK_MS, (clients, client) => clients.close(client))
    return acts
  }
}
