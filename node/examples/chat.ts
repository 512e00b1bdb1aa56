/**
 * A chat whose rooms have members on any node, and whose members never notice that theirs is another one: every node can be
 * drained or upgraded while they talk. `ws` reads and writes the messages; a member moves when it stands between two of them,
 * and takes along which messages it has seen. Nodes tell each other what is said; who arrives gets what it has missed.
 *
 *     gyre up --app dist/node/examples/chat.js
 *     new WebSocket('ws://10.77.0.1:9003/ROOM?name=NAME')
 */
import { createServer, type IncomingMessage } from 'node:http'
import { listen, type ShiftableSocket } from 'gyre'
import { WebSocket, WebSocketServer } from 'ws'
import { FrameTracker } from './frame-tracker.ts'

/** Messages of a room that are kept for who arrives. */
const MAX_KEPT = 1_000
/** Messages that wait for a node whose link is not up. */
const MAX_WAITING = 1_000
const RETRY_MS = 20
const MAX_MESSAGE_OCTETS = 65_536

interface Message {
  readonly room: string
  /** A run of a node, and how many messages it had told when it told this one. */
  readonly origin: string
  readonly number: number
  readonly name: string
  readonly text: string
}

interface Member {
  readonly room: string
  readonly name: string
  /** The last message seen of each origin. */
  readonly seen: Map<string, number>
}

interface Present extends Member {
  readonly socket: WebSocket
  readonly frames: FrameTracker
}

const SETTINGS = { maxPayload: MAX_MESSAGE_OCTETS, allowSynchronousEvents: true, perMessageDeflate: false }

const present = new Map<ShiftableSocket, Present>()
const rooms = new Map<string, Message[]>()
const waiting = new Map<number, Message[]>()
let told = 0

const server = listen({ port: 9_003, allowHalfOpen: true, export: exported })
const origin = `${server.id}/${Date.now()}`
const http = createServer((_request, response) => response.writeHead(426).end())
const upgrades = new WebSocketServer({ noServer: true, ...SETTINGS })
http.on('upgrade', (request: IncomingMessage, stream, head) => {
  upgrades.handleUpgrade(request, stream, head, socket => {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://chat')
    const seen = new Map<string, number>()
    for (const message of kept(pathname)) seen.set(message.origin, message.number)
    welcome(stream as unknown as ShiftableSocket, socket, {
      room: pathname,
      name: searchParams.get('name') ?? 'nobody',
      seen,
    })
  })
})
server.on('connection', stream => http.emit('connection', stream))
server.on('shift', (stream, state) => {
  const member = state as Member
  welcome(stream, webSocketOn(stream), member)
  for (const message of kept(member.room)) deliver(message, present.get(stream))
})
server.on('message', said => take(said as Message))
setInterval(() => {
  for (const to of waiting.keys()) tellWaiting(to)
}, RETRY_MS)

/** A member's state, or undefined where it is in the middle of a message, or not yet a member. */
function exported(stream: ShiftableSocket): Member | undefined {
  const member = present.get(stream)
  if (member === undefined || !member.frames.isBetweenMessages) return undefined
  if (member.socket.readyState !== WebSocket.OPEN) return undefined
  const { room, name, seen } = member
  return { room, name, seen }
}

function welcome(stream: ShiftableSocket, socket: WebSocket, member: Member): void {
  const frames = new FrameTracker()
  stream.prependListener('data', (octets: Buffer) => frames.see(octets))
  present.set(stream, { ...member, socket, frames })
  stream.once('close', () => present.delete(stream))
  socket.on('message', octets => say(member, octets.toString()))
  // The stream's 'close' follows.
  socket.on('error', () => {})
}

/** The WebSocket of a connection whose handshake was done elsewhere, made as `WebSocketServer` makes its own. */
function webSocketOn(stream: ShiftableSocket): WebSocket {
  const socket = new WebSocket(null as unknown as string, undefined, SETTINGS) as WebSocket & {
    setSocket(stream: ShiftableSocket, head: Buffer, settings: typeof SETTINGS): void
  }
  socket.setSocket(stream, Buffer.alloc(0), SETTINGS)
  return socket
}

function say({ room, name }: Member, text: string): void {
  const message = { room, origin, number: ++told, name, text }
  for (const { id } of server.others) {
    const queue = waiting.get(id) ?? []
    waiting.set(id, queue)
    if (queue.push(message) > MAX_WAITING) queue.shift()
    tellWaiting(id)
  }
  take(message)
}

/** In order: a number that is told says that all before it were. */
function tellWaiting(to: number): void {
  const queue = waiting.get(to) ?? []
  while (queue[0] !== undefined && server.tell(to, queue[0])) queue.shift()
  if (queue.length === 0 || !server.others.some(({ id }) => id === to)) waiting.delete(to)
}

function take(message: Message): void {
  const messages = kept(message.room)
  rooms.set(message.room, messages)
  if (messages.push(message) > MAX_KEPT) messages.shift()
  for (const member of present.values()) if (member.room === message.room) deliver(message, member)
}

function deliver({ origin: from, number, name, text }: Message, member: Present | undefined): void {
  if (member === undefined || number <= (member.seen.get(from) ?? 0)) return
  member.seen.set(from, number)
  member.socket.send(JSON.stringify({ name, text }))
}

function kept(room: string): Message[] {
  return rooms.get(room) ?? []
}
