import { createWorld } from './element.ts'
import { MAX_MESSAGES_IN_FLIGHT, MessageLink, type MessageLinkOptions } from './message-link.ts'

type Message = { readonly id: number; readonly octets?: Uint8Array }

function linkOf(options: MessageLinkOptions<Message>, seed = 1) {
  const world = createWorld(seed)
  const link = new MessageLink<Message>(world, options)
  const log: string[] = []
  const at = () => world.scheduler.now
  for (const name of ['a', 'b'] as const) {
    link[name].onUp = () => log.push(`${at()} ${name} up`)
    link[name].onDown = () => log.push(`${at()} ${name} down`)
    link[name].onMessage = message => log.push(`${at()} ${name} gets ${message.id}`)
  }
  return { world, link, log, scheduler: world.scheduler }
}

/** Connects, sends `count` messages from a to b one a millisecond, and returns the ids that arrive. */
function idsThrough(
  options: MessageLinkOptions<Message>,
  count: number,
  seed = 1,
): { ids: number[]; ats: number[] } {
  const { link, scheduler } = linkOf(options, seed)
  const ids: number[] = []
  const ats: number[] = []
  link.b.onMessage = ({ id }) => {
    ids.push(id)
    ats.push(scheduler.now)
  }
  link.connect()
  scheduler.run(1_000)
  for (let id = 0; id < count; id++) scheduler.at(1_000 + id, () => link.a.send({ id }))
  scheduler.run(1_000_000)
  return { ids, ats }
}

const upTo = (count: number) => Array.from({ length: count }, (_, id) => id)

describe('as TCP', () => {
  test('b is up after one delay, a after two, and nothing can be sent before', () => {
    const { link, log, scheduler } = linkOf({ delayMs: 3 })
    expect(link.a.send({ id: 1 })).toBe(false)
    link.connect()
    scheduler.run(4)
    expect([link.a.isUp, link.b.isUp]).toEqual([false, true])
    expect(link.b.send({ id: 2 })).toBe(true)
    scheduler.run(20)
    expect(log).toEqual(['3 b up', '6 a up', '7 a gets 2'])
  })

  test('what b says at once comes after a is up', () => {
    for (const delayMs of [0, 2]) {
      const { link, log, scheduler } = linkOf({ delayMs })
      link.b.onUp = () => link.b.send({ id: 9 })
      link.connect()
      scheduler.run(20)
      expect(log).toEqual([`${2 * delayMs} a up`, `${2 * delayMs} a gets 9`])
    }
  })

  test('ordered, complete and within the delay, jitter or not', () => {
    const { ids, ats } = idsThrough({ delayMs: 5, jitterMs: 4 }, 2_000)
    expect(ids).toEqual(upTo(2_000))
    const waits = ats.map((at, index) => at - 1_000 - index)
    expect(Math.min(...waits)).toBeGreaterThanOrEqual(5)
    expect(Math.max(...waits)).toBeLessThan(9)
  })

  test('messages are copies: neither host sees what the other does to its own', () => {
    const { link, scheduler } = linkOf({ delayMs: 1 })
    link.connect()
    scheduler.run(10)
    const got: Message[] = []
    link.b.onMessage = message => got.push(message)
    const octets = new Uint8Array([1, 2, 3])
    const message = { id: 1, octets, nested: { list: [new Map([[1, new Set([2])]])] } }
    link.a.send(message)
    octets[0] = 99
    scheduler.run(20)
    expect(got).toEqual([
      { id: 1, octets: new Uint8Array([1, 2, 3]), nested: { list: [new Map([[1, new Set([2])]])] } },
    ])
    const bad = { id: 1, run: () => {} }
    expect(() => link.a.send(bad)).toThrow('cannot cross')
    expect(() => link.a.send({ id: 1, when: new Date(0) } as Message)).toThrow('a Date cannot cross')
  })

  test('too much in flight is refused', () => {
    const { link, scheduler } = linkOf({ delayMs: 1, copy: message => message })
    link.connect()
    scheduler.run(10)
    for (let id = 0; id < MAX_MESSAGES_IN_FLIGHT; id++) link.a.send({ id })
    expect(link.a.send({ id: -1 })).toBe(false)
    expect(link.b.send({ id: -1 })).toBe(true)
    expect(link.counts.refused).toBe(1)
  })
})

