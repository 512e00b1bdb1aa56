/**
 * Whether the machine let a benchmark measure. Two things are watched in each round: CPU time that the host took away
 * (steal, of /proc/stat), and CPU time of processes that are not the benchmark's own. Own are those that carry its mark in their
 * environment, as everything that it starts inherits it, detached or not. What the kernel's threads use counts for nobody.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'

const MARK = 'GYRE_BENCH'
/** Of the machine's CPU time, in one round, others may have so much of it. */
export const MAX_OTHERS = 0.05
/** Rounds with more than that, of all rounds: medians bear a few. */
export const MAX_DISTURBED = 0.25
/** From the lowest to the highest round of a system, by its median. */
export const MAX_SPREAD = 0.3
/** Linux shows times in ticks of 1/100 s on every architecture (USER_HZ). */
const TICKS_A_SECOND = 100
const KTHREADD = 2

export interface RoundNoise {
  /** Parts of the machine's whole CPU time. */
  readonly steal: number
  readonly foreign: number
}

/** Why figures must not be compared. */
export interface Reason {
  /** Of the rows that it is about; undefined: of all. */
  readonly group?: string
  readonly text: string
}

export interface Noise {
  readonly rounds: readonly RoundNoise[]
  /** Empty where all figures may be compared. */
  readonly reasons: readonly Reason[]
}

/** How far the rounds of one system lie apart. */
export interface Spread {
  readonly group: string
  readonly system: string
  readonly spread: number
}

/** CPU time in ticks since boot. */
interface Times {
  readonly at: number
  readonly steal: number
  readonly foreign: number
}

/** Marks this process, and so all that it starts from now on. */
export function markOwn(): void {
  process.env[MARK] = `${process.pid}`
}

export class NoiseMeter {
  #began: Times = timesNow()

  begin(): void {
    this.#began = timesNow()
  }

  /** Since `begin`. */
  read(): RoundNoise {
    const { at, steal, foreign } = this.#began
    const now = timesNow()
    const whole = ((now.at - at) / 1_000) * TICKS_A_SECOND * availableParallelism()
    if (whole <= 0) return { steal: 0, foreign: 0 }
    // A process whose parent does not wait for it takes its time out of the sum.
    const part = (ticks: number) => Math.max(0, ticks) / whole
    return { steal: part(now.steal - steal), foreign: part(now.foreign - foreign) }
  }
}

function timesNow(): Times {
  const steal = Number(readFileSync('/proc/stat', 'latin1').split('\n', 1)[0]?.trim().split(/\s+/)[8] ?? 0)
  return { at: performance.now(), steal, foreign: foreignTicks() }
}

/** Of all living processes, with the children that they have waited for: what ends meanwhile stays in the sum. */
function foreignTicks(): number {
  let ticks = 0
  for (const name of readdirSync('/proc')) {
    const pid = Number(name)
    if (!(pid > 0) || pid === process.pid) continue
    try {
      ticks += ticksOf(pid)
    } catch {
      // It has ended.
    }
  }
  return ticks
}

function ticksOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
  // The name, in parentheses, may hold anything.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const parent = Number(fields[1])
  if (pid === KTHREADD || parent === KTHREADD) return 0
  if (isOwn(pid)) return 0
  return fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0)
}

/** Whether a process carries this one's mark. Throws where it has ended. */
export function isOwn(pid: number): boolean {
  return readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0').includes(`${MARK}=${process.pid}`)
}

/** `spreads` are those of the figures that are compared. */
export function judge(rounds: readonly RoundNoise[], spreads: readonly Spread[]): Noise {
  const reasons: Reason[] = []
  for (const [kind, of] of [
    ['the host took', (round: RoundNoise) => round.steal],
    ['other processes used', (round: RoundNoise) => round.foreign],
  ] as const) {
    const disturbed = rounds.filter(round => of(round) > MAX_OTHERS)
    if (disturbed.length <= MAX_DISTURBED * rounds.length) continue
    const most = percent(Math.max(...disturbed.map(of)))
    const count = `${disturbed.length} of ${rounds.length} rounds, up to ${most}`
    reasons.push({ text: `${kind} more than ${percent(MAX_OTHERS)} of the CPU in ${count}` })
  }
  for (const { group, system, spread } of spreads) {
    if (!(spread > MAX_SPREAD)) continue
    reasons.push({
      group,
      text: `${group}: rounds of ${system} differ by ${percent(spread)} of their median`,
    })
  }
  return { rounds, reasons }
}

function percent(part: number): string {
  return `${Math.round(100 * part)} %`
}
