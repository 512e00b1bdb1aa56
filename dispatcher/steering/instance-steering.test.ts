import { InstanceSteering } from './instance-steering.ts'
import { MemorySteering } from './memory-steering.ts'

const HOPS = [1, 2, 3].map(owner => ({ owner, address: '10.78.0.11', address6: 'fd78::b' }))
const FLOW = { family: 4, address: '192.0.2.1', port: 5000 } as const
const packet = (tsEcr: number | undefined) => ({ flow: FLOW, syn: false, ack: true, tsEcr })

function steering(): { memory: MemorySteering; instances: InstanceSteering } {
  const memory = new MemorySteering(8, () => 0)
  const devices = new Map([
    [1, 'tun0'],
    [2, 'tun1'],
  ])
  return { memory, instances: new InstanceSteering(memory, devices) }
}

it('steers to its own instances by their devices, and to nobody else', async () => {
  const { memory, instances } = steering()
  await instances.setOwners(HOPS)
  expect([...memory.table.owners.values()].map(({ owner, device }) => [owner, device])).toEqual([
    [1, 'tun0'],
    [2, 'tun1'],
  ])
  expect(memory.table.steer(packet(0x501), 0)).toBe(1)
  expect(memory.table.steer(packet(0x502), 0)).toBe(2)
  expect(memory.table.steer(packet(0x503), 0)).toBeUndefined()
})

it('follows a flow without timestamps among its instances, and forgets it when it leaves', async () => {
  const { memory, instances } = steering()
  await instances.setOwners(HOPS)
  for (const [owner, steered] of [
    [1, 1],
    [2, 2],
    [3, undefined],
    [2, 2],
  ] as const) {
    await instances.updateFlows({ set: [{ ...FLOW, owner, timeoutMs: 1000 }], remove: [] })
    expect(memory.table.steer(packet(undefined), 0)).toBe(steered)
  }
  await instances.replaceFlows([{ ...FLOW, owner: 3, timeoutMs: 1000 }])
  expect(memory.table.size).toBe(0)
})

it('leaves counting to the gateway, which has seen these packets before', async () => {
  const { instances } = steering()
  expect((await instances.counters()).packets).toBe(0)
})
