/** Variants that are compressed in the background: made once for the cluster, though each node's library makes others. */
import { brotliDecompressSync } from 'node:zlib'
import { madePath } from '../../../cache/variants.ts'
import { delay } from '../network/delay.ts'
import { chain } from '../network/element.ts'
import { rate } from '../network/rate.ts'
import { segment } from '../network/segment.ts'
import type { Client } from './client.ts'
import { Cluster } from './cluster.ts'
import { eachSeed, seedBlocks } from './seeds.ts'

const FILES = { '/index.html': 3_000, '/text.txt': 150_000 }
const CODE_MS = 20
/** Much longer than a response. */
const LONG_CODE_MS = 1_000
const MADE = madePath('/text.txt', 'br')
/** Slow enough that a response takes many round trips. */
const wan = () => chain([segment(1_500), rate(20e6, 200_000), delay(2)])

function cluster(seed: number, codeMs = CODE_MS): Cluster {
  return new Cluster({
    seed,
    files: FILES,
    wan,
    compressing: id => ({ quality: 2 * id, codeMs }),
  })
}

const REQUEST = 'GET /text.txt HTTP/1.1\r\nHost: gyre.test\r\nAccept-Encoding: br\r\n\r\n'

interface Answer {
  readonly etag: string
  readonly coding: string
  readonly vary: string
  readonly octets: Buffer
}

/** The last whole answer of a raw client, whose body is checked against the file. */
function answerOf(sim: Cluster, transcript: string): Answer | undefined {
  const start = transcript.lastIndexOf('HTTP/1.1 ')
  const headEnd = transcript.indexOf('\r\n\r\n', start)
  if (headEnd < 0) return undefined
  const field = (name: string) =>
    new RegExp(`^${name}: (.*)\r$`, 'im').exec(transcript.slice(start, headEnd + 2))?.[1] ?? ''
  const octets = Buffer.from(transcript.slice(headEnd + 4), 'latin1')
  if (octets.length < Number(field('Content-Length'))) return undefined
  const coding = field('Content-Encoding')
  const file = sim.files.get('/text.txt') as Uint8Array
  expect(Buffer.compare(coding === 'br' ? brotliDecompressSync(octets) : octets, file)).toBe(0)
  return { etag: field('ETag'), coding, vary: field('Vary'), octets }
}

function answered(sim: Cluster, client: Client, from: number): Answer {
  const whole = () => answerOf(sim, client.transcript.slice(from)) !== undefined
  expect(sim.runUntil(whole, 30_000)).toBe(true)
  return answerOf(sim, client.transcript.slice(from)) as Answer
}

function ask(sim: Cluster, client: Client): Answer {
  const from = client.transcript.length
  client.write(REQUEST)
  return answered(sim, client, from)
}

function connect(sim: Cluster): Client {
  const client = sim.client({ raw: true })
  sim.runUntil(() => client.tcb.state === 'ESTABLISHED', 1_000)
  return client
}

/** Asks until the variant is served. */
function askUntilCoded(sim: Cluster, client: Client): Answer {
  for (let attempt = 0; attempt < 20; attempt++) {
    const answer = ask(sim, client)
    if (answer.coding === 'br') return answer
    sim.run(LONG_CODE_MS / 2)
  }
  throw new Error('never coded')
}

const madeOf = (sim: Cluster) => [...sim.resources.values()].map(({ made }) => made.counters.made)
const sum = (counts: readonly number[]) => counts.reduce((all, one) => all + one, 0)

function moveTo(sim: Cluster, client: Client, to: number): void {
  let moved: boolean | undefined
  sim.shift(client, to, result => {
    moved = result.ok
  })
  sim.runUntil(() => moved !== undefined, 10_000)
  expect(sim.ownerOf(client)?.owner.config.id).toBe(to)
}

/** Has every node hold the file, as a connection brings it along that moves in the middle of it. */
function spread(sim: Cluster): void {
  const client = connect(sim)
  for (let to = 1; to <= sim.nodeCount; to++) {
    client.write(REQUEST.replace('Accept-Encoding: br\r\n', ''))
    const from = client.transcript.length
    sim.runUntil(() => client.transcript.length > from + 5_000, 5_000)
    if (sim.ownerOf(client)?.owner.config.id !== to) moveTo(sim, client, to)
    answered(sim, client, from)
  }
}

it('the file as it is until it is worth it; then from every node the octets of one maker', () => {
  const sim = cluster(1)
  spread(sim)
  const client = connect(sim)
  const first = ask(sim, client)
  expect(first).toMatchObject({ coding: '', vary: 'Accept-Encoding' })
  sim.run(1_000)
  expect(sum(madeOf(sim))).toBe(0)
  const answers: Answer[] = []
  for (let to = 1; to <= sim.nodeCount; to++) {
    if (sim.ownerOf(client)?.owner.config.id !== to) moveTo(sim, client, to)
    answers.push(askUntilCoded(sim, client))
    expect(sim.ownerOf(client)?.owner.config.id).toBe(to)
  }
  expect(new Set(answers.map(({ etag }) => etag)).size).toBe(1)
  expect(answers[0]?.etag).not.toBe(first.etag)
  expect(answers[0]?.vary).toBe('Accept-Encoding')
  expect(sum(madeOf(sim))).toBe(1)
  const fetched = [...sim.resources.values()].map(({ made }) => made.counters.fetched)
  expect(sum(fetched)).toBe(sim.nodeCount - 1)
})

