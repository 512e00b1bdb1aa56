/**
 * The admin API from the outside, as the command line uses it: finds the admin address of a cluster on this
 * machine, asks, and throws the server's errors again as AdminErrors.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Client, type Dispatcher, errors } from 'undici'
import { z } from 'zod'
import type { PolicyName } from '../placement/policy.ts'
import { TOKEN_FILE } from './access.ts'
import {
  API_PATH,
  type ConnectionsPage,
  type ConnectionsQuery,
  type DrainReport,
  type DrainRequest,
  type ExplainQuery,
  type ExplainReport,
  type PolicyReport,
  type ReloadReport,
  type ReopenReport,
  type ShiftReport,
  type ShiftRequest,
  type StatusReport,
} from './api.ts'
import { AdminError, isAdminErrorCode } from './errors.ts'
import { errorReport } from './validation.ts'

/** Holds a directory for each cluster that runs on this machine, with `up.json` in it. */
export const RUN_DIRECTORY = '/run/gyre'

const CONNECT_TIMEOUT_MS = 3000
/** Longer than any time-out of the server. */
const ANSWER_TIMEOUT_MS = 90_000
const MAX_ANSWER_OCTETS = 64 * 1024 * 1024
const NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/

const upFile = z.object({ admin: z.string().min(1) })

export interface AdminLocation {
  readonly name: string
  /** host:port; found by `name` if undefined. */
  readonly admin?: string | undefined
  readonly runDirectory?: string
}

/** host:port of a cluster's admin API. Throws CLUSTER_NOT_RUNNING. */
export async function findAdmin(location: AdminLocation): Promise<string> {
  const { name, admin, runDirectory = RUN_DIRECTORY } = location
  if (admin !== undefined) return admin
  if (!NAME.test(name)) throw new AdminError('INVALID_REQUEST', `"${name}" is no name of a cluster`)
  const path = join(runDirectory, name, 'up.json')
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (cause) {
    const missing = (cause as NodeJS.ErrnoException).code === 'ENOENT'
    const message = missing ? `cluster "${name}" is not running` : `cannot read ${path}: ${messageOf(cause)}`
    throw new AdminError('CLUSTER_NOT_RUNNING', message, cause)
  }
  const parsed = upFile.safeParse(parseJson(text))
  if (!parsed.success) throw new AdminError('CLUSTER_NOT_RUNNING', `${path} names no admin address`)
  return parsed.data.admin
}

/** The admin token, where the caller may know it: given, or in the run folder of the cluster at that address. */
export async function findToken(
  location: AdminLocation & { readonly token?: string },
): Promise<string | undefined> {
  const { name, admin, token, runDirectory = RUN_DIRECTORY } = location
  if (token !== undefined) return token
  if (!NAME.test(name)) return undefined
  try {
    // A token is not told to another address than the one it is for.
    if (admin !== undefined && admin !== (await findAdmin({ name, runDirectory }))) return undefined
    return (await readFile(join(runDirectory, name, TOKEN_FILE), 'utf8')).trim()
  } catch {
    // Not root, or no cluster here: reading needs none, and an act will be told that it does.
    return undefined
  }
}

export class AdminClient {
  private readonly address: string
  private readonly token: string | undefined
  private readonly client: Client

  /** `address` is host:port, an IPv6 host in brackets; `token` is needed for acts. Throws INVALID_REQUEST. */
  constructor(address: string, token?: string) {
    this.address = address
    this.token = token
    try {
      this.client = new Client(`http://${address}`, {
        connect: { timeout: CONNECT_TIMEOUT_MS },
        headersTimeout: ANSWER_TIMEOUT_MS,
        bodyTimeout: ANSWER_TIMEOUT_MS,
        maxResponseSize: MAX_ANSWER_OCTETS,
      })
    } catch (cause) {
      throw new AdminError('INVALID_REQUEST', `"${address}" is no HOST:PORT`, cause)
    }
  }

  status(): Promise<StatusReport> {
    return this.ask<StatusReport>('GET', '/status')
  }

  connections(query: Partial<ConnectionsQuery> = {}): Promise<ConnectionsPage> {
    const { sort, descending = false, ...rest } = query
    const search = new URLSearchParams()
    for (const [name, value] of Object.entries(rest)) search.set(name, String(value))
    if (sort !== undefined) search.set('sort', `${descending ? '-' : ''}${sort}`)
    return this.ask<ConnectionsPage>('GET', `/connections?${search}`)
  }

  shift(request: ShiftRequest): Promise<ShiftReport> {
    return this.ask<ShiftReport>('POST', '/shift', request)
  }

  reload(): Promise<ReloadReport> {
    return this.ask<ReloadReport>('POST', '/reload', {})
  }

  reopen(): Promise<ReopenReport> {
    return this.ask<ReopenReport>('POST', '/reopen', {})
  }

  drain(request: DrainRequest): Promise<DrainReport> {
    return this.ask<DrainReport>('POST', '/drain', request)
  }

  drained(node: string): Promise<DrainReport> {
    return this.ask<DrainReport>('GET', `/drains?${new URLSearchParams({ node })}`)
  }

  undrain(node: string): Promise<DrainReport> {
    return this.ask<DrainReport>('POST', '/undrain', { node })
  }

  policy(): Promise<PolicyReport> {
    return this.ask<PolicyReport>('GET', '/policies')
  }

  setPolicy(policy: PolicyName): Promise<PolicyReport> {
    return this.ask<PolicyReport>('POST', '/policy', { policy })
  }

  explain({ target, from }: ExplainQuery): Promise<ExplainReport> {
    const search = new URLSearchParams(from === undefined ? { target } : { target, from })
    return this.ask<ExplainReport>('GET', `/explain?${search}`)
  }

  /** Without it the process lives on for as long as the connection. */
  async close(): Promise<void> {
    await this.client.destroy()
  }

  private async ask<T>(method: 'GET' | 'POST', path: string, body?: unknown): Promise<T> {
    const options: Dispatcher.RequestOptions = { method, path: `${API_PATH}${path}` }
    if (body !== undefined) {
      const authorization = this.token === undefined ? {} : { authorization: `Bearer ${this.token}` }
      options.headers = { 'content-type': 'application/json', ...authorization }
      options.body = JSON.stringify(body)
    }
    let status: number
    let text: string
    try {
      const response = await this.client.request(options)
      status = response.statusCode
      text = await response.body.text()
    } catch (cause) {
      throw this.failure(cause)
    }
    const answer = parseJson(text)
    // The path names the version, and within one the server's word is good.
    if (status === 200 && typeof answer === 'object' && answer !== null) return answer as T
    throw this.refusal(status, answer)
  }

  private refusal(status: number, answer: unknown): AdminError {
    const { success, data } = errorReport.safeParse(answer)
    if (success && isAdminErrorCode(data.code)) return new AdminError(data.code, data.message)
    if (success) return new AdminError('BAD_ANSWER', `${data.code}: ${data.message}`)
    return new AdminError('BAD_ANSWER', `${this.address} is no admin port of gyre (HTTP status ${status})`)
  }

  private failure(cause: unknown): AdminError {
    if (cause instanceof errors.HeadersTimeoutError || cause instanceof errors.BodyTimeoutError) {
      return new AdminError('TIMEOUT', `${this.address} does not answer`, cause)
    }
    return new AdminError('ADMIN_UNREACHABLE', `cannot reach ${this.address}: ${messageOf(cause)}`, cause)
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** One line, also of an error that only holds others (Node tries all addresses of a name). */
function messageOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return messageOf(error.errors[0])
  return error instanceof Error ? error.message : String(error)
}
