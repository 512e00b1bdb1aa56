/**
 * The seeds that `npm test` runs: blocks of them, so that one test is neither one run nor all. With SEED in the environment
 * only that one is run, wherever it belongs.
 */

const RUNS_PER_BLOCK = 50

export function seedBlocks(first: number, runs: number): readonly (readonly number[])[] {
  const only = Number(process.env.SEED)
  if (Number.isSafeInteger(only) && only > 0) return [[only]]
  const blocks: number[][] = []
  for (let seed = first; seed < first + runs; seed += RUNS_PER_BLOCK) {
    blocks.push(
      Array.from({ length: Math.min(RUNS_PER_BLOCK, first + runs - seed) }, (_, index) => seed + index),
    )
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
