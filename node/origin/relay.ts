/**
 * Connections to origins from where there is no route to them: through a relay on a Unix socket, which network namespaces do
 * not part. It is told host and port in one line, and answers with one octet when the connection stands. `gyre up` has one.
 */
import { connect, type Socket } from 'node:net'
import { buildConnector } from 'undici'

/** What a relay says when it is connected. */
export const RELAY_READY = 0x2b
/** The environment of a node whose origins are reached through a relay: its socket. */
export const RELAY_VARIABLE = 'GYRE_ORIGIN_RELAY'

/** As undici wants it; TLS, where the origin has it, begins here and goes through the relay unread. */
export function relayConnector(socketPath: string, timeoutMs: number): buildConnector.connector {
  const secure = buildConnector({ timeout: timeoutMs })
  return (options, callback) => {
    const socket = connect(socketPath)
    const fail = (code: string, message: string) => {
      clearTimeout(timer)
      socket.destroy()
      callback(Object.assign(new Error(message), { code }), null)
    }
    const ended = () => fail('ECONNREFUSED', `the relay cannot connect to ${options.hostname}`)
    const timer = setTimeout(
      () => fail('UND_ERR_CONNECT_TIMEOUT', `no connection to ${options.hostname} in ${timeoutMs} ms`),
      timeoutMs,
    )
    socket.once('error', ended)
    socket.once('end', ended)
    socket.once('readable', () => {
      const octet = socket.read(1) as Uint8Array | null
      if (octet === null || octet[0] !== RELAY_READY) return
      clearTimeout(timer)
      socket.off('error', ended)
      socket.off('end', ended)
      if (options.protocol === 'https:') secure({ ...options, httpSocket: socket }, callback)
      else callback(null, settled(socket))
    })
    const port = options.port === '' ? (options.protocol === 'https:' ? '443' : '80') : options.port
    socket.write(`${options.hostname} ${port}\n`)
  }
}

/** As undici's own connections are. */
function settled(socket: Socket): Socket {
  socket.setKeepAlive(true, 60_000)
  return socket
}
