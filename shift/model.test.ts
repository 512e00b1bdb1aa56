/** Checks `shift.pml` with spin, and that spin finds what is wrong with the model when a part of the protocol is missing. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const MODEL = join(__dirname, 'shift.pml')
/** Steps deep; a search that reaches it says so and counts as failed. */
const MAX_DEPTH = 1_000_000

let folder = ''
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'gyre-model-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

function run(command: string, ...args: string[]): string {
  return execFileSync(command, args, { cwd: folder, encoding: 'utf8', stdio: 'pipe', timeout: 60_000 })
}

interface Verdict {
  readonly errors: number
  readonly states: number
  readonly violated: string | undefined
}

/** Searches every state there is. */
function check(...definitions: string[]): Verdict {
  run('spin', '-a', ...definitions.map(definition => `-D${definition}`), MODEL)
  run('gcc', '-O1', '-w', '-DSAFETY', '-o', 'pan', 'pan.c')
  const said = run('./pan', `-m${MAX_DEPTH}`)
  expect(said).not.toContain('max search depth too small')
  return {
    errors: Number(/errors: (\d+)/.exec(said)?.[1]),
    states: Number(/(\d+) states, stored/.exec(said)?.[1]),
    violated: /assertion violated \(?(.*?)\)? \(at depth/.exec(said)?.[1],
  }
}

describe('the model of the shift protocol', () => {
  it.each([
    ['three owners that move a connection twice', ['OWNERS=3', 'EPOCHS=2'], 5_000],
    ['two owners that move it three times, and crash twice', ['OWNERS=2', 'EPOCHS=3', 'CRASHES=2'], 5_000],
  ])(
    'holds for %s',
    (_what, definitions, atLeast) => {
      const verdict = check(...definitions)
      expect(verdict).toMatchObject({ errors: 0, violated: undefined })
      expect(verdict.states).toBeGreaterThan(atLeast)
    },
    120_000,
  )

  it.each([
    ['WITHOUT_STAGE', 'a refusal says of what', /owners<=1/],
    ['WITHOUT_EPOCHS', 'the epochs of what has ended are remembered', /ended/],
    ['WITHOUT_INCARNATIONS', 'messages of an earlier run of a process count no more', /ended|owners/],
  ])(
    '%s: needs that %s',
    (definition, _why, violated) => {
      const verdict = check(definition)
      expect(verdict.errors).toBe(1)
      expect(verdict.violated).toMatch(violated)
    },
    120_000,
  )
})
