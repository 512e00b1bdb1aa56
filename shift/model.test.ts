/** Checks `shift.pml` with spin, and that spin finds what is wrong with the model when a part of the protocol is missing. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const MODEL = join(__dirname, 'shift.pml')
/** Steps deep; a search that reaches it says so and counts as failed. */
const MAX_DEPTH = 10_000
/** The logarithm of the slots in the table of states: 32 MiB. */
const TABLE_BITS = 22

let folder = ''
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'gyre-model-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

function run(command: string, ...args: string[]): string {
  return execFileSync(command, args, { cwd: folder, encoding: 'utf8', stdio: 'pipe', timeout: 240_000 })
}

interface Verdict {
  readonly errors: number
  readonly states: number
  /** Something that an owner may decide never comes to pass. */
  readonly isDead: boolean
  readonly violated: string | undefined
}

/** Searches every state there is; where a few are enough, compiling is what takes time. */
function check(definitions: readonly string[], optimisation: '-O0' | '-O1'): Verdict {
  run('spin', '-a', ...definitions.map(definition => `-D${definition}`), MODEL)
  // There is no step that others could wait for: nothing to reduce.
  run('gcc', optimisation, '-w', '-DSAFETY', '-DNOREDUCE', '-o', 'pan', 'pan.c')
  const said = run('./pan', `-m${MAX_DEPTH}`, `-w${TABLE_BITS}`)
  expect(said).not.toContain('max search depth too small')
  return {
    errors: Number(/errors: (\d+)/.exec(said)?.[1]),
    states: Number(/(\d+) states, stored/.exec(said)?.[1]),
    isDead: !/unreached in proctype Alone\n\t.*"-end-"\n/.test(said),
    violated: /assertion violated \(?(.*?)\)? \(at depth/.exec(said)?.[1],
  }
}

describe('the model of the shift protocol', () => {
  it.each([
    ['three owners that move a connection twice, and crash', ['EPOCHS=2', 'CRASHES=1'], 25_000],
    ['two owners that move it three times, and crash twice', ['OWNERS=2', 'EPOCHS=3', 'CRASHES=2'], 100_000],
    ['three owners that move it three times, A→B→C→A too', ['EPOCHS=3', 'CRASHES=0'], 500_000],
  ])(
    'holds for %s',
    (_what, definitions, atLeast) => {
      const verdict = check(definitions, '-O1')
      const isDead = definitions.includes('CRASHES=0')
      expect(verdict).toMatchObject({ errors: 0, violated: undefined, isDead })
      expect(verdict.states).toBeGreaterThan(atLeast)
    },
    300_000,
  )

  it.each([
    ['WITHOUT_STAGE', 'a refusal says of what', /owners<=1/],
    ['WITHOUT_EPOCHS', 'the epochs of what has ended are remembered', /ended/],
    ['WITHOUT_REFUSALS', 'an epoch that was refused is remembered as such', /owners|owns/],
    ['WITHOUT_LIFETIMES', 'tombstones outlive the messages of their epochs', /ended|owners/],
    ['WITHOUT_INCARNATIONS', 'messages of an earlier run of a process count no more', /ended|owners/],
  ])(
    '%s: needs that %s',
    (definition, _why, violated) => {
      const verdict = check([definition], '-O0')
      expect(verdict.errors).toBe(1)
      expect(verdict.violated).toMatch(violated)
    },
    300_000,
  )
})
