/** The disks in a process of their own. Arguments: Unix socket, objects, disks. Prints the port when it listens. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Storage } from './storage.ts'
import { createWorkload } from './workload.ts'

/** Whoever asks keeps its connections. */
const KEEP_ALIVE_MS = 600_000

const [socket = '', objects = '1', disks = '1'] = process.argv.slice(2)
const storage = new Storage({ sizes: createWorkload(Number(objects)).sizes, disks: Number(disks) })
const [near, far] = [createServer(), createServer()] as const
for (const server of [near, far]) {
  server.keepAliveTimeout = KEEP_ALIVE_MS
  server.on('request', (request, response) => storage.answer(request, response))
}
near.listen(socket, () => {
  far.listen(0, '127.0.0.1', () => {
    process.stdout.write(`${(far.address() as AddressInfo).port}\n`)
  })
})
process.on('SIGTERM', () => process.exit(0))
