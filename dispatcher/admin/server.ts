/**
 * The admin API as an HTTP server: routes, checks what is asked, and turns errors into answers. What the
 * cluster is and does it asks of an AdminBackend; it knows nothing of it.
 */
import assert from 'node:assert/strict'
import { createServer, type IncomingMessage, type Server, ServerResponse, STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { PolicyName } from '../placement/policy.ts'
import { checkHost, checkOrigin, checkToken } from './access.ts'
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
import { AdminError, statusOf } from './errors.ts'
import { FEED_PATH } from './feed-messages.ts'
import type { FeedServer } from './feed-server.ts'
import { type Answer, ok, parse, type Route, single } from './route.ts'
import {
  connectionsQuery,
  drainRequest,
  explainQuery,
  nodeRequest,
  policyRequest,
  shiftRequest,
} from './validation.ts'

/** Prometheus's text-based exposition format. */
const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8'
const JSON_TYPE = 'application/json; charset=utf-8'
const MAX_BODY_OCTETS = 16_384
const MAX_ADMIN_CONNECTIONS = 256
/** Requests that the backend works at; more are told to come again. */
const MAX_OPEN_REQUESTS = 64
const REQUEST_TIMEOUT_MS = 10_000
export const DEFAULT_STATUS_TIMEOUT_MS = 10_000
/** Shifting every connection of a cluster takes as long as the slowest hand-over. */
export const DEFAULT_SHIFT_TIMEOUT_MS = 60_000

/** What the server asks of the cluster. A rejection with an AdminError is answered as such, any other is INTERNAL. */
export interface AdminBackend {
  status(): Promise<StatusReport>
  connections(query: ConnectionsQuery): Promise<ConnectionsPage>
  /**
   * Rejects, with nothing changed, with UNKNOWN_OWNER, UNKNOWN_CONNECTION, OWNER_DOWN, OWNER_DRAINING or
   * OWNER_FULL; a single connection that stays where it is may also be SHIFT_REFUSED.
   */
  shift(request: ShiftRequest): Promise<ShiftReport>
  /** Rejects with CONFIG_REFUSED, with nothing changed, where an owner cannot put the configuration in force. */
  reload(): Promise<ReloadReport>
  reopen(): Promise<ReopenReport>
  /** In the text format of Prometheus. */
  metrics(): Promise<string>
  /** Begins, and answers at once. Rejects with UNKNOWN_OWNER or OWNER_DOWN. */
  drain(request: DrainRequest): Promise<DrainReport>
  /** Rejects with UNKNOWN_OWNER or NOT_DRAINING. */
  drained(node: string): Promise<DrainReport>
  /** Rejects with UNKNOWN_OWNER, NOT_DRAINING or OWNER_DOWN. */
  undrain(node: string): Promise<DrainReport>
  policy(): Promise<PolicyReport>
  /** Holds until the dispatcher ends, or is told another. */
  setPolicy(policy: PolicyName): Promise<PolicyReport>
  /** Rejects with INVALID_REQUEST, UNKNOWN_HOST or UNKNOWN_OWNER. */
  explain(query: ExplainQuery): Promise<ExplainReport>
}

export interface AdminServerOptions {
  /** What acts need. */
  readonly token: string
  /** A name, beside addresses and `localhost`, under which the port is asked. */
  readonly host?: string | undefined
  readonly statusTimeoutMs?: number
  readonly shiftTimeoutMs?: number
  /** Further paths: the dashboard's. */
  readonly more?: readonly (readonly [path: string, Route])[]
  /** Who watches; undefined: nobody may. */
  readonly feed?: FeedServer
  /** Told of every fault that is answered with INTERNAL. */
  readonly onFault?: (error: unknown) => void
}

/** A listening socket that was inherited, or where to listen; port 0 takes a free one. */
export type AdminEndpoint = { readonly fd: number } | { readonly host: string; readonly port: number }

export interface AdminServer {
  /** Resolves to host:port; rejects with the system's error. */
  listen(where: AdminEndpoint): Promise<string>
  /** Cuts what is open. Idempotent. */
  close(): Promise<void>
}

export function createAdminServer(backend: AdminBackend, options: AdminServerOptions): AdminServer {
  const routes = new Map([...routesOf(backend, options), ...(options.more ?? [])])
  let open = 0
  const server = createServer({ requestTimeout: REQUEST_TIMEOUT_MS, headersTimeout: REQUEST_TIMEOUT_MS })
  server.maxConnections = MAX_ADMIN_CONNECTIONS
  /** Connections that Node.js has let go of, so that it does not cut them; at most all there may be. */
  const released = new Set<Duplex>()
  server.on('request', async (request, response) => {
    let answer: Answer
    try {
      if (++open > MAX_OPEN_REQUESTS) throw new AdminError('BUSY', 'too many requests at once')
      answer = await answerTo(routes, options, request, response)
    } catch (error) {
      if (!(error instanceof AdminError)) options.onFault?.(error)
      answer = answerOf(error)
    } finally {
      open--
    }
    send(request, response, answer)
  })
  server.on('upgrade', (request, socket, head) => {
    if (/^websocket$/i.test(request.headers.upgrade ?? '')) upgrade(options, request, socket, head)
    else stayPlain(server, request, socket)
    released.add(socket)
    socket.once('close', () => released.delete(socket))
  })
  return {
    listen: where => listen(server, where),
    close: () => {
      options.feed?.close()
      for (const socket of released) socket.destroy()
      return close(server)
    },
  }
}

function routesOf(backend: AdminBackend, options: AdminServerOptions): ReadonlyMap<string, Route> {
  const statusTimeoutMs = options.statusTimeoutMs ?? DEFAULT_STATUS_TIMEOUT_MS
  const shiftTimeoutMs = options.shiftTimeoutMs ?? DEFAULT_SHIFT_TIMEOUT_MS
  const get = (run: Route['run']): Route => ({ method: 'GET', timeoutMs: statusTimeoutMs, run })
  const post = (run: Route['run'], timeoutMs: number): Route => ({ method: 'POST', timeoutMs, run })
  const shift: Route['run'] = async ({ body }) => ok(backend.shift(parse(shiftRequest, body)))
  const drain: Route['run'] = async ({ body }) => ok(backend.drain(parse(drainRequest, body)))
  const undrain: Route['run'] = async ({ body }) => ok(backend.undrain(parse(nodeRequest, body).node))
  const setPolicy: Route['run'] = async ({ body }) => ok(backend.setPolicy(parse(policyRequest, body).policy))
  const explain: Route['run'] = async ({ query }) => ok(backend.explain(parse(explainQuery, single(query))))
  return new Map<string, Route>([
    [`${API_PATH}/status`, get(() => ok(backend.status()))],
    [
      `${API_PATH}/connections`,
      get(async ({ query }) => ok(backend.connections(parse(connectionsQuery, single(query))))),
    ],
    [`${API_PATH}/token`, post(() => ok({ status: 'ok' }), statusTimeoutMs)],
    [`${API_PATH}/shift`, post(shift, shiftTimeoutMs)],
    [`${API_PATH}/drain`, post(drain, statusTimeoutMs)],
    [
      `${API_PATH}/drains`,
      get(async ({ query }) => ok(backend.drained(parse(nodeRequest, single(query)).node))),
    ],
    [`${API_PATH}/reload`, post(() => ok(backend.reload()), shiftTimeoutMs)],
    [`${API_PATH}/reopen`, post(() => ok(backend.reopen()), statusTimeoutMs)],
    ...['', API_PATH].flatMap((prefix): [string, Route][] => [
      [`${prefix}/healthz`, { ...get(() => ok({ status: 'ok' })), anyHost: true }],
      [`${prefix}/readyz`, { ...get(() => ok(ready(backend))), anyHost: true }],
    ]),
    [
      '/metrics',
      {
        ...get(async () => ({ status: 200, body: await backend.metrics(), type: METRICS_TYPE })),
        anyHost: true,
      },
    ],
    [`${API_PATH}/undrain`, post(undrain, statusTimeoutMs)],
    [`${API_PATH}/policies`, get(() => ok(backend.policy()))],
    [`${API_PATH}/policy`, post(setPolicy, statusTimeoutMs)],
    [`${API_PATH}/explain`, get(explain)],
  ])
}

/**
 * A server may ignore an Upgrade (RFC 9110 §7.8), as that to `h2c` of `curl --http2`. Node.js has let go of the connection by
 * then, so it ends with the response; and of a body, which comes with no act that we have a client for, nothing is read.
 */
function stayPlain(server: Server, request: IncomingMessage, socket: Duplex): void {
  socket.on('error', () => {})
  const response = new ServerResponse(request)
  response.shouldKeepAlive = false
  response.assignSocket(socket as Socket)
  response.on('finish', () => socket.end(() => socket.destroy()))
  server.emit('request', request, response)
}

/** The feed is read-only, and free to read as all else is; but not for pages of other sites. */
function upgrade(options: AdminServerOptions, request: IncomingMessage, socket: Duplex, head: Buffer): void {
  // Who asks may be gone before it is answered.
  socket.on('error', () => {})
  try {
    checkHost(request.headers, options.host)
    checkOrigin(request.headers)
    const [path = ''] = split(request.url ?? '', '?')
    if (path !== `${API_PATH}${FEED_PATH}` || options.feed === undefined) {
      throw new AdminError('NOT_FOUND', 'there is no WebSocket at this path')
    }
    options.feed.accept(request, socket, head)
  } catch (error) {
    const { status, body } = answerOf(error)
    const headers = `Content-Type: ${JSON_TYPE}\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close`
    const answer = `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${headers}\r\n\r\n${body}`
    // The server has let go of it: who does not hang up would stay, and `close` wait for it.
    socket.end(answer, () => socket.destroy())
  }
}

/** Ready means that somebody would serve a request. */
async function ready(backend: AdminBackend): Promise<{ status: string }> {
  const { owners } = await backend.status()
  if (!owners.some(owner => owner.role === 'node' && owner.state === 'up')) {
    throw new AdminError('NOT_READY', 'no node is up')
  }
  return { status: 'ready' }
}

async function answerTo(
  routes: ReadonlyMap<string, Route>,
  options: AdminServerOptions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<Answer> {
  const [path = '', search = ''] = split(request.url ?? '', '?')
  const route = routes.get(path)
  if (route?.anyHost !== true) checkHost(request.headers, options.host)
  if (route === undefined) throw new AdminError('NOT_FOUND', 'there is nothing at this path')
  const method = request.method === 'HEAD' ? 'GET' : request.method
  if (method !== route.method) {
    response.setHeader('Allow', route.method === 'GET' ? 'GET, HEAD' : route.method)
    throw new AdminError('METHOD_NOT_ALLOWED', `only ${route.method} is allowed here`)
  }
  const body = method === 'POST' ? await readAct(request, options.token) : undefined
  return withTimeout(route.run({ query: new URLSearchParams(search), body }), route.timeoutMs)
}

/**
 * The body of an act. A page of another site can make a browser post here, but not as JSON without asking
 * first, which nobody answers; and a browser always names the origin of a post.
 */
async function readAct(request: IncomingMessage, token: string): Promise<unknown> {
  checkOrigin(request.headers)
  checkToken(request.headers, token)
  if (!/^application\/json\s*(;|$)/i.test(request.headers['content-type'] ?? '')) {
    throw new AdminError('UNSUPPORTED_MEDIA_TYPE', 'the body must be application/json')
  }
  try {
    return JSON.parse(await readText(request))
  } catch (cause) {
    if (cause instanceof AdminError) throw cause
    throw new AdminError('INVALID_REQUEST', 'the body is not JSON', cause)
  }
}

async function readText(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let octets = 0
  for await (const chunk of request) {
    octets += chunk.length
    if (octets > MAX_BODY_OCTETS) {
      throw new AdminError('BODY_TOO_LARGE', `the body is larger than ${MAX_BODY_OCTETS} octets`)
    }
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}

async function withTimeout<T>(work: Promise<T>, limitMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new AdminError('TIMEOUT', `the cluster did not answer in ${limitMs} ms`)),
      limitMs,
    )
  })
  try {
    return await Promise.race([work, timeout])
  } finally {
    clearTimeout(timer)
  }
}

