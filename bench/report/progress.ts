/** How far a benchmark is, on standard error: a bar on a terminal, else a line whenever something new begins. */
import { Presets, SingleBar } from 'cli-progress'

export interface Progress {
  say(what: string): void
  step(): void
  stop(): void
}

export function startProgress(total: number): Progress {
  if (process.stderr.isTTY !== true) {
    return {
      say: what => process.stderr.write(`${what}\n`),
      step: () => {},
      stop: () => {},
    }
  }
  const bar = new SingleBar(
    {
      stream: process.stderr,
      format: '{bar} {percentage} % {what}',
      hideCursor: true,
      clearOnComplete: true,
    },
    Presets.shades_classic,
  )
  bar.start(total, 0, { what: '' })
  return {
    say: what => bar.update({ what }),
    step: () => bar.increment(),
    stop: () => bar.stop(),
  }
}

export const SILENT: Progress = { say: () => {}, step: () => {}, stop: () => {} }