describe('cut', () => {
  test('what is in flight is lost, both ends learn of it, and it comes back', () => {
    const { link, log, scheduler } = linkOf({ delayMs: 2 })
    link.connect()
    scheduler.run(10)
    link.a.send({ id: 1 })
    scheduler.at(11, () => link.a.send({ id: 2 }))
    scheduler.at(12.5, () => link.cut(10))
    scheduler.at(30, () => link.a.send({ id: 3 }))
    scheduler.run(50)
    expect(log.slice(2)).toEqual([
      '12 b gets 1',
      '12.5 a down',
      '12.5 b down',
      '24.5 b up',
      '26.5 a up',
      '32 b gets 3',
    ])
    expect(link.counts).toEqual({ sent: 3, delivered: 2, lost: 1, duplicated: 0, refused: 0 })
  })

  test('what is sent before the cut is noticed is lost without a word', () => {
    const { link, log, scheduler } = linkOf({ delayMs: 1, detectMs: 5 })
    link.connect()
    scheduler.run(10)
    link.cut()
    scheduler.at(13, () => log.push(`sent: ${link.a.send({ id: 1 })}`))
    scheduler.at(16, () => log.push(`sent: ${link.a.send({ id: 2 })}`))
    scheduler.run(100)
    expect(log.slice(2)).toEqual(['sent: true', '15 a down', '15 b down', 'sent: false'])
  })

  test('an end that is reconnected before it noticed hears of both, and nothing crosses from one to the other', () => {
    const { link, log, scheduler } = linkOf({ delayMs: 1, detectMs: 50 })
    link.connect()
    scheduler.run(10)
    link.cut(1)
    scheduler.at(11.5, () => link.a.send({ id: 1 }))
    scheduler.run(200)
    expect(log.slice(2)).toEqual(['12 b down', '12 b up', '13 a down', '13 a up'])
    expect(link.counts.lost).toBe(1)
  })

  test('a cut during the handshake, and connecting twice', () => {
    const { link, log, scheduler } = linkOf({ delayMs: 4 })
    link.connect()
    link.connect()
    scheduler.at(6, () => link.cut())
    scheduler.at(6, () => link.cut())
    scheduler.run(50)
    expect(log).toEqual(['4 b up', '6 b down'])
  })
})

describe('with an adversary', () => {
  const all = { drop: 0.1, duplicate: 0.1, reorder: 0.2, delay: 0.1, maxExtraMs: 20 }

  test('each message is dropped, doubled, overtaken with its probability', () => {
    const { ids } = idsThrough({ delayMs: 5, adversary: all }, 5_000)
    const distinct = new Set(ids).size
    expect(distinct).toBeGreaterThan(4_350)
    expect(distinct).toBeLessThan(4_650)
    expect(ids.length - distinct).toBeGreaterThan(350)
    expect(ids.length - distinct).toBeLessThan(550)
    const overtaken = ids.filter((id, index) => id < (ids[index - 1] ?? -1)).length
    expect(overtaken).toBeGreaterThan(300)
  })

  test('delay alone keeps the order', () => {
    const { ids, ats } = idsThrough({ delayMs: 5, adversary: { delay: 0.3, maxExtraMs: 20 } }, 2_000)
    expect(ids).toEqual(upTo(2_000))
    expect(Math.max(...ats.map((at, index) => at - 1_000 - index))).toBeGreaterThan(15)
  })

  test('a stale message arrives over the next connection', () => {
    const { link, log, scheduler } = linkOf(
      { delayMs: 1, adversary: { stale: 1, delay: 1, maxExtraMs: 1_000 } },
      3,
    )
    link.connect()
    scheduler.run(10)
    link.a.send({ id: 7 })
    link.cut(1)
    scheduler.run(2_000)
    expect(log.slice(-2)).toEqual(['13 a up', expect.stringContaining('b gets 7')])
  })

  test('one seed, one run', () => {
    const options = { delayMs: 5, jitterMs: 1, adversary: all }
    expect(idsThrough(options, 1_000, 8)).toEqual(idsThrough(options, 1_000, 8))
    expect(idsThrough(options, 1_000, 8)).not.toEqual(idsThrough(options, 1_000, 9))
  })
})
