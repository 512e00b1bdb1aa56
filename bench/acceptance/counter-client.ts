/**
 * A program for the client's namespace: reads a stream of server-sent events over the kernel's own TCP until it is told to end.
 * Arguments: URL, events that must come.
 */
import { get } from 'node:http'
import { Told } from './told.ts'

export interface Count {
  /** As they came. */
  readonly ids: readonly number[]
  readonly nodes: readonly number[]
  readonly longestGapMs: number
  readonly error: string
}

const told = new Told()
const [url = '', least = '1'] = process.argv.slice(2)
let text = ''
let events = 0
let error = ''
let lastAt = performance.now()
let longestGapMs = 0

const request = get(url, response => {
  response.on('data', (octets: Buffer) => {
    const more = octets.toString()
    text += more
    events += more.split('id: ').length - 1
    const now = performance.now()
    longestGapMs = Math.max(longestGapMs, now - lastAt)
    lastAt = now
    endWhenTold()
  })
  response.on('end', () => {
    error = 'it ended'
    end()
  })
  response.on('error', cause => {
    error = cause.message
  })
})
request.on('error', cause => {
  error = cause.message
  end()
})
void told.over.then(endWhenTold)

function endWhenTold(): void {
  if (told.isOver && events >= Number(least)) end()
}

function end(): void {
  const whole = [...text.matchAll(/id: (\d+)\ndata: \1 by node (\d+)\n\n/g)]
  const ids = whole.map(([, id]) => Number(id))
  const nodes = whole.map(([, , node]) => Number(node))
  process.stdout.write(`${JSON.stringify({ ids, nodes, longestGapMs, error } satisfies Count)}\n`)
  process.exit(0)
}
