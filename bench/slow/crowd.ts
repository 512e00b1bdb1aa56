/**
 * A program for the client's namespace: clients that are slow on purpose, over the kernel's own TCP. By turns one sends its
 * head an octet a second, one sends a body an octet a second, and one reads a large file a little at a time. Arguments:
 * host, port, path of a large file, how many. Says `ready` when all are connected, and a line of JSON with what became of
 * them when it is told to end (SIGTERM).
 */
import { createConnection, type Socket } from 'node:net'

const [host = '', port = '80', path = '/', count = '1'] = process.argv.slice(2)
const TURN_MS = 1_000
/** Above the least rate of a reader, below anything that fills a window. */
const READ_OCTETS = 2_048
/** Connections opened at once, so that no backlog overflows. */
const OPENING = 64

type Slowness = 'head' | 'body' | 'reader'
const KINDS: readonly Slowness[] = ['head', 'body', 'reader']

interface Slow {
  readonly socket: Socket
  readonly kind: Slowness
  sent: number
}

const HEAD = `GET ${path} HTTP/1.1\r\nHost: ${host}\r\nX-Slow: ${'a'.repeat(4_000)}`
const BODY = `POST ${path} HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 100000\r\n\r\n`

const crowd: Slow[] = []
let ended = 0
let failed = 0

function open(kind: Slowness): Promise<void> {
  return new Promise(resolve => {
    const socket = createConnection({ host, port: Number(port) })
    socket.pause()
    socket.once('connect', () => {
      if (kind !== 'head')
        socket.write(kind === 'body' ? BODY : `GET ${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`)
      crowd.push({ socket, kind, sent: 0 })
      resolve()
    })
    socket.on('error', () => {
      failed++
      resolve()
    })
    socket.on('close', () => ended++)
  })
}

/** Each once a second, and not all at once. */
function turn({ socket, kind, sent }: Slow): void {
  if (socket.destroyed) return
  if (kind === 'reader') socket.read(READ_OCTETS)
  else socket.write(kind === 'head' ? (HEAD[sent] ?? 'a') : 'b')
}

async function main(): Promise<void> {
  const kinds = Array.from({ length: Number(count) }, (_, index) => KINDS[index % KINDS.length] as Slowness)
  for (let from = 0; from < kinds.length; from += OPENING) {
    await Promise.all(kinds.slice(from, from + OPENING).map(open))
  }
  let at = 0
  const slices = 50
  setInterval(() => {
    for (let index = at; index < crowd.length; index += slices) {
      const slow = crowd[index] as Slow
      turn(slow)
      slow.sent++
    }
    at = (at + 1) % slices
  }, TURN_MS / slices)
  process.on('SIGTERM', () => {
    process.stdout.write(`${JSON.stringify({ connected: crowd.length, ended, failed })}\n`, () =>
      process.exit(0),
    )
  })
  process.stdout.write('ready\n')
}

void main()
