/** What is asked for in `npm run bench -- cyclone`: files of web-like sizes, popular by Zipf's law, larger together than memory. */
import { writeFile } from 'node:fs/promises'
import { OBJECT_OVERHEAD_OCTETS } from '../../cache/cached-object.ts'
import { createTrace, type Trace } from '../trace/trace.ts'

export const SEED = 20_261_124
/** 6.2 kB in the mean, as the responses of Cyclone's trace were: log-normal, as sizes of the web are (Barford and Crovella, 1998). */
const SIZES = { medianOctets: 3_300, sigma: 1.15, maxOctets: 131_072 }
const ALPHA = 0.9
/** Requests until the trace begins again; longer than a round. */
const REQUESTS = 60_000
/** Requests of one connection, in the mean: a page and what belongs to it. */
const REQUESTS_PER_CONNECTION = 6
/** Nodes whose memory holds all files once. */
export const NODES_OF_THE_WORKING_SET = 12
/** nginx keeps each response in a file of its own, with its head and 0.4 kB of its own, in whole blocks. */
const NGINX_HEAD_OCTETS = 700
const BLOCK_OCTETS = 4_096

export function createWorkload(objects: number): Trace {
  const common = { seed: SEED, objects, requests: REQUESTS, alpha: ALPHA, ...SIZES }
  return createTrace({ ...common, scanEvery: 0, scanObjects: 0, shiftEvery: 0 })
}

/** Octets of memory that hold the same share of the files: each system's own cost of a file is granted to it. */
export function memoryOf({ sizes }: Trace): { readonly gyre: number; readonly nginx: number } {
  const blocks = (size: number) => BLOCK_OCTETS * Math.ceil((size + NGINX_HEAD_OCTETS) / BLOCK_OCTETS)
  const share = (costOf: (size: number) => number) =>
    Math.floor(sizes.reduce((sum, size) => sum + costOf(size), 0) / NODES_OF_THE_WORKING_SET)
  return { gyre: share(size => size + OBJECT_OVERHEAD_OCTETS), nginx: share(blocks) }
}

/** wrk asks in the order of the trace from the request at `GYRE_CYCLONE_AT` on, and ends a connection after some. */
export async function writeScript(file: string, paths: string, { requests }: Trace): Promise<void> {
  await writeFile(paths, Array.from(requests, object => `/${object}`).join('\n'))
  const script = `local paths = {}
for line in io.lines('${paths}') do paths[#paths + 1] = line end
local at = tonumber(os.getenv('GYRE_CYCLONE_AT') or '0')
math.randomseed(at)
local closing = { ['Connection'] = 'close' }
request = function()
  at = at % #paths + 1
  if math.random(${REQUESTS_PER_CONNECTION}) == 1 then return wrk.format('GET', paths[at], closing) end
  return wrk.format('GET', paths[at])
end
`
  await writeFile(file, script)
}
