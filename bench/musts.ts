/**
 * `npm run musts`: the list of RFC 9293's requirements with what holds each: the tests whose titles name its number, or
 * why there is none. The titles are read out of the sources, so the list cannot promise what no test checks.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { REQUIREMENTS, type Requirement } from './requirements.ts'

/** Folders with tests of what RFC 9293 asks for. */
const FOLDERS = ['node', 'dispatcher', 'bench']
const NUMBER = /\b(?:MUST|SHLD)-\d+\b/g
/** A string literal of one line, or what stands between `${…}` of a template; tests' titles are such. */
const LITERAL = /'((?:[^'\\\n]|\\.)*)'|"((?:[^"\\\n]|\\.)*)"|`([^`]*)`/g

export interface NamedTest {
  readonly file: string
  readonly title: string
}

export interface Standing {
  readonly requirement: Requirement
  readonly standing: 'held' | 'not applicable' | 'otherwise' | 'untested'
  readonly tests: readonly NamedTest[]
}

function testFiles(root: string, folder: string): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap(entry => {
    const path = join(folder, entry.name)
    if (entry.isDirectory())
      return entry.name === 'node_modules' || entry.name === 'build' ? [] : testFiles(root, path)
    return entry.name.endsWith('.test.ts') ? [path] : []
  })
}

/** Tests by the numbers in their titles; `root` is the repository. */
export function namedTests(root: string): Map<string, NamedTest[]> {
  const tests = new Map<string, NamedTest[]>()
  for (const file of FOLDERS.flatMap(folder => testFiles(root, folder))) {
    const source = readFileSync(join(root, file), 'utf8').replace(/^\s*(?:\/\/|\/?\*).*$/gm, '')
    for (const literal of source.matchAll(LITERAL)) {
      const title = literal[1] ?? literal[2] ?? literal[3] ?? ''
      for (const number of new Set(title.match(NUMBER) ?? [])) {
        const named = tests.get(number) ?? []
        if (!named.some(test => test.file === file && test.title === title)) named.push({ file, title })
        tests.set(number, named)
      }
    }
  }
  return tests
}

/** How each requirement stands; numbers in titles that are none of the RFC's come as `unknown`. */
export function standings(root: string): { standings: Standing[]; unknown: string[] } {
  const tests = namedTests(root)
  const known = new Set(REQUIREMENTS.map(({ number }) => number))
  return {
    standings: REQUIREMENTS.map(requirement => standing(requirement, tests.get(requirement.number) ?? [])),
    unknown: [...tests.keys()].filter(number => !known.has(number)),
  }
}

function standing(requirement: Requirement, tests: readonly NamedTest[]): Standing {
  if (requirement.notApplicable !== undefined) return { requirement, standing: 'not applicable', tests }
  if (requirement.otherwise !== undefined) return { requirement, standing: 'otherwise', tests }
  return { requirement, standing: tests.length > 0 ? 'held' : 'untested', tests }
}

/** Prints the list; `json` for programs. */
export function musts({ json }: { json: boolean }): void {
  const { standings: all, unknown } = standings(process.cwd())
  if (json) {
    process.stdout.write(`${JSON.stringify({ requirements: all, unknown })}\n`)
    return
  }
  for (const { requirement, standing: is, tests } of all) {
    process.stdout.write(
      `${requirement.number.padEnd(8)} §${requirement.section.padEnd(10)} ${is.padEnd(15)} ${requirement.text}\n`,
    )
    const reason = requirement.notApplicable ?? requirement.otherwise
    if (reason !== undefined) process.stdout.write(`${' '.repeat(21)}${reason}\n`)
    for (const { file, title } of tests) process.stdout.write(`${' '.repeat(21)}${file}: ${title}\n`)
  }
  const count = (is: Standing['standing']) => all.filter(one => one.standing === is).length
  process.stdout.write(
    `${all.length} requirements: ${count('held')} held, ${count('not applicable')} not applicable, ` +
      `${count('otherwise')} otherwise, ${count('untested')} untested\n`,
  )
  if (count('untested') > 0 || unknown.length > 0) process.exitCode = 1
}
