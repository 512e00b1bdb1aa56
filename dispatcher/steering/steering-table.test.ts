import fc from 'fast-check'
import { MemorySteering } from './memory-steering.ts'
import { RouteSteering } from './route-steering.ts'
import { MAX_FLOW_TIMEOUT_MS, MAX_OWNERS, type NextHop, type SteeredFlow } from './steering.ts'
import { checkElement, checkOwners, keyOf, SteeringTable } from './steering-table.ts'

const OWNERS: readonly NextHop[] = [
  { owner: 0, address: '10.78.0.2', address6: 'fd78::2' },
  { owner: 1, address: '10.78.0.11', address6: 'fd78::b' },
  { owner: 2, address: '10.78.0.12', address6: undefined },
]
const FLOW = { family: 4, address: '192.0.2.1', port: 5000 } as const
const SEGMENT = { flow: FLOW, syn: false, ack: true, tsEcr: undefined }

function tableWith(...flows: SteeredFlow[]): SteeringTable {
  const table = new SteeringTable(8)
  table.setOwners(checkOwners(OWNERS, 8))
  for (const flow of flows) table.set(checkElement(flow, 0))
  return table
}

describe('the decision', () => {
  it.each([
    ['an ACK that names an owner', { ...SEGMENT, tsEcr: (7 << 8) | 1 }, 1],
    ['an ACK whose timestamp is negative as int32', { ...SEGMENT, tsEcr: (-5 << 8) | 2 }, 2],
    ['an ACK that names nobody, without an element', { ...SEGMENT, tsEcr: (7 << 8) | 9 }, undefined],
    ['a SYN, whatever its timestamp says', { ...SEGMENT, syn: true, ack: false, tsEcr: 1 }, undefined],
    ['a SYN-ACK', { ...SEGMENT, syn: true, tsEcr: 1 }, undefined],
    ['a RST without ACK, whose TSecr means nothing', { ...SEGMENT, ack: false, tsEcr: 1 }, undefined],
    [
      'an owner without an address of the family',
      { ...SEGMENT, flow: { ...FLOW, family: 6, address: '::1' }, tsEcr: 2 } as const,
      undefined,
    ],
  ])('for %s', (_what, packet, owner) => {
    expect(tableWith().steer(packet, 0)).toBe(owner)
  })

  it('follows the element where no owner is named, until its time is over', () => {
    const table = tableWith({ ...FLOW, owner: 2, timeoutMs: 1000 })
    expect(table.steer(SEGMENT, 999)).toBe(2)
    expect(table.steer({ ...SEGMENT, ack: false }, 0)).toBe(2)
    expect(table.steer({ ...SEGMENT, tsEcr: 9 }, 0)).toBe(2)
    expect(table.steer({ ...SEGMENT, tsEcr: 1 }, 0)).toBe(1)
    expect(table.steer({ ...SEGMENT, syn: true }, 0)).toBeUndefined()
    expect(table.steer({ ...SEGMENT, flow: { ...FLOW, port: 5001 } }, 0)).toBeUndefined()
    expect(table.steer(SEGMENT, 1000)).toBeUndefined()
  })
})

describe('expiry', () => {
  it('names exactly the elements whose second is over, also after they were set again', () => {
    const time = fc.integer({ min: 1, max: 20_000 })
    const port = fc.integer({ min: 1, max: 8 })
    fc.assert(
      fc.property(fc.array(fc.tuple(port, time), { maxLength: 40 }), time, (sets, now) => {
        const table = tableWith()
        const last = new Map<string, number>()
        for (const [flowPort, timeoutMs] of sets) {
          const flow = { ...FLOW, port: flowPort }
          table.set(checkElement({ ...flow, owner: 1, timeoutMs }, 0))
          last.set(keyOf(flow), timeoutMs)
        }
        const over = [...last].filter(([, at]) => Math.floor(at / 1000) < Math.floor(now / 1000))
        expect(table.expired(now).sort()).toEqual(over.map(([key]) => key).sort())
        expect(table.size).toBe(last.size)
      }),
    )
  })
})

