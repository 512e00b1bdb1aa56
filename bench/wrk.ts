/** wrk from the client's namespace, and its figures. */
import { inNamespace, run } from './process.ts'

export interface Load {
  readonly namespace: string
  readonly url: string
  readonly connections: number
  readonly seconds: number
  /** Core for the load generator; the server has the other. */
  readonly core: number
  /** One connection for each request. */
  readonly closing?: boolean
  /** A script for wrk. */
  readonly script?: string | undefined
  /** Every response is a refusal: no error. */
  readonly refused?: boolean
}

export interface Figures {
  readonly requestsPerSecond: number
  readonly octetsPerSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  /** Connections and requests that failed, and statuses other than 2xx and 3xx. */
  readonly errors: number
}

export async function wrk(load: Load): Promise<Figures> {
  const { namespace, url, connections, seconds, core, closing, script, refused } = load
  const fields = closing === true ? ['-H', 'Connection: close'] : []
  const args = [
    '-c',
    `${core}`,
    'wrk',
    '-t1',
    `-c${connections}`,
    `-d${seconds}s`,
    '--latency',
    ...fields,
    ...(script === undefined ? [] : ['-s', script]),
    url,
  ]
  const output = await run(...inNamespace(namespace, 'taskset', args), (seconds + 30) * 1000)
  const figures = parseFigures(output)
  return refused === true ? { ...figures, errors: socketErrors(output) } : figures
}

export function parseFigures(output: string): Figures {
  const requests = number(/Requests\/sec:\s+([\d.]+)/, output)
  const transfer = /Transfer\/sec:\s+([\d.]+)([KMG]?B)/.exec(output)
  const unit = { B: 1, KB: 2 ** 10, MB: 2 ** 20, GB: 2 ** 30 }[transfer?.[2] ?? 'B'] ?? 1
  return {
    requestsPerSecond: requests,
    octetsPerSecond: Number(transfer?.[1] ?? 0) * unit,
    p50Ms: latency(/50%\s+([\d.]+)(us|ms|s)/, output),
    p99Ms: latency(/99%\s+([\d.]+)(us|ms|s)/, output),
    errors: socketErrors(output) + (/Non-2xx/.test(output) ? number(/responses: (\d+)/, output) : 0),
  }
}

function socketErrors(output: string): number {
  const socket = /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(output)
  return (socket ?? []).slice(1).reduce((sum, count) => sum + Number(count), 0)
}

function number(pattern: RegExp, text: string): number {
  return Number(pattern.exec(text)?.[1] ?? 0)
}

function latency(pattern: RegExp, text: string): number {
  const match = pattern.exec(text)
  const unit = { us: 0.001, ms: 1, s: 1000 }[match?.[2] ?? 'ms'] ?? 1
  return Number(match?.[1] ?? Number.NaN) * unit
}
