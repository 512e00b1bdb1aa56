import { setImmediate as turn } from 'node:timers/promises'
import { type MemoryDelivery, type MemoryDevice, memoryPair } from './memory-device.ts'
import { MAX_BATCH_PACKETS, PacketBatch } from './packet-batch.ts'

function batchOf(...packets: number[][]): PacketBatch {
  const batch = new PacketBatch(65_536)
  for (const packet of packets) batch.push(Uint8Array.from(packet))
  return batch
}

function record(device: MemoryDevice): number[][] {
  const received: number[][] = []
  device.onReceive = batch => {
    for (let index = 0; index < batch.count; index++) received.push([...batch.copyOf(index)])
  }
  return received
}

describe.each<MemoryDelivery>(['manual', 'turn', 'synchronous'])('a pair with %s delivery', delivery => {
  it('carries packets both ways, in order and whole', async () => {
    const [left, right] = memoryPair({ delivery })
    const [atLeft, atRight] = [record(left), record(right)]
    const batch = batchOf([1, 2, 3], [4])
    batch.begin(1)
    batch.add(Uint8Array.of(9, 8, 7), 1, 2)
    expect(left.send(batch)).toBe(3)
    expect(right.send(batchOf([5]))).toBe(1)
    if (delivery === 'manual') expect([right.deliver(), left.deliver()]).toEqual([3, 1])
    await turn()
    expect(atRight).toEqual([[1, 2, 3], [4], [0, 8, 7]])
    expect(atLeft).toEqual([[5]])
  })

  it('lets a handler answer', async () => {
    const [left, right] = memoryPair({ delivery })
    const answers = record(left)
    right.onReceive = batch => {
      right.send(batch)
    }
    left.send(batchOf([1], [2]))
    right.deliver()
    left.deliver()
    await turn()
    await turn()
    expect(answers).toEqual([[1], [2]])
  })

  it('sends nothing to or from a closed end', async () => {
    const [left, right] = memoryPair({ delivery })
    const received = record(right)
    right.close()
    right.close()
    expect(left.send(batchOf([1]))).toBe(0)
    expect(right.send(batchOf([1]))).toBe(0)
    expect([left.dropped, right.dropped]).toEqual([1, 1])
    await turn()
    expect(received).toEqual([])
  })
})

describe('a pair', () => {
  it('copies: the sender may use its buffers again at once', () => {
    const [left, right] = memoryPair({ delivery: 'manual' })
    const received = record(right)
    const batch = batchOf([1, 2])
    left.send(batch)
    batch.arena.fill(0)
    right.deliver()
    expect(received).toEqual([[1, 2]])
  })

  it('accepts no more than its queue holds', () => {
    const [left, right] = memoryPair({ delivery: 'manual', queuePackets: 3 })
    expect(left.send(batchOf([1], [2]))).toBe(2)
    expect(left.send(batchOf([3], [4]))).toBe(1)
    expect(left.dropped).toBe(1)
    expect(right.waiting).toBe(3)
    expect(() => memoryPair({ queuePackets: 0 })).toThrow(RangeError)
  })

  it('delivers as many as asked for, in batches', () => {
    const [left, right] = memoryPair({ delivery: 'manual' })
    const sizes: number[] = []
    right.onReceive = batch => {
      sizes.push(batch.count)
    }
    for (let count = 0; count < 3; count++) {
      left.send(batchOf(...Array.from({ length: MAX_BATCH_PACKETS }, (_, at) => [at])))
    }
    expect(right.deliver(100)).toBe(100)
    expect(sizes).toEqual([64, 36])
    expect(right.deliver()).toBe(92)
    expect(right.waiting).toBe(0)
  })

  it('does not call a handler within itself', () => {
    const [left, right] = memoryPair({ delivery: 'synchronous' })
    let depth = 0
    let rounds = 0
    const bounce = (device: MemoryDevice) => (batch: PacketBatch) => {
      depth++
      expect(depth).toBe(1)
      if (rounds++ < 1_000) device.send(batch)
      depth--
    }
    left.onReceive = bounce(left)
    right.onReceive = bounce(right)
    left.send(batchOf([1]))
    expect(rounds).toBe(1_001)
  })

  it('lets timers run between turns', async () => {
    const [left, right] = memoryPair({ delivery: 'turn' })
    for (const device of [left, right]) {
      device.onReceive = batch => {
        device.send(batch)
      }
    }
    left.send(batchOf([1]))
    await new Promise(resolve => setTimeout(resolve, 5))
    left.close()
  })
})
