/** What a path of the admin API is: how it may be asked, what it does, and how its input is checked. */
import type { z } from 'zod'
import { AdminError } from './errors.ts'

export interface Route {
  readonly method: 'GET' | 'POST'
  /** Also for who asks by any name: what machines ask for, and no page gains by. */
  readonly anyHost?: true
  readonly timeoutMs: number
  readonly run: (input: Input) => Promise<Answer>
}

export interface Input {
  readonly query: URLSearchParams
  /** Parsed JSON; undefined for a GET. */
  readonly body: unknown
}

export interface Answer {
  readonly status: number
  readonly body: string | Buffer
  /** Default: JSON. */
  readonly type?: string
  readonly headers?: Readonly<Record<string, string>>
}

export async function ok(body: Promise<unknown> | unknown): Promise<Answer> {
  return { status: 200, body: JSON.stringify(await body) }
}

/** What `schema` makes of the input. Throws INVALID_REQUEST with the field that is wrong. */
export function parse<T>(schema: z.ZodType<T, unknown>, input: unknown): T {
  const result = schema.safeParse(input)
  if (result.success) return result.data
  const [issue] = result.error.issues
  const where = issue?.path.join('.') ?? ''
  throw new AdminError('INVALID_REQUEST', `${where === '' ? '' : `${where}: `}${issue?.message ?? 'invalid'}`)
}

/** The fields of a query, each once. */
export function single(query: URLSearchParams): Record<string, string> {
  const fields: Record<string, string> = Object.create(null)
  for (const [name, value] of query) {
    if (Object.hasOwn(fields, name)) throw new AdminError('INVALID_REQUEST', `${name} is given twice`)
    fields[name] = value
  }
  return fields
}
