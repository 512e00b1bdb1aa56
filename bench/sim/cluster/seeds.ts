/**
 * The seeds that a test runs: blocks of them, so that one test is neither one run nor all. With CI in the environment each
 * is run, elsewhere one in SAMPLE; with SEED only that one, wherever it belongs.
 */

const RUNS_PER_BLOCK = 50
/** A thousand seeds take minutes, which whoever changes a line does not want to wait for each time. */
const SAMPLE = 5

export function seedBlocks(first: number, runs: number): readonly (readonly number[])[] {
  const only = Number(process.env.SEED)
  if (Number.isSafeInteger(only) && only > 0) return [[only]]
  const step = process.env.CI === undefined ? SAMPLE : 1
  const seeds = Array.from({ length: Math.ceil(runs / step) }, (_, index) => first + index * step)
  const blocks: number[][] = []
  for (let from = 0; from < seeds.length; from += RUNS_PER_BLOCK) {
    blocks.push(seeds.slice(from, from + RUNS_PER_BLOCK))
  }
  return blocks
}

/** Runs each seed, and names the one that fails. */
export function eachSeed(seeds: readonly number[], run: (seed: number) => void): void {
  for (const seed of seeds) {
    try {
      run(seed)
    } catch (cause) {
      throw new Error(`SEED=${seed}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause })
    }
  }
}
