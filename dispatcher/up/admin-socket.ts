/**
 * The listening socket of the admin interface. The dispatcher lives in a namespace where nobody else is, so whoever
 * starts it opens the socket in the root namespace and passes the descriptor on.
 */
import { createServer, type Server } from 'node:net'
import { formatEndpoint } from '../flags.ts'
import type { Endpoint } from '../options.ts'
import { UpError } from './errors.ts'

export interface AdminSocket {
  readonly fd: number
  readonly endpoint: Endpoint
}

/**
 * Opens the socket, calls `use` in the same turn of the event loop, so that no connection is accepted here, and closes
 * it; descriptors that were inherited meanwhile go on listening. Port 0 takes a free one. Rejects with an UpError.
 */
export function withAdminSocket<T>(endpoint: Endpoint, use: (socket: AdminSocket) => T): Promise<T> {
  return new Promise((resolve, reject) => {
    const server = createServer(socket => socket.destroy())
    server.once('error', (cause: NodeJS.ErrnoException) => reject(errorOf(endpoint, cause)))
    server.listen(endpoint.port, endpoint.host, () => {
      try {
        resolve(use(socketOf(server, endpoint)))
      } catch (error) {
        reject(error)
      } finally {
        server.close()
      }
    })
  })
}

function socketOf(server: Server, { host }: Endpoint): AdminSocket {
  const address = server.address()
  // There is no public way to the descriptor; libuv's handle has had this one since the first versions.
  const fd = (server as unknown as { _handle?: { fd?: number } })._handle?.fd
  if (fd === undefined || fd < 0 || address === null || typeof address === 'string') {
    throw new UpError('ADMIN_IN_USE', 'the admin socket has no descriptor')
  }
  return { fd, endpoint: { host, port: address.port } }
}

function errorOf({ host, port }: Endpoint, cause: NodeJS.ErrnoException): UpError {
  const where = formatEndpoint({ host, port })
  if (cause.code === 'EADDRINUSE') {
    return new UpError(
      'ADMIN_IN_USE',
      `the admin port ${where} is in use; choose another with --admin`,
      cause,
    )
  }
  return new UpError('BAD_FLAG', `--admin ${where} cannot be listened on: ${cause.message}`, cause)
}
