/**
 * An application for the nodes of the test, on a port of its own: it answers when it may, and so holds for as long as is wanted
 * what at a site passes within a moment: a request that is complete and not answered, and a head that is sent without its body.
 */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { listen, type ShiftableSocket } from 'gyre'
import { APP_FILE, APP_PORT, FOLDER_VARIABLE, GO_FILE, HEAD_FIRST } from './states.ts'

const LOOK_EVERY_MS = 20

interface Asked {
  request: string
  isHeadSent: boolean
}

const folder = process.env[FOLDER_VARIABLE] ?? ''
const body = readFileSync(join(folder, APP_FILE))
const head = `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n`
const mayAnswer = () => existsSync(join(folder, GO_FILE))

const asked = new WeakMap<ShiftableSocket, Asked>()
const server = listen({ port: APP_PORT, export: socket => asked.get(socket) })
server.on('connection', socket => serve(socket, { request: '', isHeadSent: false }))
server.on('shift', (socket, state) => serve(socket, state as Asked))

function serve(socket: ShiftableSocket, state: Asked): void {
  asked.set(socket, state)
  socket.on('data', (octets: Buffer) => {
    state.request += octets.toString('latin1')
  })
  const look = setInterval(() => {
    if (!state.request.endsWith('\r\n\r\n')) return
    const isDue = mayAnswer()
    if (!state.isHeadSent && (isDue || state.request.includes(HEAD_FIRST))) {
      state.isHeadSent = true
      socket.write(head)
    }
    if (!isDue) return
    Object.assign(state, { request: '', isHeadSent: false })
    socket.write(body)
  }, LOOK_EVERY_MS)
  socket.on('close', () => clearInterval(look))
  // The client has gone: nobody is left to answer.
  socket.on('error', () => {})
}
