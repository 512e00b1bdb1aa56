/**
 * `npm run bench -- conformance`: the suite against a server that listens, against others that are started for it, or
 * against a cluster of ours.
 */
import type { Case } from './case.ts'
import { isOtherServer, OTHER_SERVERS, withOtherServer } from './other-servers.ts'
import { withRealCluster } from './real-cluster.ts'
import { makeRoot } from './root.ts'
import { failures } from './run.ts'
import { connectTo } from './socket-wire.ts'
import { SUITE, titleOf } from './suite.ts'

export interface ConformanceOptions {
  /** `gyre`, one of the other servers, or `host:port` of a server that serves what `--make-root` has made. */
  readonly against: string
  readonly makeRoot: string | undefined
  /** The cases that take minutes too. */
  readonly timing: boolean
}

const LEVELS: readonly Case['level'][] = ['must', 'should', 'safety', 'timing']

export async function conformance(options: ConformanceOptions): Promise<void> {
  const { against } = options
  if (options.makeRoot !== undefined) {
    process.stdout.write(`${await makeRoot(options.makeRoot)}\n`)
    return
  }
  const cases = SUITE.filter(({ level }) => options.timing || level !== 'timing')
  if (against === 'gyre') return ofCluster(cases)
  if (isOtherServer(against)) return withOtherServer(against, (host, port) => report(cases, host, port))
  const colon = against.lastIndexOf(':')
  const host = against.slice(0, colon).replace(/^\[(.*)\]$/, '$1')
  const port = Number(against.slice(colon + 1))
  if (colon < 1 || !Number.isInteger(port) || port < 1 || port > 65_535) {
    throw new Error(`${against} is neither gyre, ${OTHER_SERVERS.join(', ')} nor host:port`)
  }
  return report(cases, host, port)
}

/** Once at rest, and once while all connections move at random moments. */
function ofCluster(cases: readonly Case[]): Promise<void> {
  return withRealCluster(async ({ host, port, moving }) => {
    await report(cases, host, port)
    const shifts = await moving(() => report(cases, host, port))
    process.stdout.write(`the latter with ${shifts} shifts\n`)
  })
}

async function report(cases: readonly Case[], host: string, port: number): Promise<void> {
  const faults = await failures(cases, () => connectTo(host, port))
  for (const [test, fault] of faults) process.stdout.write(`${titleOf(test)}: ${fault}\n`)
  const sections = new Map<string, number>()
  for (const { section } of faults.keys()) sections.set(section, (sections.get(section) ?? 0) + 1)
  if (faults.size > 0) {
    const counts = [...sections].map(([section, count]) => `${section} (${count})`)
    process.stdout.write(`differs in ${counts.join(', ')}\n`)
  }
  for (const level of LEVELS) {
    const all = cases.filter(test => test.level === level)
    const passed = all.filter(test => !faults.has(test)).length
    if (all.length > 0) process.stdout.write(`${level}: ${passed} of ${all.length}\n`)
  }
  const passed = cases.length - faults.size
  const percent = ((100 * passed) / cases.length).toFixed(1)
  process.stdout.write(`${passed} of ${cases.length} cases (${percent} %)\n`)
}
