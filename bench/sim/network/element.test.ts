import { createTcpHeader } from '../../../node/wire/emit.ts'
import { ACK, createSegment } from '../../../node/wire/segment.ts'
import { corrupt, duplicate, mark } from './damage.ts'
import { delay, reorder } from './delay.ts'
import { chain, createWorld, type Element, type Packet, viewOf } from './element.ts'
import { burstDrop, cut, drop } from './loss.ts'
import { readPacket, tcpPacket } from './packet.ts'
import { rate } from './rate.ts'
import { segment } from './segment.ts'
import { tap } from './tap.ts'

const header = {
  ...createTcpHeader(),
  src3: 0x0a000001,
  dst3: 0x0a000002,
  flags: ACK,
  ecn: 2,
}

/** A packet that carries its number as its sequence number, of 1,000 octets without the virtio header. */
function numbered(seq: number, family: 4 | 6 = 4): Packet {
  const addresses = family === 4 ? {} : { src0: 0x20010db8, dst0: 0x20010db8 }
  return tcpPacket({ ...header, ...addresses, family, seq }, new Uint8Array(family === 4 ? 960 : 940))
}

const numberOf = (packet: Packet) =>
  viewOf(packet).getInt32(10 + ((packet[10] ?? 0) >> 4 === 4 ? 20 : 40) + 4)

interface Arrival {
  readonly seq: number
  readonly at: number
  readonly packet: Packet
}

/** Sends `count` packets, one every `everyMs`, and returns what arrives. */
function send(element: Element, count: number, everyMs: number, seed = 1): Arrival[] {
  const world = createWorld(seed)
  const arrivals: Arrival[] = []
  const sink = element.attach(world, packet =>
    arrivals.push({ seq: numberOf(packet), at: world.scheduler.now, packet }),
  )
  for (let seq = 0; seq < count; seq++) world.scheduler.at(seq * everyMs, () => sink(numbered(seq)))
  world.scheduler.run(Infinity)
  return arrivals
}

const numbers = (arrivals: Arrival[]) => arrivals.map(({ seq }) => seq)
const upTo = (count: number) => Array.from({ length: count }, (_, seq) => seq)

describe('determinism', () => {
  const everything = () =>
    chain([
      delay(5, 3),
      drop(0.05),
      burstDrop(0.02, 0.3),
      duplicate(0.05),
      reorder(0.05, 4),
      segment(),
      mark(0.1),
      corrupt(0.05),
      rate(10_000_000, 20_000),
    ])
  const trace = (seed: number) =>
    send(everything(), 2_000, 0.9, seed).map(({ seq, at, packet }) => `${at} ${seq} ${packet.join()}`)

  test('one seed, one run; another seed, another', () => {
    const first = trace(11)
    expect(trace(11)).toEqual(first)
    expect(trace(12)).not.toEqual(first)
  })

  test('an element in the chain does not disturb the randomness of those beside it', () => {
    const lost = drop(0.1)
    const alone = numbers(send(chain([lost, delay(1)]), 1_000, 1))
    const tapped = numbers(send(chain([lost, delay(1), tap(() => {})]), 1_000, 1))
    expect(tapped).toEqual(alone)
  })
})

describe('delay', () => {
  test('exactly, without jitter', () => {
    expect(send(delay(7), 3, 10).map(({ at }) => at)).toEqual([7, 17, 27])
  })

  test('with jitter: within its bounds, spread over them, order kept', () => {
    const arrivals = send(delay(10, 5), 5_000, 1)
    expect(numbers(arrivals)).toEqual(upTo(5_000))
    const waits = arrivals.map(({ seq, at }) => at - seq)
    expect(Math.min(...waits)).toBeGreaterThanOrEqual(10)
    expect(Math.max(...waits)).toBeLessThan(15)
    expect(Math.max(...waits) - Math.min(...waits)).toBeGreaterThan(3)
  })
})

