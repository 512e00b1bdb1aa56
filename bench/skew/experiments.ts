/** What is popular in `npm run bench -- skew`, and by what it is measured. */

/** Exponent of Zipf's law, as in Capybara's experiments. */
export const ALPHA = 1.2
/** Of the load that is given at one size, in % of the ideal. */
export const STEPS: readonly number[] = [20, 40, 60, 80, 90, 100]
/** Of the experiment by load, KiB. */
const STEP_SIZE = 4
export const SIZES: readonly number[] = [1, 4, 8, 16, 20]

export type Hot = 'connection' | 'object'

/** Loads, in % of the ideal, one after the other on the same connections, of files of one size. */
export interface Ladder {
  readonly kib: number
  readonly steps: readonly number[]
}

export interface Experiment {
  readonly name: string
  readonly hot: Hot
  readonly ladders: readonly Ladder[]
  readonly groupOf: (kib: number, step: number) => string
}

export const EXPERIMENTS: readonly Experiment[] = (['connection', 'object'] as const).flatMap(hot => [
  {
    ...{ name: `hot ${hot} by load`, hot, ladders: [{ kib: STEP_SIZE, steps: STEPS }] },
    groupOf: (_kib, step) => `hot ${hot}, ${step} % of the ideal load`,
  },
  {
    ...{ name: `hot ${hot} by size`, hot, ladders: SIZES.map(kib => ({ kib, steps: [100] })) },
    groupOf: kib => `hot ${hot}, ${kib} KiB`,
  },
])

/** What the most popular of so many has of all load. */
export function hottestShare(count: number): number {
  let sum = 0
  for (let rank = 1; rank <= count; rank++) sum += 1 / rank ** ALPHA
  return 1 / sum
}
