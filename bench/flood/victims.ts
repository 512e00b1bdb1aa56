/**
 * A program for the client's namespace: downloads that stand, and new clients beside them. It says "ready" when every download is
 * under way; when its standard input ends it measures for so long, and prints what came. Arguments: address, port, a large path, a
 * small one, the ports of the downloads separated by commas, and seconds.
 */
import { createConnection, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { Told } from '../acceptance/told.ts'

/** Between two new clients. */
const NEW_CLIENT_EVERY_MS = 25
const NEW_CLIENT_TIMEOUT_MS = 30_000
const START_TIMEOUT_MS = 50_000
/** More than a round takes. */
const RESPONSES = 40

export interface Victims {
  readonly octets: number
  readonly seconds: number
  /** Downloads that ended. */
  readonly broken: number
  /** From the SYN to the last octet of a small response, sorted. */
  readonly newClientMs: readonly number[]
  readonly unserved: number
}

const [address = '', port = '', large = '', small = '', ports = '', seconds = ''] = process.argv.slice(2)
const told = new Told()
let octets = 0
let broken = 0

function download(localPort: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = createConnection({ host: address, port: Number(port), localPort })
    const timer = setTimeout(() => reject(new Error(`no download from port ${localPort}`)), START_TIMEOUT_MS)
    // Pipelined, so that there is always more to come.
    socket.write(`GET ${large} HTTP/1.1\r\nHost: victims\r\n\r\n`.repeat(RESPONSES))
    socket.once('data', () => {
      clearTimeout(timer)
      resolve(socket)
    })
    socket.on('data', chunk => {
      octets += chunk.length
    })
    socket.on('error', () => {})
    socket.on('close', () => {
      broken++
    })
  })
}

/** ms, or undefined for one that was not served. */
function newClient(): Promise<number | undefined> {
  return new Promise(resolve => {
    const began = performance.now()
    const socket = createConnection({ host: address, port: Number(port) })
    let status = ''
    const end = (ms: number | undefined) => {
      clearTimeout(timer)
      socket.destroy()
      resolve(ms)
    }
    const timer = setTimeout(() => end(undefined), NEW_CLIENT_TIMEOUT_MS)
    socket.write(`GET ${small} HTTP/1.1\r\nHost: victims\r\nConnection: close\r\n\r\n`)
    socket.on('data', chunk => {
      if (status.length < 12) status += chunk.toString('latin1')
    })
    socket.on('end', () => end(status.startsWith('HTTP/1.1 200') ? performance.now() - began : undefined))
    socket.on('error', () => end(undefined))
  })
}

const sockets = await Promise.all(ports.split(',').map(text => download(Number(text))))
process.stdout.write('ready\n')
await told.over
const before = octets
const began = performance.now()
const clients: Promise<number | undefined>[] = []
while (performance.now() - began < Number(seconds) * 1_000) {
  clients.push(newClient())
  await sleep(NEW_CLIENT_EVERY_MS)
}
const measured = (performance.now() - began) / 1_000
const received = octets - before
const ended = broken
const served = await Promise.all(clients)
const newClientMs = served.filter(ms => ms !== undefined).sort((a, b) => a - b)
const victims: Victims = {
  ...{ octets: received, seconds: measured, broken: ended },
  ...{ newClientMs, unserved: served.length - newClientMs.length },
}
process.stdout.write(`${JSON.stringify(victims)}\n`)
for (const socket of sockets) socket.resetAndDestroy()
process.exit(0)
