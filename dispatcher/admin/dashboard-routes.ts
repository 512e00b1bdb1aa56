/** The paths of the admin API that the dashboard asks beside those of the command line. */
import {
  API_PATH,
  type ConnectionDetail,
  type EndReport,
  type EndRequest,
  type ForgetReport,
  type ForgetRequest,
  type ObjectsReport,
} from './api.ts'
import type { DemoReport } from './feed-messages.ts'
import { ok, parse, type Route, single } from './route.ts'
import { connectionQuery, endRequest, forgetRequest, nothing } from './validation.ts'

const TIMEOUT_MS = 10_000

/** What these paths ask of the cluster; rejections are as those of AdminBackend. */
export interface Inspector {
  /** Rejects with UNKNOWN_CONNECTION where nobody has it or has given it away. */
  inspect(connection: number): Promise<ConnectionDetail>
  objects(): Promise<ObjectsReport>
  /** Takes an object out of the memory of every node; it is read again when it is asked for. */
  forget(request: ForgetRequest): Promise<ForgetReport>
  /** Rejects with UNKNOWN_OWNER or OWNER_DOWN. */
  end(request: EndRequest): Promise<EndReport>
  /** Rejects with NOT_READY where there is no client, and BUSY while one runs. */
  startDemo(): Promise<DemoReport>
}

export function dashboardRoutes(inspector: Inspector): [string, Route][] {
  const get = (run: Route['run']): Route => ({ method: 'GET', timeoutMs: TIMEOUT_MS, run })
  const post = (run: Route['run']): Route => ({ method: 'POST', timeoutMs: TIMEOUT_MS, run })
  return [
    [
      `${API_PATH}/connection`,
      get(async ({ query }) => ok(inspector.inspect(parse(connectionQuery, single(query)).id))),
    ],
    [`${API_PATH}/objects`, get(async () => ok(inspector.objects()))],
    [`${API_PATH}/forget`, post(async ({ body }) => ok(inspector.forget(parse(forgetRequest, body))))],
    [`${API_PATH}/end`, post(async ({ body }) => ok(inspector.end(parse(endRequest, body))))],
    [
      `${API_PATH}/demo`,
      post(async ({ body }) => {
        parse(nothing, body)
        return ok(inspector.startDemo())
      }),
    ],
  ]
}
