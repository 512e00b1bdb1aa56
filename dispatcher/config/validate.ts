/**
 * Checks what a configuration file holds and says everything that is wrong with it, each issue by the path of its key. It
 * reads no file.
 */
import { distance } from 'fastest-levenshtein'
import type { z } from 'zod'
import { livenessFault } from '../liveness-settings.ts'
import type { ConfigIssue } from './errors.ts'
import { normaliseHost } from './host-name.ts'
import { type Config, configSchema } from './schema.ts'
import { SITE_SHAPE } from './site-schema.ts'

/** A key this far from a known one is a slip of the pen. */
const MAX_SLIPS = 3
/** Told of one file; the rest is told when these are mended. */
export const MAX_ISSUES = 100

export type Validation = { readonly config: Config } | { readonly issues: readonly ConfigIssue[] }

/** `value`: what the file exports. */
export function validateConfig(value: unknown): Validation {
  const result = configSchema.safeParse(value)
  const issues = result.success
    ? contradictions(result.data)
    : result.error.issues.flatMap(issue => issuesOf(issue, value))
  if (issues.length > 0) return { issues: issues.slice(0, MAX_ISSUES) }
  return { config: result.data as Config }
}

const BOTH = 'a site has either a root or an origin, not both'

/** What only the whole tells. */
function contradictions({ root, origin, sites = {}, aliases = [], liveness = {} }: Config): ConfigIssue[] {
  const issues: ConfigIssue[] = []
  const fault = livenessFault(liveness)
  if (fault !== undefined) issues.push({ path: 'liveness.suspectAfter', message: fault })
  if (root !== undefined && origin !== undefined) issues.push({ path: 'origin', message: BOTH })
  const holders = new Map<string, string>()
  const claim = (host: string, path: string) => {
    const holder = holders.get(host)
    if (holder === undefined) holders.set(host, path)
    else issues.push({ path, message: `${host} is a host of ${holder} already` })
  }
  aliases.forEach((alias, index) => {
    claim(alias, `aliases[${index}]`)
  })
  for (const [name, site] of Object.entries(sites)) {
    const path = pathOf(['sites', name])
    claim(normaliseHost(name) as string, path)
    site.aliases?.forEach((alias, index) => {
      claim(alias, `${path}.aliases[${index}]`)
    })
    if (site.root === undefined && site.origin === undefined)
      issues.push({ path: `${path}.root`, message: 'expected a folder, found nothing' })
    if (site.root !== undefined && site.origin !== undefined)
      issues.push({ path: `${path}.origin`, message: BOTH })
  }
  return issues
}

function issuesOf(issue: z.core.$ZodIssue, value: unknown): ConfigIssue[] {
  const path = pathOf(issue.path)
  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.keys.map(key => unknownKey(issue.path, key))
    case 'invalid_key':
      return [{ path, message: issue.issues[0]?.message ?? issue.message }]
    default:
      return [{ path, message: `${issue.message}${foundText(at(value, issue.path))}` }]
  }
}

/** What the file says there, before anything was made of it. */
function at(value: unknown, path: readonly PropertyKey[]): unknown {
  let inner = value
  for (const key of path) inner = (inner as Record<PropertyKey, unknown> | null | undefined)?.[key]
  return inner
}

function foundText(value: unknown): string {
  switch (typeof value) {
    case 'undefined':
      return ''
    case 'string':
    case 'number':
    case 'boolean':
      return `, found ${JSON.stringify(value)}`
    default:
      return `, found ${value === null ? 'null' : Array.isArray(value) ? 'a list' : `a ${typeof value}`}`
  }
}

function unknownKey(path: readonly PropertyKey[], key: string): ConfigIssue {
  const known = Object.keys(path.length === 0 ? configSchema.shape : keysAt(path))
  const nearest = known
    .map(name => ({ name, slips: distance(name.toLowerCase(), key.toLowerCase()) }))
    .sort((a, b) => a.slips - b.slips)[0]
  const hint =
    nearest !== undefined && nearest.slips <= Math.min(MAX_SLIPS, Math.ceil(key.length / 2))
      ? `did you mean ${nearest.name}?`
      : known.length === 0
        ? ''
        : `known here: ${known.join(', ')}`
  return { path: pathOf([...path, key]), message: `unknown setting${hint === '' ? '' : `; ${hint}`}` }
}

/** The settings of the group at a path below the top: a site's, or those of a group of either. */
function keysAt(path: readonly PropertyKey[]): object {
  const inSite = path[0] === 'sites'
  let shape: Record<string, unknown> = inSite ? SITE_SHAPE : configSchema.shape
  for (const key of path.slice(inSite ? 2 : 0)) shape = shapeOf(shape[String(key)])
  return shape
}

/** The shape of a group's schema, whatever wraps it. */
export function shapeOf(schema: unknown): Record<string, unknown> {
  let inner = schema as { shape?: Record<string, unknown>; unwrap?: () => unknown } | undefined
  while (inner?.shape === undefined && inner?.unwrap !== undefined) inner = inner.unwrap() as typeof inner
  return inner?.shape ?? {}
}

/** `sites["example.org"].aliases[0]`. */
function pathOf(path: readonly PropertyKey[]): string {
  let text = ''
  for (const key of path) {
    if (typeof key === 'number') text += `[${key}]`
    else if (/^[A-Za-z_$][\w$]*$/.test(String(key))) text += text === '' ? String(key) : `.${String(key)}`
    else text += `[${JSON.stringify(String(key))}]`
  }
  return text
}
