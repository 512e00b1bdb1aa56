/** The committed unit files of systemd, read as a test needs them: what they start, and which rights they leave. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { REPOSITORY } from '../local-cluster.ts'

export const DEPLOY = join(REPOSITORY, 'dispatcher', 'deploy')

export interface Unit {
  /** By the key; what is said more than once, one behind the other. */
  readonly values: Readonly<Record<string, readonly string[]>>
  /** The command line of ExecStart, the instance and the environment put in. */
  command(instance: string, environment: Readonly<Record<string, string>>): string[]
}

export function readUnit(file: string): Unit {
  const values: Record<string, string[]> = {}
  for (const line of linesOf(file)) {
    const [, key, value] = /^(\w+)=(.*)$/.exec(line) ?? []
    if (key === undefined || value === undefined) continue
    values[key] = [...(values[key] ?? []), value]
  }
  const [start = ''] = values.ExecStart ?? []
  return {
    values,
    command: (instance, environment) =>
      start
        .replaceAll('%i', instance)
        .split(' ')
        .map(word =>
          word.replace(/^\$\{(\w+)\}$/, (_, name) => environment[name] ?? `no ${name} in ${file}`),
        ),
  }
}

/** An example of an environment file. */
export function readEnvironment(file: string): Record<string, string> {
  return Object.fromEntries(
    linesOf(file)
      .filter(line => /^\w+=/.test(line))
      .map(line => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  )
}

function linesOf(file: string): string[] {
  return readFileSync(join(DEPLOY, file), 'utf8').split('\n')
}
