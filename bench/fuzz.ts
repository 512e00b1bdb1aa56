/** `npm run bench -- fuzz`: a campaign of `bench/fuzz` with progress, and what it reached; failures go to captures. */
import { writeFileSync } from 'node:fs'
import { campaign } from './fuzz/campaign.ts'

export interface FuzzOptions {
  readonly packets: number
  readonly seed: number
}

const PROGRESS_MS = 10_000
const MEBIBYTE = 2 ** 20

export function fuzz({ packets, seed }: FuzzOptions): void {
  const start = process.hrtime.bigint()
  const elapsed = () => Number(process.hrtime.bigint() - start) / 1e9
  let shownAt = 0
  let mostOctets = 0
  const show = (done: number) => {
    const seconds = elapsed()
    if (seconds * 1_000 - shownAt < PROGRESS_MS) return
    shownAt = seconds * 1_000
    const { rss } = process.memoryUsage()
    mostOctets = Math.max(mostOctets, rss)
    const rate = Math.round(done / seconds)
    process.stderr.write(`${done} packets, ${rate} a second, ${Math.round(rss / MEBIBYTE)} MiB\n`)
  }
  const { coverage, parsers, clusterPackets, control, failures } = campaign(packets, seed, show)
  mostOctets = Math.max(mostOctets, process.memoryUsage().rss)
  const parsed = [...parsers.values()].reduce((sum, times) => sum + times, 0)
  const total = coverage.injected + parsed + clusterPackets + control.forged
  const { user } = process.cpuUsage()
  process.stdout.write(
    `SEED=${seed}: ${total} packets in ${elapsed().toFixed(0)} s, ${Math.round(total / elapsed())} a second\n`,
  )
  process.stdout.write(
    `processor ${(user / 1e6).toFixed(0)} s, at most ${Math.round(mostOctets / MEBIBYTE)} MiB resident\n`,
  )
  process.stdout.write(`TCP core: ${coverage.injected} injected among ${coverage.honest} honest ones\n`)
  table('  arrived in state', coverage.states)
  table('  parsed as', coverage.verdicts)
  table('  connections ended', coverage.ends)
  process.stdout.write(`clusters: ${clusterPackets}\n`)
  process.stdout.write(
    `control messages: ${control.forged}, connections that came by COMMIT: ${control.adopted}\n`,
  )
  table('  ', control.kinds)
  process.stdout.write(`parsers: ${parsed}\n`)
  table('  verdict', parsers)
  for (const [index, { message, capture }] of failures.entries()) {
    process.stdout.write(`FAILED ${message}\n`)
    if (capture.length === 0) continue
    const path = `fuzz-${seed}-${index}.pcapng`
    writeFileSync(path, capture)
    process.stdout.write(`  ${path}\n`)
  }
  if (failures.length > 0) process.exitCode = 1
}

function table(title: string, counts: ReadonlyMap<string, number>): void {
  for (const [name, times] of [...counts].sort((a, b) => b[1] - a[1]))
    process.stdout.write(`${title} ${name}: ${times}\n`)
}
