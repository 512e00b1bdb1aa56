/**
 * Many fuzz runs one after the other, from one seed: scenarios of the TCP core, the parsers, whole clusters, and clusters with
 * a hostile member, each with its share of the packets (or messages). A failure of the TCP core is repeated with ever fewer injected packets and kept as a capture.
 */
import { pcapHead, pcapPacket } from '../../node/tun/pcap.ts'
import { VIRTIO_HEADER_OCTETS } from '../../node/wire/virtio.ts'
import { Random } from '../sim/network/random.ts'
import { type ControlCoverage, ControlScenario, createControlCoverage } from './control-scenario.ts'
import { OwnerScenario } from './owner-scenario.ts'
import { type Corpus, feedParser, PARSERS } from './parsers.ts'
import { type Coverage, createCoverage, type Recorded, TcpScenario } from './tcp-scenario.ts'

/** Parts of the packets: what is behind the parsers has more states than they have. */
const TCP_SHARE = 0.75
const PARSER_SHARE = 0.2
const CONTROL_SHARE = 0.02
/** Scenarios whose packets and connections the parsers' inputs are made of; always the same ones. */
const CORPUS_SCENARIOS = 400
/** Repetitions of a failing scenario, at most. */
const MAX_REPETITIONS = 400
/** Failures after which there is no point in going on. */
const MAX_FAILURES = 20

export interface Failure {
  readonly message: string
  /** A pcapng capture of what led there; empty where packets are not the point. */
  readonly capture: Uint8Array
}

export interface CampaignResult {
  readonly coverage: Coverage
  readonly parsers: ReadonlyMap<string, number>
  readonly clusterPackets: number
  /** Forged messages on control links. */
  readonly control: ControlCoverage
  readonly failures: readonly Failure[]
}

export function campaign(packets: number, seed: number, progress: (packets: number) => void): CampaignResult {
  const coverage = createCoverage()
  const failures: Failure[] = []
  const parsers = new Map<string, number>()
  const isOver = () => failures.length >= MAX_FAILURES
  for (let next = seed; coverage.injected < packets * TCP_SHARE && !isOver(); next++) {
    const failure = runTcp(next, coverage)
    if (failure !== undefined) failures.push(failure)
    progress(coverage.injected)
  }
  const { injected } = coverage
  const corpus = makeCorpus()
  let fed = 0
  for (; fed < packets * PARSER_SHARE && !isOver(); fed++) {
    feed(PARSERS[fed % PARSERS.length] as string, seed + fed, corpus, parsers, failures)
    if (fed % 1_024 === 0) progress(injected + fed)
  }
  const control = createControlCoverage()
  for (let next = seed; control.forged < packets * CONTROL_SHARE && !isOver(); next++) {
    attempt(`member SEED=${next}`, failures, () => new ControlScenario(next, control).run())
    progress(injected + fed + control.forged)
  }
  fed += control.forged
  const clusters = createCoverage()
  for (let next = seed; injected + fed + clusters.injected < packets && !isOver(); next++) {
    attempt(`cluster SEED=${next}`, failures, () => new OwnerScenario(next, clusters).run())
    progress(injected + fed + clusters.injected)
  }
  return { coverage, parsers, clusterPackets: clusters.injected, control, failures }
}

function attempt(name: string, failures: Failure[], run: () => void): void {
  try {
    run()
  } catch (error) {
    failures.push({ message: `${name}: ${detail(error)}`, capture: new Uint8Array(0) })
  }
}

function makeCorpus(): Corpus {
  const coverage = createCoverage()
  for (let seed = 1; seed <= CORPUS_SCENARIOS; seed++) runTcp(seed, coverage)
  return coverage
}

function feed(
  name: string,
  seed: number,
  corpus: Corpus,
  verdicts: Map<string, number>,
  failures: Failure[],
): void {
  attempt(`parser ${name} SEED=${seed}`, failures, () => {
    const verdict = feedParser(name, new Random(seed), corpus)
    verdicts.set(verdict, (verdicts.get(verdict) ?? 0) + 1)
  })
}

function detail(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}

function runTcp(seed: number, coverage: Coverage): Failure | undefined {
  try {
    new TcpScenario(seed, coverage).run()
    return undefined
  } catch (error) {
    return minimise(seed, error)
  }
}

/** Leaves injected packets out, in ever smaller stretches, as long as the scenario fails without them. */
function minimise(seed: number, error: unknown): Failure {
  let without: ReadonlySet<number> = new Set()
  let { scenario } = repeat(seed, without)
  const all = scenario.injections
  let repetitions = 0
  for (let stretch = all; stretch >= 1 && repetitions < MAX_REPETITIONS; stretch = Math.floor(stretch / 2)) {
    for (let from = 0; from < all && repetitions < MAX_REPETITIONS; from += stretch, repetitions++) {
      const fewer = new Set(without)
      for (let index = from; index < Math.min(from + stretch, all); index++) fewer.add(index)
      if (fewer.size === without.size) continue
      const tried = repeat(seed, fewer)
      if (!tried.failed) continue
      without = fewer
      scenario = tried.scenario
    }
  }
  const message = `SEED=${seed}, ${all - without.size} of ${all} injected packets needed: ${detail(error)}`
  return { message, capture: capture(scenario.recorded) }
}

function repeat(seed: number, without: ReadonlySet<number>): { scenario: TcpScenario; failed: boolean } {
  const scenario = new TcpScenario(seed, createCoverage(), true, without)
  try {
    scenario.run()
    return { scenario, failed: false }
  } catch {
    return { scenario, failed: true }
  }
}

function capture(recorded: readonly Recorded[]): Uint8Array {
  const blocks = [pcapHead(['server', 'client'])]
  for (const { now, packet, toServer, injected } of recorded) {
    const octets = packet.subarray(VIRTIO_HEADER_OCTETS)
    blocks.push(
      pcapPacket({
        timeMs: now,
        interfaceIndex: toServer ? 0 : 1,
        direction: 'in',
        octets,
        originalOctets: octets.length,
        comments: injected ? ['injected'] : [],
      }),
    )
  }
  const whole = new Uint8Array(blocks.reduce((sum, block) => sum + block.length, 0))
  let at = 0
  for (const block of blocks) {
    whole.set(block, at)
    at += block.length
  }
  return whole
}
