/**
 * How soon a node that says nothing is taken for dead: times that suit the network and the machines, as flags of a dispatcher and as
 * settings of the configuration file. Sooner means shorter pauses of downloads when a node dies, and more nodes that were only slow.
 */
import { type Command, Option } from 'commander'
import { duration } from './flags.ts'

export interface LivenessSettings {
  /** ms between two pings of a node; 300 of them cost some 3 % of a core at 100 ms. */
  readonly pingMs: number
  /** ms without a word after which a node is asked for a connection: three pings, or more. */
  readonly suspectAfterMs: number
  /** ms for that connection; where this is not enough, round trips are as long as what is to be avoided. */
  readonly reachMs: number
  /**
   * ms for which the link of a node is down before its connections are given to others: longer than a link that broke takes to be
   * dialed again, and short enough that a download pauses for less than a second.
   */
  readonly recoverAfterMs: number
}

export const DEFAULT_LIVENESS: LivenessSettings = {
  pingMs: 100,
  suspectAfterMs: 300,
  reachMs: 200,
  recoverAfterMs: 250,
}

/** A node is silent between two pings; one that was lost comes with the next. */
const LEAST_PINGS = 2

interface Told {
  readonly about: string
  readonly least: number
  readonly most: number
  readonly default: number
}

/** By the name of the setting in `liveness`, which the flag has too. A link is given up by itself after 3 s of silence. */
export const LIVENESS: Readonly<Record<'ping' | 'suspectAfter' | 'reach' | 'recoverAfter', Told>> = {
  ping: { about: 'between two pings of a node', least: 20, most: 1_000, default: DEFAULT_LIVENESS.pingMs },
  suspectAfter: {
    about: 'of silence, at least two pings, after which a node is asked for a connection',
    ...{ least: 40, most: 3_000, default: DEFAULT_LIVENESS.suspectAfterMs },
  },
  reach: {
    about: 'in which a silent node has to accept that connection',
    ...{ least: 20, most: 5_000, default: DEFAULT_LIVENESS.reachMs },
  },
  recoverAfter: {
    about: 'for which a node’s link is down before others go on with its connections',
    ...{ least: 50, most: 60_000, default: DEFAULT_LIVENESS.recoverAfterMs },
  },
}

/** Flags as commander hands them over, in ms. */
export interface LivenessFlags {
  readonly ping: number
  readonly suspectAfter: number
  readonly reach: number
  readonly recoverAfter: number
}

export function livenessOptions(command: Command): Command {
  for (const [name, { about, least, most, default: ms }] of Object.entries(LIVENESS)) {
    const flag = name.replace(/[A-Z]/g, letter => `-${letter.toLowerCase()}`)
    const option = new Option(`--${flag} <duration>`, about).argParser(duration(least, most))
    command.addOption(option.default(ms, `${ms}ms`))
  }
  return command
}

/** What a command line says of them, for another process. */
export function livenessFlags(settings: LivenessSettings): string[] {
  const { pingMs, suspectAfterMs, reachMs, recoverAfterMs } = settings
  return [
    ...['--ping', `${pingMs}ms`, '--suspect-after', `${suspectAfterMs}ms`],
    ...['--reach', `${reachMs}ms`, '--recover-after', `${recoverAfterMs}ms`],
  ]
}

/** Undefined where they fit each other, or what is wrong. */
export function livenessFault({
  ping,
  suspectAfter,
}: {
  readonly ping?: number | undefined
  readonly suspectAfter?: number | undefined
}): string | undefined {
  const pingMs = ping ?? DEFAULT_LIVENESS.pingMs
  const least = LEAST_PINGS * pingMs
  if ((suspectAfter ?? DEFAULT_LIVENESS.suspectAfterMs) >= least) return undefined
  return `a node that is pinged each ${pingMs}ms cannot be suspected before ${least}ms`
}

/** Ends the command where they do not fit each other. */
export function livenessOf(command: Command, flags: LivenessFlags): LivenessSettings {
  const fault = livenessFault(flags)
  if (fault !== undefined) command.error(`error: --suspect-after: ${fault}`, { exitCode: 1 })
  const { ping, suspectAfter, reach, recoverAfter } = flags
  return { pingMs: ping, suspectAfterMs: suspectAfter, reachMs: reach, recoverAfterMs: recoverAfter }
}
