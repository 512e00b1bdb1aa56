/** The admin API as the page asks it; the types are the server's own. */
import {
  API_PATH,
  type ConnectionDetail,
  type ConnectionsPage,
  type DrainReport,
  type EndHow,
  type EndReport,
  type ForgetReport,
  type ObjectsReport,
  type PolicyReport,
  type ShiftReport,
  type StatusReport,
} from '../../dispatcher/admin/api.ts'
import type { DemoReport } from '../../dispatcher/admin/feed-messages.ts'

export type * from '../../dispatcher/admin/api.ts'
export type * from '../../dispatcher/admin/feed-messages.ts'

const STORED = 'gyre-admin-token'

export class ApiError extends Error {
  readonly code: string

  constructor(code: string, message: string) {
    super(message)
    this.code = code
  }
}

/** It comes with the address that `gyre up` prints, and is kept for this tab alone. */
function tokenFromAddress(): string | undefined {
  const token = new URLSearchParams(location.hash.slice(1)).get('token')
  if (token === null) return sessionStorage.getItem(STORED) ?? undefined
  sessionStorage.setItem(STORED, token)
  history.replaceState(null, '', location.pathname)
  return token
}

let token = tokenFromAddress()
/** Where the page is open already, the address of the next run differs in its fragment alone, and loads nothing. */
addEventListener('hashchange', () => {
  token = tokenFromAddress()
})

export function hasToken(): boolean {
  return token !== undefined
}

/** Rejects where the server does not know it; then the page reads only, as before. */
export async function giveToken(given: string): Promise<void> {
  const before = token
  token = given
  try {
    await act('/token', {})
  } catch (error) {
    token = before
    throw error
  }
  sessionStorage.setItem(STORED, given)
}

function dropToken(): void {
  token = undefined
  sessionStorage.removeItem(STORED)
}

export const api = {
  status: () => ask<StatusReport>('/status'),
  connections: (query: Record<string, string>) =>
    ask<ConnectionsPage>(`/connections?${new URLSearchParams(query)}`),
  connection: (id: number) => ask<ConnectionDetail>(`/connection?id=${id}`),
  objects: () => ask<ObjectsReport>('/objects'),
  policies: () => ask<PolicyReport>('/policies'),
  drained: (node: number) => ask<DrainReport>(`/drains?node=${node}`),
  shift: (connection: number | 'all', to: number) => act<ShiftReport>('/shift', { connection, to: `${to}` }),
  drain: (node: number) => act<DrainReport>('/drain', { node: `${node}` }),
  undrain: (node: number) => act<DrainReport>('/undrain', { node: `${node}` }),
  forget: (path: string) => act<ForgetReport>('/forget', { path }),
  end: (node: number, how: EndHow) => act<EndReport>('/end', { node: `${node}`, how }),
  policy: (policy: string) => act<PolicyReport>('/policy', { policy }),
  demo: () => act<DemoReport>('/demo', {}),
}

function ask<T>(path: string): Promise<T> {
  return request<T>(path, {})
}

function act<T>(path: string, body: object): Promise<T> {
  const headers = {
    'content-type': 'application/json',
    ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
  }
  return request<T>(path, { method: 'POST', headers, body: JSON.stringify(body) })
}

async function request<T>(path: string, init: RequestInit): Promise<T> {
  let response: Response
  try {
    response = await fetch(`${API_PATH}${path}`, init)
  } catch {
    throw new ApiError('UNREACHABLE', 'the dispatcher does not answer')
  }
  const answer = await response.json().catch(() => undefined)
  if (response.ok && answer !== undefined) return answer as T
  if (response.status === 401) dropToken()
  const { code = 'BAD_ANSWER', message = `HTTP status ${response.status}` } = answer ?? {}
  throw new ApiError(code, message)
}
