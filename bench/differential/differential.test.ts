import { whyNoNamespace } from '../../node/tun/test-namespace.ts'
import { whyNoCompiler } from '../kernel/program.ts'
import { type Played, Stage } from './run.ts'
import { SHAPES, scenarioOf } from './scenario.ts'
import { faultsOf } from './verdict.ts'

/** Chosen so that every shape occurs with us on either side, and every option on and off; see the first test. */
const SEEDS = [3, 6, 8, 13, 14, 16, 20, 24, 28, 29, 34, 36, 40]
const scenarios = SEEDS.map(scenarioOf)

const reason = whyNoNamespace() ?? whyNoCompiler()
const describeWithKernel = reason === undefined ? describe : describe.skip

describe('the scenarios', () => {
  it('are the same for the same seed', () => {
    expect(scenarioOf(17)).toEqual(scenarioOf(17))
  })

  it('cover both sides of every shape and option', () => {
    const sides = new Set(scenarios.map(({ shape, subject }) => `${shape} ${subject}`))
    expect(sides.size).toBe(2 * SHAPES.length)
    for (const option of ['timestamps', 'sack', 'windowScaling', 'ecn'] as const) {
      expect(new Set(scenarios.map(({ offer }) => offer[option])).size).toBe(2)
    }
    expect(scenarios.some(({ mss }) => mss === 88)).toBe(true)
    expect(scenarios.some(({ peerReceiveOctets }) => peerReceiveOctets === 2_304)).toBe(true)
    expect(scenarios.some(({ path }) => path.drop >= 0.02)).toBe(true)
  })
})

describeWithKernel(`beside the kernel's TCP${reason === undefined ? '' : ` (${reason})`}`, () => {
  let stage: Stage

  beforeAll(async () => {
    stage = await Stage.open()
  }, 20_000)

  afterAll(() => stage.close())

  it.each(scenarios.map(scenario => [scenario.seed, scenario.shape, scenario.subject, scenario] as const))(
    'SEED=%i: %s as %s: the same octets, an orderly end, no reset, no longer stall',
    async (_seed, _shape, _subject, scenario) => {
      const played: Played = await stage.play(scenario)
      expect(faultsOf(played)).toEqual([])
    },
    90_000,
  )
})