describe('checks', () => {
  it.each([
    ['an address of the other family', { ...FLOW, family: 6, owner: 1, timeoutMs: 1 } as const],
    ['text that is no address', { ...FLOW, address: '1.2.3.4 ; flush ruleset', owner: 1, timeoutMs: 1 }],
    ['a port out of range', { ...FLOW, port: 65_536, owner: 1, timeoutMs: 1 }],
    ['a timeout of nothing', { ...FLOW, owner: 1, timeoutMs: 0 }],
    ['a timeout of more than a day', { ...FLOW, owner: 1, timeoutMs: MAX_FLOW_TIMEOUT_MS + 1 }],
    ['a timeout that is none', { ...FLOW, owner: 1, timeoutMs: Number.NaN }],
  ])('refuse %s', (_what, flow) => {
    expect(() => checkElement(flow, 0)).toThrow(expect.objectContaining({ code: 'BAD_VALUE' }))
  })

  it('give equal addresses equal keys', () => {
    const long = checkElement({ family: 6, address: '2001:DB8:0:0::1', port: 1, owner: 1, timeoutMs: 1 }, 0)
    const short = checkElement({ family: 6, address: '2001:db8::1', port: 1, owner: 1, timeoutMs: 1 }, 0)
    expect(long.key).toBe(short.key)
  })

  it.each([
    ['an id of more bits', [{ owner: 256, address: '10.0.0.1', address6: undefined }], 'BAD_VALUE'],
    ['an id twice', [OWNERS[1], OWNERS[1]], 'BAD_VALUE'],
    ['a negative id', [{ owner: -1, address: '10.0.0.1', address6: undefined }], 'BAD_VALUE'],
    ['an address that is none', [{ owner: 1, address: 'node1', address6: undefined }], 'BAD_VALUE'],
    ['too many', new Array(MAX_OWNERS + 1).fill(OWNERS[1]), 'STEERING_FULL'],
  ])('refuse owners with %s', (_what, owners, code) => {
    expect(() => checkOwners(owners as NextHop[], 8)).toThrow(expect.objectContaining({ code }))
  })
})

describe('MemorySteering', () => {
  it('refuses unknown owners whole, and drops the elements of owners that go', async () => {
    const steering = new MemorySteering(8, () => 0)
    await steering.setOwners(OWNERS)
    const set = [
      { ...FLOW, owner: 1, timeoutMs: 1000 },
      { ...FLOW, port: 5001, owner: 7, timeoutMs: 1000 },
    ]
    await expect(steering.updateFlows({ set, remove: [] })).rejects.toMatchObject({ code: 'UNKNOWN_OWNER' })
    expect(steering.steer(SEGMENT)).toBeUndefined()
    await steering.updateFlows({ set: set.slice(0, 1), remove: [FLOW] })
    expect(steering.steer(SEGMENT)).toBe(1)
    expect(steering.steer({ ...SEGMENT, tsEcr: 2 })).toBe(2)
    expect(await steering.counters()).toMatchObject({ packets: 3, byOwner: 1, byFlow: 1, unsteered: 1 })
    await steering.setOwners(OWNERS.slice(0, 1))
    expect(steering.table.size).toBe(0)
  })

  it('replaces all elements', async () => {
    const steering = new MemorySteering(8, () => 0)
    await steering.setOwners(OWNERS)
    await steering.replaceFlows([{ ...FLOW, owner: 1, timeoutMs: 1000 }])
    await steering.replaceFlows([{ ...FLOW, port: 1, owner: 1, timeoutMs: 1000 }])
    expect([...steering.table.elements()].map(({ port }) => port)).toEqual([1])
  })

  it('replaces the elements that one dispatcher has set, and leaves those of another', async () => {
    const steering = new MemorySteering(8, () => 0)
    await steering.setOwners(OWNERS)
    const flow = (port: number, by: number) => ({ ...FLOW, port, owner: 1, timeoutMs: 1000, by })
    await steering.updateFlows({ set: [flow(1, 0), flow(2, 0), flow(3, 201)], remove: [] })
    await steering.replaceFlows([flow(2, 0), flow(4, 0)], 0)
    expect([...steering.table.elements()].map(({ port }) => port).sort()).toEqual([2, 3, 4])
  })

  it('spreads over its dispatchers what names nobody, each source to one of them', async () => {
    const steering = new MemorySteering(8, () => 0)
    const [one, two] = OWNERS.map(({ owner }) => owner)
    await steering.setOwners(OWNERS, [one as number, two as number])
    const syn = (port: number) => ({ ...SEGMENT, flow: { ...FLOW, port }, syn: true, ack: false })
    const chosen = Array.from({ length: 500 }, (_, port) => steering.steer(syn(port)))
    expect(new Set(chosen)).toEqual(new Set([one, two]))
    expect(chosen.map((_, port) => steering.steer(syn(port)))).toEqual(chosen)
    await steering.setOwners(OWNERS, [two as number])
    expect(steering.steer(syn(1))).toBe(two)
  })
})

it('RouteSteering takes what is well formed and refuses what is not', async () => {
  const steering = new RouteSteering(8)
  await steering.start()
  await steering.setOwners(OWNERS)
  await steering.updateFlows({ set: [{ ...FLOW, owner: 1, timeoutMs: 1 }], remove: [FLOW] })
  await expect(steering.updateFlows({ set: [], remove: [{ ...FLOW, port: -1 }] })).rejects.toMatchObject({
    code: 'BAD_VALUE',
  })
})
