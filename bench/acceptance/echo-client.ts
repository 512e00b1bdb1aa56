/**
 * A program for the client's namespace: uploads octets to an echo server over the kernel's own TCP until it is told to end,
 * and compares every one that comes back. Arguments: address, port, octets that must be.
 */
import { randomBytes } from 'node:crypto'
import { connect } from 'node:net'
import { crc32 } from 'node:zlib'
import { Told } from './told.ts'

export interface Echoed {
  readonly octets: number
  /** CRC-32 of what was sent, and of what came back before the last line. */
  readonly sent: string
  readonly received: string
  readonly lastLine: string
  readonly error: string
}

const BLOCK_OCTETS = 65_536
/** So that the upload takes its time: about 8 MB/s. */
const BLOCK_EVERY_MS = 8

const told = new Told()
const [host = '', port = '0', least = '1'] = process.argv.slice(2)
let octets = 0
let received = 0
let sentCrc = 0
let receivedCrc = 0
let lastLine = ''
let error = ''

const socket = connect({ host, port: Number(port), allowHalfOpen: true })
const timer = setInterval(() => {
  if (told.isOver && octets >= Number(least)) {
    clearInterval(timer)
    socket.end()
    return
  }
  if (socket.writableNeedDrain) return
  const block = randomBytes(BLOCK_OCTETS)
  sentCrc = crc32(block, sentCrc)
  octets += block.length
  socket.write(block)
}, BLOCK_EVERY_MS)
socket.on('data', chunk => {
  // Behind as many octets as were sent comes the line.
  const isWhole = socket.writableEnded
  const echoed = isWhole ? chunk.subarray(0, Math.max(0, octets - received)) : chunk
  receivedCrc = crc32(echoed, receivedCrc)
  received += echoed.length
  lastLine += chunk.subarray(echoed.length).toString()
})
socket.on('error', cause => {
  error = cause.message
})
socket.on('close', () => {
  const [sent, back] = [hex(sentCrc), hex(receivedCrc)]
  process.stdout.write(
    `${JSON.stringify({ octets, sent, received: back, lastLine, error } satisfies Echoed)}\n`,
  )
  process.exit(0)
})

function hex(crc: number): string {
  return crc.toString(16).padStart(8, '0')
}
