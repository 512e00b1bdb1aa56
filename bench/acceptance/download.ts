/**
 * A program for the client's namespace: downloads one URL over the kernel's own TCP and prints, as one line of JSON, what came
 * of it. Arguments: URL, the octets a second that it reads, if not all that come, and `told`, if it reads all from when its standard
 * input ends.
 */
import { createHash } from 'node:crypto'
import { get } from 'node:http'
import { Told } from './told.ts'

/** A pause longer than this is listed. */
const LISTED_GAP_MS = 50
const TIMEOUT_MS = 120_000
/** How often this process looks whether it runs at all. */
const HEARTBEAT_MS = 5

export interface Download {
  readonly octets: number
  readonly sha256: string
  readonly ms: number
  /** Between two arrivals, the start being the first, less the time in which this process was not let run. */
  readonly longestGapMs: number
  /** Pauses of more than 50 ms: when they began, and how long they were. */
  readonly gaps: readonly (readonly [number, number])[]
  readonly error: string
}

function download(url: string, rate: number, told: Told | undefined): Promise<Download> {
  return new Promise(resolve => {
    const hash = createHash('sha256')
    const startedAt = performance.now()
    let lastAt = startedAt
    let octets = 0
    let longestGapMs = 0
    const gaps: [number, number][] = []
    let starvedMs = 0
    let beatAt = startedAt
    const beat = () => {
      const now = performance.now()
      starvedMs += Math.max(0, now - beatAt - 2 * HEARTBEAT_MS)
      beatAt = now
    }
    const heart = setInterval(beat, HEARTBEAT_MS)
    const finish = (error: string) => {
      clearInterval(heart)
      const ms = performance.now() - startedAt
      resolve({ octets, sha256: hash.digest('hex'), ms, longestGapMs, gaps, error })
    }
    const request = get(url, response => {
      response.on('data', (chunk: Buffer) => {
        beat()
        const now = performance.now()
        const gap = now - lastAt - starvedMs
        starvedMs = 0
        if (gap > longestGapMs) longestGapMs = gap
        if (gap > LISTED_GAP_MS) gaps.push([Math.round(lastAt - startedAt), Math.round(gap)])
        lastAt = now
        octets += chunk.length
        hash.update(chunk)
        const early = (octets * 1000) / rate - (now - startedAt)
        if (early < HEARTBEAT_MS || told?.isOver === true) return
        response.pause()
        setTimeout(() => response.resume(), early)
      })
      response.on('end', () => finish(response.complete ? '' : 'incomplete'))
      response.on('error', error => finish(error.message))
    })
    request.setTimeout(TIMEOUT_MS, () => request.destroy(new Error('time-out')))
    request.on('error', error => finish(error.message))
  })
}

const [url = '', rate, untilTold] = process.argv.slice(2)
const told = untilTold === 'told' ? new Told() : undefined
const result = await download(url, Number(rate ?? Number.POSITIVE_INFINITY), told)
process.stdout.write(`${JSON.stringify(result)}\n`)
process.exit(0)
