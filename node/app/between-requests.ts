/** When the connection of an HTTP server of Node.js may move: the parser of `node:http` cannot, so only with nothing in it. */
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Export } from './shiftable-socket.ts'

const HEAD_END = '\r\n\r\n'

interface Exchanges {
  readonly unanswered: Set<ServerResponse>
  hasBody: boolean
  /** The last octets that the parser was given. */
  tail: string
  readonly given: (octets: Buffer) => void
}

/**
 * The `export` of the sockets that are given to `server` by its event `connection`, here and after a shift: null between two
 * requests, undefined (NOT_NOW) while one is read or answered. Behind a request with a body nobody knows whether the parser
 * has the start of another one: such a connection waits for its next request without. Upgraded ones are not its business.
 */
export function betweenRequests(server: Server): Export {
  const all = new WeakMap<object, Exchanges>()
  server.prependListener('connection', socket => {
    const given = (octets: Buffer) => {
      const last = octets.toString('latin1', Math.max(0, octets.length - HEAD_END.length))
      exchanges.tail = (exchanges.tail + last).slice(-HEAD_END.length)
    }
    const exchanges: Exchanges = { unanswered: new Set(), hasBody: false, tail: '', given }
    all.set(socket, exchanges)
    socket.prependListener('data', given)
    // What the server at the former node has set, this one would not take back at the next request.
    socket.setTimeout(server.timeout)
  })
  const begun = ({ headers, socket }: IncomingMessage, response: ServerResponse) => {
    const exchanges = all.get(socket)
    if (exchanges === undefined) return
    const length = headers['content-length'] ?? '0'
    exchanges.hasBody = length !== '0' || headers['transfer-encoding'] !== undefined
    exchanges.unanswered.add(response)
    response.once('close', () => exchanges.unanswered.delete(response))
  }
  for (const event of ['request', 'checkContinue', 'checkExpectation']) server.prependListener(event, begun)
  for (const event of ['upgrade', 'connect']) {
    server.prependListener(event, (_request: IncomingMessage, socket: Duplex) => {
      const exchanges = all.get(socket)
      if (exchanges !== undefined) socket.off('data', exchanges.given)
      all.delete(socket)
    })
  }
  return socket => {
    const exchanges = all.get(socket)
    if (exchanges === undefined || exchanges.unanswered.size > 0) return undefined
    const isClean = exchanges.tail === '' || (exchanges.tail === HEAD_END && !exchanges.hasBody)
    return isClean ? null : undefined
  }
}
