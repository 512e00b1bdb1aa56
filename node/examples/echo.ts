/**
 * An echo and upload server: it returns every octet, and at the end of the client a line that says how many they were and
 * their CRC-32. Its state is two numbers, so a connection moves in the middle of an upload.
 *
 *     gyre up --app dist/node/examples/echo.js
 *     ip netns exec gyre-client sh -c 'nc -N 10.77.0.1 9001 < FILE'
 */
import { crc32 } from 'node:zlib'
import { listen, type ShiftableSocket } from 'gyre'

interface Upload {
  octets: number
  crc: number
}

const uploads = new WeakMap<ShiftableSocket, Upload>()
const server = listen({ port: 9_001, allowHalfOpen: true, export: socket => uploads.get(socket) })
server.on('connection', socket => serve(socket, { octets: 0, crc: 0 }))
server.on('shift', (socket, state) => serve(socket, state as Upload))

function serve(socket: ShiftableSocket, upload: Upload): void {
  uploads.set(socket, upload)
  socket.on('data', (chunk: Buffer) => {
    upload.octets += chunk.length
    upload.crc = crc32(chunk, upload.crc)
    if (socket.write(chunk)) return
    socket.pause()
    socket.once('drain', () => socket.resume())
  })
  socket.on('end', () => {
    const { octets, crc } = upload
    socket.end(`\n${octets} octets, CRC-32 ${crc.toString(16).padStart(8, '0')}\n`)
  })
  // The client has gone: nobody is left to tell.
  socket.on('error', () => {})
}
