/**
 * A program for the client's namespace: reads a stream of server-sent events over the kernel's own TCP for some seconds.
 * Arguments: URL, seconds.
 */
import { get } from 'node:http'

export interface Count {
  /** As they came. */
  readonly ids: readonly number[]
  readonly nodes: readonly number[]
  readonly longestGapMs: number
  readonly error: string
}

const [url = '', seconds = '1'] = process.argv.slice(2)
let text = ''
let error = ''
let lastAt = performance.now()
let longestGapMs = 0

const request = get(url, response => {
  response.on('data', (octets: Buffer) => {
    text += octets.toString()
    const now = performance.now()
    longestGapMs = Math.max(longestGapMs, now - lastAt)
    lastAt = now
  })
  response.on('end', () => {
    error = 'it ended'
  })
  response.on('error', cause => {
    error = cause.message
  })
})
request.on('error', cause => {
  error = cause.message
})
setTimeout(() => {
  const events = [...text.matchAll(/id: (\d+)\ndata: \1 by node (\d+)\n\n/g)]
  const ids = events.map(([, id]) => Number(id))
  const nodes = events.map(([, , node]) => Number(node))
  process.stdout.write(`${JSON.stringify({ ids, nodes, longestGapMs, error } satisfies Count)}\n`)
  process.exit(0)
}, Number(seconds) * 1000)
