/** Laws of each policy, over random clusters; and for the published ones the rules of their papers. */
import fc from 'fast-check'
import { leastLoadedNode, roundRobin } from './by-connection.ts'
import { hash } from './hash.ts'
import { lardR, SET_MS, T_HIGH, T_LOW } from './lard-r.ts'
import { COOL_MS, costsOf, KEEP_COST, locality, READ_COST, SHIFT_COST } from './locality.ts'
import type { NodeLoad, Policy, ServerSet, View } from './policy.ts'

const ALL: readonly (readonly [string, Policy])[] = [
  ['locality', locality],
  ['lard-r', lardR],
  ['round-robin', roundRobin],
  ['least-loaded', leastLoadedNode],
  ['hash', hash],
]

const nodes = fc
  .uniqueArray(
    fc.record({
      id: fc.integer({ min: 1, max: 40 }),
      load: fc.integer({ min: 0, max: 2_000 }).map(quarters => quarters / 4),
    }),
    {
      selector: ({ id }) => id,
      minLength: 1,
      maxLength: 12,
    },
  )
  .map(all =>
    all.sort((a, b) => a.id - b.id).map(({ id, load }) => ({ id, load, connections: Math.floor(load) })),
  )
const owners = fc.uniqueArray(fc.integer({ min: 1, max: 40 }), { maxLength: 6 })
const set: fc.Arbitrary<ServerSet | undefined> = fc.option(
  fc.record({ nodes: owners, changedAt: fc.integer({ min: 0, max: 100_000 }), asked: fc.nat() }),
  { nil: undefined },
)
const view: fc.Arbitrary<View> = fc.record({
  nodes,
  holders: owners,
  set,
  turn: fc.nat(),
  now: fc.integer({ min: 100_000, max: 200_000 }),
})
const path = fc.webPath({ size: 'small' }).map(text => `/${text}`)

const load = (view: Pick<View, 'nodes'>, id: number) =>
  view.nodes.find(node => node.id === id)?.load as number
const leastOf = (view: Pick<View, 'nodes'>) => Math.min(...view.nodes.map(node => node.load))
const viewOf = (loads: readonly number[], more: Partial<View> = {}): View => ({
  nodes: loads.map((one, index) => ({ id: index + 1, load: one, connections: one })),
  ...{ holders: [], set: undefined, turn: 0, now: 0 },
  ...more,
})

describe.each(ALL)('%s', (_name, policy) => {
  it('gives a new connection to one of the nodes that take any, and the same one for the same question', () => {
    fc.assert(
      fc.property(fc.option(path, { nil: undefined }), view, (asked, seen) => {
        const before = structuredClone(seen)
        const choice = policy({ path: asked, from: undefined }, seen)
        expect(seen.nodes.map(({ id }) => id)).toContain(choice.to)
        expect(policy({ path: asked, from: undefined }, seen)).toEqual(choice)
        expect(seen).toEqual(before)
      }),
    )
  })

  it('leaves a connection where it is when nothing is known of what it will ask for', () => {
    fc.assert(
      fc.property(view, seen => {
        const from = (seen.nodes[0] as NodeLoad).id
        expect(policy({ path: undefined, from }, seen)).toEqual({ to: from, reason: 'stay' })
      }),
    )
  })
})

describe('locality', () => {
  it('says what every node would cost, and takes the cheapest', () => {
    fc.assert(
      fc.property(path, view, fc.boolean(), (asked, seen, isNew) => {
        const from = isNew ? undefined : (seen.nodes.at(-1) as NodeLoad).id
        const { to } = locality({ path: asked, from }, seen)
        const costs = costsOf({ path: asked, from }, seen)
        expect(costs.map(({ node }) => node)).toEqual(seen.nodes.map(({ id }) => id))
        for (const { wait, read, shift, total } of costs) expect(total).toBe(wait + read + shift)
        expect(costs.find(({ node }) => node === to)?.total).toBe(
          Math.min(...costs.map(({ total }) => total)),
        )
      }),
    )
  })

  it('gives another holder only to what all holders are loaded too much for: twice the least and 40', () => {
    fc.assert(
      fc.property(path, view, (asked, { set: _, ...seen }) => {
        const { to, reason } = locality({ path: asked, from: undefined }, { ...seen, set: undefined })
        const held = seen.nodes.filter(({ id }) => seen.holders.includes(id))
        const bound = 2 * leastOf(seen) + READ_COST
        if (held.length === 0) expect([reason, load(seen, to)]).toEqual(['first', leastOf(seen)])
        else if (reason === 'replica')
          expect(Math.min(...held.map(one => one.load))).toBeGreaterThanOrEqual(bound)
        else expect(load(seen, to)).toBeLessThanOrEqual(bound)
      }),
    )
  })

  it('moves a connection only for more than a shift costs', () => {
    fc.assert(
      fc.property(path, view, (asked, seen) => {
        const from = (seen.nodes[0] as NodeLoad).id
        const { to } = locality({ path: asked, from }, seen)
        const costs = costsOf({ path: asked, from }, seen)
        const totalOf = (id: number) => costs.find(({ node }) => node === id)?.total as number
        if (to !== from) expect(totalOf(from)).toBeGreaterThanOrEqual(totalOf(to))
        if (to !== from) expect(totalOf(to)).toBeGreaterThanOrEqual(SHIFT_COST)
      }),
    )
  })

  describe('replicas', () => {
    const ask = (seen: View) => locality({ path: '/a', from: undefined }, seen)
    const holders = [1, 2]

    it('come with the load, and are given up when nobody asks any more, the most loaded first', () => {
      const hot = ask(viewOf([50, 3, 0], { holders: [1], now: 5 }))
      expect(hot).toMatchObject({ to: 3, reason: 'replica' })
      const set = { nodes: [1, 3], changedAt: 5, asked: 0 }
      expect(hot.set).toEqual(set)
      const seen = viewOf([50, 3, 0], { holders: [1, 3], set, now: 5 + COOL_MS })
      expect(ask(seen).set).toEqual({ ...set, asked: 1 })
      const now = 6 + COOL_MS
      expect(ask({ ...seen, now }).set).toEqual({ nodes: [3], changedAt: now, asked: 0 })
      const asked = { ...seen, now, set: { ...set, asked: 20 } }
      expect(ask(asked).set).toEqual({ nodes: [1, 3], changedAt: now, asked: 0 })
    })

    it('that were given up are taken before others read the object, but not before those that were not', () => {
      const set = { nodes: [1], changedAt: 0, asked: 0 }
      expect(ask(viewOf([KEEP_COST - 1, 0, 0], { holders, set }))).toMatchObject({ to: 1, reason: 'holder' })
      expect(ask(viewOf([KEEP_COST + 1, 0, 0], { holders, set, now: 7 }))).toMatchObject({
        ...{ to: 2, reason: 'replica', set: { nodes: [1, 2], changedAt: 7, asked: 0 } },
      })
    })

    it('are never given up to the last', () => {
      const set = { nodes: [1, 9], changedAt: 0, asked: 0 }
      const now = COOL_MS + 1
      expect(ask(viewOf([1, 0], { holders: [1], set, now })).set).toEqual({ ...set, changedAt: now })
    })
  })

  it('takes nodes that are alike in turn', () => {
    const chosen = [0, 1, 2].map(
      turn => locality({ path: '/a', from: undefined }, viewOf([0, 0, 0], { turn })).to,
    )
    expect([...chosen].sort()).toEqual([1, 2, 3])
  })
})

