import { StandaloneCore } from '../../node/server/standalone.ts'
import type { Connection } from '../../node/stack/connection.ts'
import { DEFAULT_LIMITS } from '../../node/stack/limits.ts'
import type { Owner } from '../../node/stack/owner.ts'
import { PUT_AWAY_AFTER_MS } from '../../node/stack/put-away.ts'
import { Vips } from '../../node/stack/vips.ts'
import { tcpConfig } from '../../node/tcp/config.ts'
import { ONE_SITE, SimulatedResources, simulatedFiles } from '../sim/cluster/files.ts'
import { createWorld } from '../sim/network/element.ts'
import { HandMadeClients } from './hand-made-clients.ts'
import { heapOctets } from './heap.ts'

const CLIENTS = 3_000
/** So many come and go first: code is compiled, and tables have grown. */
const WARM_UP = 300
/** Of issue and README: an idle connection, with its place in every table, its timers and its HTTP state. */
const MAX_IDLE_OCTETS = 2_048
/**
 * What may be left of each: the slots of tables that have grown, its epoch for some seconds, and what the test itself
 * compiled meanwhile. Half of what an idle connection takes.
 */
const MAX_LEFT_OCTETS = 700

interface Served {
  readonly owner: Owner
  readonly clients: HandMadeClients
  /** In ms. */
  now: number
}

function served(most: number): Served {
  const world = createWorld(1)
  const files = simulatedFiles(1, { '/1k': 1_024 })
  const vips = Vips.parse('10.77.0.1', undefined, 80)
  const { owner } = new StandaloneCore(
    {
      id: 0,
      vips,
      tcp: tcpConfig({}),
      limits: DEFAULT_LIMITS,
      idBase: 0,
      secret: world.random.octets(32),
    },
    {
      transmit: batch => clients.take(batch),
      random: () => world.random.int32(),
      now: () => stand.now,
      nowSecond: () => 1_700_000_000,
      wallMs: () => 1_700_000_000_000 + stand.now,
      wake: () => {},
    },
    new SimulatedResources(files, world.scheduler, ONE_SITE),
  )
  const clients = new HandMadeClients(most, vips, {
    now: () => stand.now,
    deliver: batch => {
      stand.now += 0.01
      owner.receiveBatch(batch, stand.now)
    },
  })
  const stand: Served = { owner, clients, now: 1_000 }
  // The file is read once, before anything is measured.
  clients.open(0)
  clients.ask(0)
  world.scheduler.run(1_000)
  clients.close(0)
  return stand
}

function connectionsOf(owner: Owner): Connection[] {
  return [...owner.flows.values()].filter(entry => entry.kind === 'connection')
}

describe(`${CLIENTS} connections`, () => {
  const stand = served(WARM_UP + CLIENTS)
  const { clients, owner } = stand
  const each = (from: number, to: number, act: (client: number) => void) => {
    for (let client = from; client < to; client++) act(client)
  }
  const pass = (ms: number) => {
    stand.now += ms
    owner.poll(stand.now)
  }
  let before = 0
  let responseOctets = 0

  it('come and go once, and leave nothing', () => {
    each(1, WARM_UP, client => {
      clients.open(client)
      clients.ask(client)
    })
    pass(2 * PUT_AWAY_AFTER_MS)
    each(1, WARM_UP, client => clients.close(client))
    expect(owner.connections).toBe(0)
    responseOctets = clients.received / WARM_UP
    expect(responseOctets).toBeGreaterThan(1_024)
    before = heapOctets()
  })

  it(`rest when they are idle, at no more than ${MAX_IDLE_OCTETS} octets each`, () => {
    each(WARM_UP, WARM_UP + CLIENTS, client => {
      clients.open(client)
      clients.ask(client)
    })
    expect(owner.connections).toBe(CLIENTS)
    pass(2 * PUT_AWAY_AFTER_MS)
    expect(connectionsOf(owner).every(connection => connection.isPutAway)).toBe(true)
    expect((heapOctets() - before) / CLIENTS).toBeLessThan(MAX_IDLE_OCTETS)
  })

  it('all answer again', () => {
    clients.received = 0
    each(WARM_UP, WARM_UP + CLIENTS, client => clients.ask(client))
    expect(clients.received).toBe(CLIENTS * responseOctets)
    pass(2 * PUT_AWAY_AFTER_MS)
    expect(connectionsOf(owner).every(connection => connection.isPutAway)).toBe(true)
  })

  it('leave no flow, no timer and no memory behind when they end', () => {
    clients.ended = 0
    each(WARM_UP, WARM_UP + CLIENTS, client => clients.close(client))
    expect(clients.ended).toBe(CLIENTS)
    expect([owner.connections, owner.flows.size, owner.byId.size]).toEqual([0, 0, 0])
    pass(2 * PUT_AWAY_AFTER_MS)
    expect(owner.usage().timers?.used).toBeLessThanOrEqual(512)
    expect((heapOctets() - before) / CLIENTS).toBeLessThan(MAX_LEFT_OCTETS)
  })
})