describe('loss', () => {
  // Five standard deviations of 20,000 draws.
  const within = (count: number, p: number, n: number) =>
    expect(Math.abs(count - p * n)).toBeLessThan(5 * Math.sqrt(n * p * (1 - p)) + 1)

  test.each([0, 0.01, 0.3, 1])('drop(%p) loses its share, counted', p => {
    const element = drop(p)
    const arrivals = send(element, 20_000, 0.1)
    within(element.lost, p, 20_000)
    expect(arrivals.length + element.lost).toBe(20_000)
  })

  test('burstDrop loses its share in bursts of its length', () => {
    const element = burstDrop(0.01, 0.25)
    const arrived = new Set(numbers(send(element, 50_000, 0.1)))
    expect(element.lost / 50_000).toBeGreaterThan(0.8 * (0.01 / 0.26))
    expect(element.lost / 50_000).toBeLessThan(1.2 * (0.01 / 0.26))
    const bursts = upTo(50_000).filter(seq => !arrived.has(seq) && (seq === 0 || arrived.has(seq - 1))).length
    expect(element.lost / bursts).toBeGreaterThan(3.5)
    expect(element.lost / bursts).toBeLessThan(4.5)
  })

  test('burstDrop may let some through in a bad time', () => {
    const element = burstDrop(0.05, 0.05, 0.5)
    send(element, 50_000, 0.1)
    expect(element.lost / 50_000).toBeGreaterThan(0.2)
    expect(element.lost / 50_000).toBeLessThan(0.3)
  })

  test('cut loses all while down, and nothing else', () => {
    const world = createWorld(1)
    const link = cut()
    const seen: number[] = []
    const sink = link.attach(world, packet => seen.push(numberOf(packet)))
    for (let seq = 0; seq < 30; seq++) world.scheduler.at(seq, () => sink(numbered(seq)))
    world.scheduler.at(9.5, () => link.down())
    world.scheduler.at(19.5, () => link.up())
    world.scheduler.run(100)
    expect(seen).toEqual([...upTo(10), ...upTo(30).slice(20)])
    expect([link.lost, link.isDown]).toEqual([10, false])
  })
})

describe('reorder and duplicate', () => {
  test('reorder holds its share back, by so much, and loses none', () => {
    const element = reorder(0.1, 2.5)
    const arrivals = send(element, 10_000, 1)
    expect(numbers(arrivals).sort((one, other) => one - other)).toEqual(upTo(10_000))
    const late = arrivals.filter(({ seq, at }) => at !== seq)
    expect(late.length).toBe(element.held)
    expect(late.every(({ seq, at }) => at === seq + 2.5)).toBe(true)
    expect(Math.abs(element.held - 1_000)).toBeLessThan(150)
    const overtaken = arrivals.filter(({ seq }, index) => seq < (arrivals[index - 1]?.seq ?? -1)).length
    expect(overtaken).toBeGreaterThan(800)
  })

  test('duplicate', () => {
    const element = duplicate(0.2)
    const arrivals = send(element, 10_000, 1)
    expect(arrivals.length).toBe(10_000 + element.duplicated)
    expect(Math.abs(element.duplicated - 2_000)).toBeLessThan(200)
    expect([...new Set(numbers(arrivals))]).toEqual(upTo(10_000))
  })
})

describe('corrupt', () => {
  test.each([4, 6] as const)('v%d: one bit of a copy, seen by a receiver', family => {
    const world = createWorld(5)
    const element = corrupt(0.5)
    const into = createSegment()
    const verdicts: Record<string, number> = {}
    const sent: Packet[] = []
    let differences = 0
    const sink = chain([segment(), tap(packet => sent.push(packet)), element]).attach(world, packet => {
      const verdict = readPacket(packet, into)
      verdicts[verdict] = (verdicts[verdict] ?? 0) + 1
      const before = sent.at(-1) as Packet
      let bits = 0
      for (let at = 0; at < packet.length; at++) {
        for (let rest = (packet[at] ?? 0) ^ (before[at] ?? 0); rest !== 0; rest &= rest - 1) bits++
      }
      expect(bits).toBeLessThanOrEqual(1)
      differences += bits
    })
    for (let seq = 0; seq < 4_000; seq++) sink(numbered(seq, family))
    expect(differences).toBe(element.corrupted)
    expect(Math.abs(element.corrupted - 2_000)).toBeLessThan(200)
    // Of IPv6 only flow label, traffic class and hop limit are covered by no checksum: 36 bits of 8,000.
    const unseen = (verdicts.tcp ?? 0) - (4_000 - element.corrupted)
    expect(unseen).toBeLessThanOrEqual(family === 4 ? 0 : 40)
  })

  test('a partial checksum is completed before the damage', () => {
    const world = createWorld(5)
    const into = createSegment()
    const sink = corrupt(1).attach(world, packet => expect(readPacket(packet, into)).not.toBe('tcp'))
    for (let seq = 0; seq < 200; seq++) sink(numbered(seq))
  })

  test('a super-packet is refused', () => {
    const sink = corrupt(1).attach(createWorld(1), () => {})
    const packet = tcpPacket({ ...header, segmentSize: 1_000 }, new Uint8Array(5_000))
    expect(() => sink(packet)).toThrow('segment()')
  })
})

