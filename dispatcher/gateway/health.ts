/**
 * What those ask who announce the virtual addresses for a gateway (keepalived, a BGP speaker): whether its process runs, and
 * whether it steers. Two paths of HTTP, and nothing of the cluster's is told.
 */
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Endpoint } from '../options.ts'

/** A tracker or two ask once a second. */
const MAX_CONNECTIONS = 64
const REQUEST_TIMEOUT_MS = 5_000

export class GatewayHealth {
  readonly #server: Server

  /** `fault`: why no clients should be sent here, or undefined. */
  constructor(fault: () => string | undefined) {
    this.#server = createServer(
      { requestTimeout: REQUEST_TIMEOUT_MS, headersTimeout: REQUEST_TIMEOUT_MS },
      ({ url }, response) => {
        const why = url === '/readyz' ? fault() : undefined
        const isKnown = url === '/readyz' || url === '/healthz'
        response.statusCode = !isKnown ? 404 : why === undefined ? 200 : 503
        response.setHeader('Content-Type', 'text/plain; charset=utf-8')
        response.setHeader('Connection', 'close')
        response.end(`${isKnown ? (why ?? 'ok') : 'not found'}\n`)
      },
    )
    this.#server.maxConnections = MAX_CONNECTIONS
  }

  /** Resolves to the port; rejects with the system's error. */
  listen({ host, port }: Endpoint): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen(port, host, () => resolve((this.#server.address() as AddressInfo).port))
    })
  }

  /** Cuts what is open. Idempotent. */
  close(): void {
    this.#server.close()
    this.#server.closeAllConnections()
  }
}