describe('LARD/R (ASPLOS 1998, figure 3)', () => {
  const ask = (seen: View) => lardR({ path: '/a', from: undefined }, seen)
  const setOf = (...members: number[]): ServerSet => ({ nodes: members, changedAt: 0, asked: 0 })

  it.each([
    ['no server yet: the least loaded', [9, 3, 5], undefined, 2, [2]],
    ['one server: that, whatever the others', [60, 0, 0], setOf(1), 1, undefined],
    ['above T_high and one below T_low: another server', [T_HIGH + 1, T_LOW - 1, 30], setOf(1), 2, [1, 2]],
    ['above T_high and none below T_low: that', [T_HIGH + 1, T_LOW, T_LOW], setOf(1), 1, undefined],
    ['twice T_high: another server in any case', [2 * T_HIGH, 100, 110], setOf(1), 2, [1, 2]],
    ['several servers: the least loaded of them', [50, 40, 0], setOf(1, 2), 2, undefined],
    ['servers that are gone do not count', [5, 9], setOf(7), 1, [1]],
  ])('%s', (_name, loads, known, to, kept) => {
    const choice = ask(viewOf(loads, { set: known }))
    expect(choice.to).toBe(to)
    expect(choice.set?.nodes).toEqual(kept)
  })

  it('gives up the most loaded server of a set that has not changed for K seconds', () => {
    const seen = viewOf([50, 40, 0], { set: setOf(1, 2), now: SET_MS })
    expect(ask(seen).set).toBeUndefined()
    expect(ask({ ...seen, now: SET_MS + 1 }).set).toEqual({ nodes: [2], changedAt: SET_MS + 1, asked: 0 })
    const alone = viewOf([50, 40, 0], { set: setOf(1), now: SET_MS + 1 })
    expect(ask(alone).set).toBeUndefined()
  })
})

describe('hash (Thaler and Ravishankar 1998)', () => {
  const nodesOf = (ids: readonly number[]) =>
    viewOf([], { nodes: ids.map(id => ({ id, load: 0, connections: 0 })) })
  const chosen = (seen: View, asked: string) => hash({ path: asked, from: undefined }, seen).to

  it('moves no path but those of the node that leaves', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.integer({ min: 0, max: 1023 }), { minLength: 2, maxLength: 20 }),
        path,
        (ids, asked) => {
          const before = chosen(nodesOf(ids), asked)
          for (const gone of ids) {
            const after = chosen(nodesOf(ids.filter(id => id !== gone)), asked)
            if (gone !== before) expect(after).toBe(before)
          }
        },
      ),
    )
  })

  it.each([2, 3, 7, 40])('gives each of %i nodes its share of paths', count => {
    const ids = Array.from({ length: count }, (_, index) => index + 1)
    const shares = new Map<number, number>()
    const each = 400
    for (let number = 0; number < each * count; number++) {
      const to = chosen(nodesOf(ids), `/images/${number}.webp`)
      shares.set(to, (shares.get(to) ?? 0) + 1)
    }
    // The deviation of a fair choice is the root of the share: within five of them.
    for (const id of ids) expect(Math.abs((shares.get(id) ?? 0) - each)).toBeLessThan(5 * Math.sqrt(each))
  })
})

describe('those that know no files', () => {
  it('round-robin goes through the nodes', () => {
    const turns = [0, 1, 2, 3].map(
      turn => roundRobin({ path: '/a', from: undefined }, viewOf([9, 0, 0], { turn })).to,
    )
    expect(turns).toEqual([1, 2, 3, 1])
  })

  it('least-loaded takes the least loaded', () => {
    fc.assert(
      fc.property(path, view, (asked, seen) => {
        expect(load(seen, leastLoadedNode({ path: asked, from: undefined }, seen).to)).toBe(leastOf(seen))
      }),
    )
  })
})