it.each(seedBlocks(1, 20).map(seeds => [seeds]))(
  'moved in the middle of it, the octets are those of the maker: seeds %j',
  seeds => {
    eachSeed(seeds, seed => {
      const sim = cluster(seed)
      const client = connect(sim)
      const before = askUntilCoded(sim, client)
      const { random } = sim.world
      const from = client.transcript.length
      client.write(REQUEST)
      let moved = 0
      while (answerOf(sim, client.transcript.slice(from)) === undefined) {
        sim.run(1 + random.int(8))
        sim.shift(client, 1 + random.int(sim.nodeCount), result => {
          if (result.ok) moved++
        })
        expect(sim.now).toBeLessThan(120_000)
      }
      const after = answerOf(sim, client.transcript.slice(from)) as Answer
      expect(Buffer.compare(after.octets, before.octets)).toBe(0)
      expect(moved).toBeGreaterThan(0)
      expect(client.resets).toBe(0)
      expect(sum(madeOf(sim))).toBe(1)
    })
  },
)

it('a maker that dies: who has its variant goes on sending it, others have it made anew, nobody waits', () => {
  const sim = cluster(4)
  spread(sim)
  const client = connect(sim)
  const before = askUntilCoded(sim, client)
  const maker = 1 + madeOf(sim).findIndex(made => made > 0)
  const survivors = [1, 2, 3].filter(id => id !== maker)
  const [holder, other] = survivors as [number, number]
  if (sim.ownerOf(client)?.owner.config.id !== holder) moveTo(sim, client, holder)
  expect(askUntilCoded(sim, client).etag).toBe(before.etag)
  const from = client.transcript.length
  client.write(REQUEST)
  sim.runUntil(() => client.transcript.length > from + 5_000, 5_000)
  sim.kill(maker)
  // In the middle of it to one that has nothing of it: the holder gives it.
  moveTo(sim, client, other)
  expect(answered(sim, client, from)).toEqual(before)
  expect(sim.resources.get(other)?.store.peek(MADE)?.object?.etag).toBe(before.etag)
  expect(sum(madeOf(sim))).toBe(1)
  // Made anew where it is lost: other octets under another name, each whole.
  for (const id of survivors) sim.resources.get(id)?.store.remove(MADE)
  const again = askUntilCoded(sim, client)
  expect(again.etag).not.toBe(before.etag)
  expect(sum(madeOf(sim))).toBe(2)
})

it('a maker that dies while it is asked: the next one makes it', () => {
  const sim = cluster(6, LONG_CODE_MS)
  spread(sim)
  const probe = cluster(6)
  spread(probe)
  askUntilCoded(probe, connect(probe))
  const maker = 1 + madeOf(probe).findIndex(made => made > 0)
  const client = connect(sim)
  const other = maker === 1 ? 2 : 1
  ask(sim, client)
  if (sim.ownerOf(client)?.owner.config.id !== other) moveTo(sim, client, other)
  ask(sim, client)
  ask(sim, client)
  // Asked, it is in the midst of it.
  sim.run(LONG_CODE_MS / 4)
  expect(sum(madeOf(sim))).toBe(0)
  sim.kill(maker)
  expect(askUntilCoded(sim, client).coding).toBe('br')
  expect(client.resets).toBe(0)
})

it('a target that cannot have the variant refuses, and the connection stays where it can be served', () => {
  const sim = cluster(8)
  const client = connect(sim)
  const before = askUntilCoded(sim, client)
  const source = sim.ownerOf(client)?.owner.config.id as number
  const from = client.transcript.length
  client.write(REQUEST)
  sim.runUntil(() => client.transcript.length > from + 5_000, 5_000)
  // The source would give it: a copy that is not what its name says.
  const damaged = sim.resources.get(source)?.store.peek(MADE)?.object?.octets as Uint8Array
  const to = 1 + (source % sim.nodeCount)
  const octet = damaged[damaged.length - 1] as number
  damaged[damaged.length - 1] = octet ^ 1
  let refusal = ''
  sim.shift(client, to, result => {
    if (!result.ok) refusal = result.reason
  })
  sim.runUntil(() => refusal !== '', 15_000)
  damaged[damaged.length - 1] = octet
  expect(refusal).toBe('NO_OBJECT')
  expect(answered(sim, client, from).etag).toBe(before.etag)
  expect(sim.ownerOf(client)?.owner.config.id).toBe(source)
})
