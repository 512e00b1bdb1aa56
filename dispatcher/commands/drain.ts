/** `gyre drain` and `gyre undrain`: empties a node while everybody goes on, and lets it take connections again. */

import { SingleBar } from 'cli-progress'
import type { Command } from 'commander'
import { formatDuration } from '../admin/amounts.ts'
import { DEFAULT_DRAIN_MS, type DrainReport, type DrainRequest, MAX_DRAIN_MS } from '../admin/api.ts'
import type { AdminClient } from '../admin/client.ts'
import { duration } from '../flags.ts'
import { type AdminFlags, addAdminFlags, runAdminCommand } from './admin-command.ts'
import { formatCounts, formatTable } from './table.ts'

/** How often the progress is asked for. */
const POLL_MS = 100
/** Lines of progress where there is no terminal. */
const LINE_EVERY_MS = 1_000
/** Connections named at the end; the reasons are counted of all. */
const MAX_NAMED = 20

interface DrainFlags extends AdminFlags {
  readonly deadline: number
}

/** Shows how far a drain is. */
interface Progress {
  show(report: DrainReport): void
  end(): void
}

export function registerDrain(program: Command): void {
  const command = program
    .command('drain')
    .description('move every connection away from a node, which takes no new ones')
  addAdminFlags(command)
    .argument('<node>', 'id or name of the node')
    .option(
      '--deadline <duration>',
      'what is still there then stays, and is named (default: "30s")',
      duration(0, MAX_DRAIN_MS),
      DEFAULT_DRAIN_MS,
    )
    .action(async (node: string, flags: DrainFlags) => {
      const request = { node, deadlineMs: flags.deadline }
      const progress = process.stderr.isTTY ? new Bar() : new Lines(node)
      await runAdminCommand(
        command,
        flags,
        async client => {
          const report = await drain(client, request, progress)
          if (report.state !== 'drained') process.exitCode = 1
          return report
        },
        report => formatDrain(node, report),
      )
    })
}

export function registerUndrain(program: Command): void {
  const command = program.command('undrain').description('let a drained node take connections again')
  addAdminFlags(command)
    .argument('<node>', 'id or name of the node')
    .action(async (node: string, flags: AdminFlags) => {
      await runAdminCommand(
        command,
        flags,
        client => client.undrain(node),
        () => `${node} takes connections again\n`,
      )
    })
}

/** Drains to the end, whatever it is. */
export async function drain(
  client: AdminClient,
  request: DrainRequest,
  progress: Progress,
): Promise<DrainReport> {
  try {
    let report = await client.drain(request)
    while (report.state === 'draining') {
      progress.show(report)
      await new Promise(resolve => setTimeout(resolve, POLL_MS))
      report = await client.drained(request.node)
    }
    progress.show(report)
    return report
  } finally {
    progress.end()
  }
}

export function formatDrain(node: string, report: DrainReport): string {
  const { state, shifted, left, elapsedMs, remaining } = report
  const took = `${shifted} ${shifted === 1 ? 'connection' : 'connections'} moved in ${formatDuration(elapsedMs)}`
  if (state === 'drained') return `${node} is drained: ${took}\n`
  if (state === 'cancelled') return `${node} takes connections again: ${took}\n`
  if (left === 0) return `${node} is not drained: ${took}, and it does not answer\n`
  const reasons: Record<string, number> = {}
  for (const { code } of remaining) reasons[code] = (reasons[code] ?? 0) + 1
  const rows = remaining.slice(0, MAX_NAMED).map(({ connection, code }) => [`${connection}`, code])
  const why = formatCounts(reasons)
  const more = left > rows.length && rows.length > 0 ? `and ${left - rows.length} more\n` : ''
  return (
    `${node} is not drained: ${took}, ${left} ${left === 1 ? 'stays' : 'stay'}${why === '' ? '' : ` (${why})`}\n` +
    (rows.length === 0 ? '' : formatTable([{ title: 'CONNECTION' }, { title: 'REASON' }], rows) + more)
  )
}

class Bar implements Progress {
  readonly #bar = new SingleBar({
    format: '{bar} {value}/{total} moved, {left} left',
    stream: process.stderr,
    clearOnComplete: true,
    hideCursor: true,
  })
  #started = false

  show({ shifted, total, left }: DrainReport): void {
    // Not known yet how many there are: a bar of none would look like one of all.
    if (total === 0) return
    if (this.#started) this.#bar.setTotal(total)
    else this.#bar.start(total, shifted, { left })
    this.#started = true
    this.#bar.update(shifted, { left })
  }

  end(): void {
    this.#bar.stop()
  }
}

class Lines implements Progress {
  readonly #node: string
  #nextAt = 0
  #said = ''

  constructor(node: string) {
    this.#node = node
  }

  show({ shifted, left, state }: DrainReport): void {
    const line = `${this.#node}: ${shifted} moved, ${left} left`
    if (line === this.#said || (state === 'draining' && performance.now() < this.#nextAt)) return
    this.#said = line
    this.#nextAt = performance.now() + LINE_EVERY_MS
    process.stderr.write(`${line}\n`)
  }

  end(): void {}
}