function answerOf(error: unknown): Answer & { readonly body: string } {
  const known = error instanceof AdminError ? error : new AdminError('INTERNAL', 'internal error')
  return { status: statusOf(known.code), body: JSON.stringify({ code: known.code, message: known.message }) }
}

function send(
  request: IncomingMessage,
  response: ServerResponse,
  { status, body, type = JSON_TYPE, headers }: Answer,
): void {
  if (response.destroyed) return
  response.writeHead(status, {
    'Content-Type': type,
    'Content-Length': Buffer.byteLength(body),
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
    ...headers,
    ...(status === 401 ? { 'WWW-Authenticate': 'Bearer' } : {}),
    // What is left of a body that was refused would be read as the next request.
    ...(request.complete ? {} : { Connection: 'close' }),
  })
  response.end(request.method === 'HEAD' ? undefined : body)
}

function listen(server: Server, where: AdminEndpoint): Promise<string> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(where, () => {
      server.off('error', reject)
      const address = server.address()
      assert(typeof address === 'object' && address !== null)
      const host = address.family === 'IPv6' ? `[${address.address}]` : address.address
      resolve(`${host}:${address.port}`)
    })
  })
}

function close(server: Server): Promise<void> {
  return new Promise(resolve => {
    server.close(() => resolve())
    server.closeAllConnections()
  })
}

function split(text: string, separator: string): string[] {
  const at = text.indexOf(separator)
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)]
}
