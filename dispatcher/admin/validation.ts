/**
 * The shapes of api.ts that come from outside, as zod schemas: what a client asks of the server, and what is
 * read back of errors. Apart from api.ts, so that what only names the
 * types does not load zod.
 */
import { z } from 'zod'
import { POLICIES, type PolicyName } from '../placement/policy.ts'
import {
  type ConnectionSort,
  type ConnectionsQuery,
  DEFAULT_DRAIN_MS,
  DEFAULT_PAGE,
  type DrainRequest,
  type EndRequest,
  type ErrorReport,
  type ExplainQuery,
  type ForgetRequest,
  MAX_DRAIN_MS,
  MAX_FILTER_CHARACTERS,
  MAX_PAGE,
  MAX_TARGET_CHARACTERS,
  type ShiftRequest,
  SORTS,
} from './api.ts'

/** As of a path in the cache. */
const MAX_PATH_CHARACTERS = 8_192

const natural = z
  .string()
  // Ids of connections go up to 2^53.
  .regex(/^\d{1,16}$/, 'must be a number')
  .transform(Number)
  .refine(Number.isSafeInteger, 'must be a number')

/** From the query string; `sort` with a minus before it descends. */
export const connectionsQuery: z.ZodType<ConnectionsQuery, unknown> = z
  .strictObject({
    limit: natural.pipe(z.number().min(1).max(MAX_PAGE)).default(DEFAULT_PAGE),
    offset: natural.default(0),
    filter: z.string().max(MAX_FILTER_CHARACTERS).default(''),
    sort: z
      .string()
      .regex(/^-?[A-Za-z]+$/)
      .refine(
        text => SORTS.some(sort => sort === text.replace('-', '')),
        `must be one of ${SORTS.join(', ')}`,
      )
      .default('id'),
  })
  .transform(({ sort, ...rest }) => ({
    ...rest,
    sort: sort.replace('-', '') as ConnectionSort,
    descending: sort.startsWith('-'),
  }))

const NO_OWNER = "must be an owner's id or name"

const owner = z.union([z.int().nonnegative().transform(String), z.string().regex(/^.{1,64}$/, NO_OWNER)], {
  error: NO_OWNER,
})

export const shiftRequest: z.ZodType<ShiftRequest, unknown> = z.strictObject({
  connection: z.union([z.int().nonnegative(), z.literal('all')], {
    error: 'must be a connection id or "all"',
  }),
  to: owner,
})

export const drainRequest: z.ZodType<DrainRequest, unknown> = z.strictObject({
  node: owner,
  deadlineMs: z.int().min(0).max(MAX_DRAIN_MS).default(DEFAULT_DRAIN_MS),
})

/** A path may hold anything but what no target holds. */
export const forgetRequest: z.ZodType<ForgetRequest, unknown> = z.strictObject({
  path: z.string().min(1).max(MAX_PATH_CHARACTERS),
})

export const endRequest: z.ZodType<EndRequest, unknown> = z.strictObject({
  node: owner,
  how: z.enum(['SIGTERM', 'SIGKILL']),
})

export const connectionQuery: z.ZodType<{ readonly id: number }, unknown> = z.strictObject({ id: natural })

export const nothing: z.ZodType<object, unknown> = z.strictObject({})

export const nodeRequest: z.ZodType<{ readonly node: string }, unknown> = z.strictObject({ node: owner })

export const policyRequest: z.ZodType<{ readonly policy: PolicyName }, unknown> = z.strictObject({
  policy: z.enum(POLICIES, { error: `must be one of ${POLICIES.join(', ')}` }),
})

export const explainQuery: z.ZodType<ExplainQuery, unknown> = z.strictObject({
  target: z
    .string({ error: 'must be a path, or an http URL' })
    .max(MAX_TARGET_CHARACTERS)
    // As in a request line: neither blanks nor controls (RFC 9112 §3.2).
    .regex(/^(https?:\/\/[^\s/?#]+)?\/[\x21-\x7e]*$/i, 'must be a path, or an http URL with one'),
  from: owner.optional(),
})

export const errorReport: z.ZodType<ErrorReport> = z.object({ code: z.string(), message: z.string() })