describe('mark', () => {
  const codepoints = (family: 4 | 6, ecn: number, p: number) => {
    const element = mark(p)
    const into = createSegment()
    const seen: number[] = []
    const sink = element.attach(createWorld(3), packet => {
      expect(readPacket(packet, into)).toBe('tcp')
      seen.push(into.ecn)
    })
    const addresses = family === 4 ? {} : { src0: 0x20010db8, dst0: 0x20010db8 }
    for (let seq = 0; seq < 200; seq++)
      sink(tcpPacket({ ...header, ...addresses, family, ecn }, new Uint8Array(9)))
    return { seen, marked: element.marked }
  }

  test.each([4, 6] as const)('v%d: ECN-capable packets are marked, others are not', family => {
    expect(new Set(codepoints(family, 2, 1).seen)).toEqual(new Set([3]))
    expect(new Set(codepoints(family, 1, 1).seen)).toEqual(new Set([3]))
    expect(new Set(codepoints(family, 0, 1).seen)).toEqual(new Set([0]))
    expect(codepoints(family, 3, 1).marked).toBe(0)
    const half = codepoints(family, 2, 0.5)
    expect(half.seen.filter(ecn => ecn === 3).length).toBe(half.marked)
    expect(half.marked).toBeGreaterThan(60)
    expect(half.marked).toBeLessThan(140)
  })
})

describe('rate', () => {
  test('packets leave at the speed of the link', () => {
    // 1,000 octets at 8 Mbit/s: one a millisecond.
    const arrivals = send(rate(8_000_000, 1_000_000), 100, 0)
    arrivals.forEach(({ seq, at }) => {
      expect(at).toBeCloseTo(seq + 1, 6)
    })
  })

  test('an idle link adds the time of the packet alone', () => {
    const arrivals = send(rate(8_000_000, 2_000), 10, 5)
    arrivals.forEach(({ seq, at }) => {
      expect(at).toBeCloseTo(5 * seq + 1, 6)
    })
  })

  test('what does not fit in the queue is lost from the tail', () => {
    const element = rate(8_000_000, 10_000)
    const arrivals = send(element, 30, 0)
    expect(numbers(arrivals)).toEqual(upTo(10))
    expect([element.lost, element.queuedOctets]).toEqual([20, 0])
  })

  test('at twice its speed half is lost, and the rest takes the full queue', () => {
    const element = rate(8_000_000, 50_000)
    const arrivals = send(element, 4_000, 0.5)
    expect(arrivals.length).toBeGreaterThan(2_000)
    expect(arrivals.length).toBeLessThan(2_100)
    const last = arrivals.at(-1) as Arrival
    expect(last.at - last.seq * 0.5).toBeGreaterThan(48)
  })

  test('a link without speed is refused', () => {
    expect(() => rate(0, 1)).toThrow('speed')
  })
})

describe('chain and tap', () => {
  test('elements stand in the order of the list, the first one at the sender', () => {
    const log: string[] = []
    const note = (name: string) => tap((_packet, now) => log.push(`${name} ${now}`))
    send(chain([note('in'), delay(3), note('middle'), delay(4), note('out')]), 1, 1)
    expect(log).toEqual(['in 0', 'middle 3', 'out 7'])
  })

  test('an empty chain is a wire', () => {
    expect(numbers(send(chain([]), 3, 1))).toEqual([0, 1, 2])
  })

  test('one element in two directions counts both, and queues each on its own', () => {
    const world = createWorld(1)
    const element = rate(8_000_000, 1_000)
    const arrivals: string[] = []
    const there = element.attach(world, () => arrivals.push('there'))
    const back = element.attach(world, () => arrivals.push('back'))
    for (const sink of [there, back, there, back]) sink(numbered(0))
    world.scheduler.run(10)
    expect([arrivals, element.lost]).toEqual([['there', 'back'], 2])
  })
})
