import { introduced, ScaledCluster } from './cluster.ts'
import { directoryFigures, placementFigures, recordFigures } from './dispatcher-figures.ts'
import { clusterFigures, rackFigures } from './measures.ts'

// Nothing here is timed, and the machine may have other work.
jest.setTimeout(120_000)

it('a shift costs as many messages in a cluster twice as large, and the directory is right when all is told', async () => {
  const [small, large] = [await clusterFigures(4, 120, 1), await clusterFigures(8, 240, 1)]
  expect([small.shifts, large.shifts]).toEqual([40, 80])
  for (const { messagesPerShift, octetsPerShift, staleShare, unknownShare } of [small, large]) {
    // COMMIT, SHIFTED and OWNED; PREPARE and PREPARED where a target has not been heard; news of several in one message.
    expect(messagesPerShift).toBeGreaterThan(2)
    expect(messagesPerShift).toBeLessThanOrEqual(6)
    expect(octetsPerShift).toBeLessThan(1_000)
    expect(staleShare).toBeLessThan(0.1)
    expect(unknownShare).toBeLessThan(0.1)
  }
  expect(await clusterFigures(4, 120, 1)).toMatchObject({
    ...small,
    joinMs: expect.anything(),
    restCpu: expect.anything(),
  })
})

it('a rack of two nodes out of six is drained, and none of its connections moves twice', async () => {
  const figures = await rackFigures(6, 2, 50, 1)
  expect(figures).toMatchObject({ shifted: 100, left: 0 })
})

it('members, paths and records are counted as the dispatcher has them', () => {
  expect(placementFigures(20, 40, 1)).toMatchObject({ members: 20 })
  expect(recordFigures(3_000, 1)).toMatchObject({ connections: 3_000, records: 3_000 })
  expect(directoryFigures(5_000, 1).octetsEach).toBeGreaterThan(0)
})

describe('who is there', () => {
  const files = new Map([['/0', new Uint8Array(10)]])
  const known = (sim: ScaledCluster, id: number) =>
    sim
      .node(id)
      .runtime.owners()
      .map(owner => owner.id)
  const sorted = (ids: readonly number[]) => [...ids].sort((a, b) => a - b)

  it('is told to each node once whole, and then by what changes', () => {
    const sim = new ScaledCluster({ nodes: 5, clients: 0, files, seed: 1 })
    sim.join()
    for (let id = 1; id <= 5; id++) expect(sorted(known(sim, id))).toEqual([1, 2, 3, 4, 5])
    const sums = sim.traffic.take()
    expect([sums.get('ROSTER')?.messages, sums.get('CHANGED')?.messages]).toEqual([5, 10])
    sim.close()
  })

  it('is told whole to a node whose link did not take a change', () => {
    const sim = new ScaledCluster({ nodes: 5, clients: 0, files, seed: 1 })
    sim.join(1, 3)
    sim.deaf.add(1)
    sim.join(4, 4)
    sim.deaf.delete(1)
    expect(known(sim, 1)).not.toContain(4)
    sim.join(5, 5)
    for (let id = 1; id <= 5; id++) expect(sorted(known(sim, id))).toEqual([1, 2, 3, 4, 5])
    sim.close()
  })

  it('is told whole to a node whose link broke, by the next one', () => {
    const sim = new ScaledCluster({ nodes: 4, clients: 0, files, seed: 1 })
    sim.join(1, 3)
    sim.dispatcher.nodeDown(1)
    sim.join(4, 4)
    sim.dispatcher.nodeDown(3)
    sim.run(12_000)
    // The dispatcher has given it up, too, before it is back.
    expect([sim.dispatcher.members.get(1), sorted(known(sim, 1))]).toEqual([undefined, [1, 2, 3]])
    expect(sorted(known(sim, 2))).toEqual([2, 4])
    sim.dispatcher.nodeUp(introduced(1, '1'), false)
    sim.run(100)
    for (const id of [1, 2, 4]) expect(sorted(known(sim, id))).toEqual([1, 2, 4])
    sim.close()
  })

  it('no longer holds a node that is dead', () => {
    const sim = new ScaledCluster({ nodes: 3, clients: 0, files, seed: 1 })
    sim.join()
    sim.dispatcher.nodeDown(2)
    sim.run(12_000)
    expect(sorted(known(sim, 1))).toEqual([1, 3])
    sim.close()
  })
})
