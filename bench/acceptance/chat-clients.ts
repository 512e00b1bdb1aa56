/**
 * A program for the client's namespace: members of chat rooms who talk over the kernel's own TCP until they are told to
 * end, and compare what they hear with what was said. Arguments: origin, rooms, members of each, words that must be said.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { WebSocket } from 'ws'
import { Told } from './told.ts'

export interface Chat {
  readonly said: number
  /** In all rooms by all members together. */
  readonly heard: number
  readonly missed: number
  /** Heard twice, or not in the order in which its speaker said it. */
  readonly misplaced: number
  /** Connections that ended before their members left. */
  readonly lost: number
}

const SAY_EVERY_MS = 50
/** For what is on its way at the end, at most. */
const MAX_SETTLE_MS = 20_000
const SETTLE_EVERY_MS = 100

const told = new Told()
const [origin = '', rooms = '1', members = '1', least = '1'] = process.argv.slice(2)
let said = 0
let heard = 0
let misplaced = 0
let lost = 0
let isOver = false

interface Talker {
  readonly socket: WebSocket
  readonly name: string
  said: number
  /** The last number heard, by speaker. */
  readonly last: Map<string, number>
}

function join(room: string, name: string): Promise<Talker> {
  const socket = new WebSocket(`${origin}/${room}?name=${name}`)
  const talker: Talker = { socket, name, said: 0, last: new Map() }
  socket.on('message', octets => {
    const { name: speaker, text } = JSON.parse(octets.toString()) as { name: string; text: string }
    const number = Number.parseInt(text, 10)
    heard++
    if (number !== (talker.last.get(speaker) ?? 0) + 1) misplaced++
    talker.last.set(speaker, number)
  })
  socket.on('close', () => {
    if (!isOver) lost++
  })
  return new Promise((resolve, reject) => {
    socket.once('open', () => resolve(talker))
    socket.once('error', reject)
  })
}

async function talk(talker: Talker): Promise<void> {
  while (!told.isOver || said < Number(least)) {
    talker.socket.send(`${++talker.said} ${'blah '.repeat(talker.said % 40)}`)
    said++
    await sleep(SAY_EVERY_MS)
  }
}

const all: Talker[][] = []
for (let room = 0; room < Number(rooms); room++) {
  const names = Array.from({ length: Number(members) }, (_, index) => `member${index}`)
  all.push(await Promise.all(names.map(name => join(`room${room}`, name))))
}
await Promise.all(all.flat().map(talk))

/** What members of a room have said, and others of it have not heard. */
function countMissed(): number {
  let missed = 0
  for (const room of all) {
    for (const { last } of room) {
      for (const { name, said: words } of room) missed += words - (last.get(name) ?? 0)
    }
  }
  return missed
}

for (let waited = 0; waited < MAX_SETTLE_MS && countMissed() > 0; waited += SETTLE_EVERY_MS) {
  await sleep(SETTLE_EVERY_MS)
}
isOver = true
const missed = countMissed()
process.stdout.write(`${JSON.stringify({ said, heard, missed, misplaced, lost } satisfies Chat)}\n`)
process.exit(0)
