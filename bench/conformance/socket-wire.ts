/** Connections of the suite over real sockets, to whatever server listens. */
import { createConnection } from 'node:net'
import type { Wire } from './run.ts'

const CONNECT_MS = 5_000
const LOOK_MS = 5

export async function connectTo(host: string, port: number): Promise<Wire & { destroy(): void }> {
  const socket = createConnection({ host, port, allowHalfOpen: true })
  socket.setNoDelay(true)
  let received = ''
  let ended = false
  let wasReset = false
  socket.on('data', chunk => {
    received += chunk.toString('latin1')
  })
  socket.on('end', () => {
    ended = true
  })
  socket.on('error', error => {
    if ((error as NodeJS.ErrnoException).code === 'ECONNRESET') wasReset = true
    ended = true
  })
  socket.on('close', () => {
    ended = true
  })
  await new Promise<void>((resolve, reject) => {
    socket.setTimeout(CONNECT_MS, () => reject(new Error(`${host}:${port} does not answer`)))
    socket.once('connect', () => {
      socket.setTimeout(0)
      resolve()
    })
    socket.once('error', reject)
  })
  return {
    write: text => {
      if (socket.writable) socket.write(text, 'latin1')
    },
    finish: () => socket.end(),
    received: () => received,
    ended: () => ended,
    wasReset: () => wasReset,
    wait: async (done, ms) => {
      const until = performance.now() + ms
      while (!done() && performance.now() < until) await new Promise(resolve => setTimeout(resolve, LOOK_MS))
      return done()
    },
    destroy: () => socket.destroy(),
  }
}
