/**
 * A program for the client's namespace: many downloads at the same time, each on a connection of its own, read slowly, and
 * compared with their digests. Arguments: address, port, downloads, ms between two reads of one, and a JSON file of paths
 * to SHA-256.
 */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { connect } from 'node:net'

export interface Downloads {
  readonly intact: number
  /** What became of the others. */
  readonly failed: Readonly<Record<string, number>>
  /** Between two reads, of the download that waited longest. */
  readonly longestGapMs: number
  /** The longest pause of each download: half of them, and 99 of 100, had none longer. */
  readonly gapP50Ms: number
  readonly gapP99Ms: number
}

const [address = '', port = '80', count = '1', everyMs = '1', list = ''] = process.argv.slice(2)
const digests = Object.entries(JSON.parse(readFileSync(list, 'utf8')) as Record<string, string>)
const failed: Record<string, number> = {}
let intact = 0
const gaps: number[] = []

function fetchOne(path: string, digest: string): Promise<string> {
  return new Promise(resolve => {
    const hash = createHash('sha256')
    const socket = connect(Number(port), address)
    let head = ''
    let hasHead = false
    let readAt = performance.now()
    let longestGapMs = 0
    socket.on('connect', () => {
      socket.write(`GET ${path} HTTP/1.1\r\nHost: downloads\r\nConnection: close\r\n\r\n`)
    })
    socket.on('data', octets => {
      const now = performance.now()
      if (hasHead) longestGapMs = Math.max(longestGapMs, now - readAt)
      if (hasHead) hash.update(octets)
      else {
        const at = octets.indexOf('\r\n\r\n')
        head += octets.toString('latin1')
        if (at < 0) return
        hasHead = true
        hash.update(octets.subarray(at + 4))
      }
      socket.pause()
      setTimeout(
        () => {
          readAt = performance.now()
          socket.resume()
        },
        Number(everyMs) * (0.5 + Math.random()),
      )
    })
    socket.on('end', () => {
      gaps.push(longestGapMs)
      if (!head.startsWith('HTTP/1.1 200 ')) return resolve(head.split('\r\n')[0] ?? 'no head')
      resolve(hash.digest('hex') === digest ? '' : 'wrong octets')
    })
    socket.on('error', error => resolve(error.message))
  })
}

await Promise.all(
  Array.from({ length: Number(count) }, async (_, index) => {
    const [path, digest] = digests[index % digests.length] as [string, string]
    const fault = await fetchOne(path, digest)
    if (fault === '') intact++
    else failed[fault] = (failed[fault] ?? 0) + 1
  }),
)
gaps.sort((a, b) => a - b)
const gapOf = (share: number) => gaps[Math.min(gaps.length - 1, Math.floor(gaps.length * share))] ?? 0
const report: Downloads = {
  intact,
  failed,
  longestGapMs: gapOf(1),
  gapP50Ms: gapOf(0.5),
  gapP99Ms: gapOf(0.99),
}
process.stdout.write(`${JSON.stringify(report)}\n`)
