/**
 * A counter as server-sent events, which goes on to another node with each number: no number is left out, none comes twice.
 * The request is read by an HTTP server as it is; its response has no length and no chunks, so that whoever has the
 * connection goes on by writing to it. `?every=MS` says how often, 10 to 60,000 (1,000 where it is absent).
 *
 *     gyre up --app dist/node/examples/counter.js
 *     ip netns exec gyre-client curl http://10.77.0.1:9002/
 */
import { createServer } from 'node:http'
import { listen, type ShiftableSocket } from 'gyre'

interface Counter {
  count: number
  readonly everyMs: number
}

const counters = new WeakMap<ShiftableSocket, Counter>()
const server = listen({ port: 9_002, allowHalfOpen: true, export: socket => counters.get(socket) })
const http = createServer((request, response) => {
  const every = Number(new URL(request.url ?? '/', 'http://counter').searchParams.get('every') ?? 1_000)
  response.removeHeader('Transfer-Encoding')
  response.writeHead(200, { 'Content-Type': 'text/event-stream', Connection: 'close' })
  response.flushHeaders()
  const everyMs = Math.min(Math.max(Number.isFinite(every) ? every : 1_000, 10), 60_000)
  count(request.socket as unknown as ShiftableSocket, { count: 0, everyMs })
})
server.on('connection', socket => http.emit('connection', socket))
server.on('shift', (socket, state) => {
  socket.on('error', () => {})
  // Whatever the client still says, it has its answer.
  socket.resume()
  count(socket, state as Counter)
})

function count(socket: ShiftableSocket, counter: Counter): void {
  counters.set(socket, counter)
  const timer = setInterval(() => {
    counter.count++
    socket.write(`id: ${counter.count}\ndata: ${counter.count} by node ${server.id}\n\n`)
    const to = next()
    // Where it stays, it goes on from here.
    if (to !== undefined) socket.shift(to, counter).catch(() => {})
  }, counter.everyMs)
  socket.once('close', () => clearInterval(timer))
}

/** The node after this one. */
function next(): number | undefined {
  const ids = server.others.map(({ id }) => id).sort((a, b) => a - b)
  return ids.find(id => id > server.id) ?? ids[0]
}
