/**
 * Who may ask the admin port, and who may act: pages of other sites may do neither, and acts need the token. It decides by
 * the head of a request and knows no route.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import { isIP } from 'node:net'
import { AdminError } from './errors.ts'

/** Short enough for a line of a terminal, and nobody guesses 192 bits. */
const TOKEN_OCTETS = 24
/** What may stand in a field and in a URL; a token of somebody's choice has 16 characters or more. */
export const TOKEN = /^[A-Za-z0-9._~-]{16,256}$/

/** In the run folder of a cluster, beside `up.json`, for root alone. */
export const TOKEN_FILE = 'admin-token'

export function createToken(): string {
  return randomBytes(TOKEN_OCTETS).toString('base64url')
}

/**
 * A name that anybody can have may be made to point here (DNS rebinding), and then a page of that name would be of our
 * origin. An address, or `localhost`, is never such a name; `own` is how the operator called this port.
 */
export function checkHost(headers: IncomingHttpHeaders, own: string | undefined): void {
  const host = hostOf(headers.host ?? '')
  if (isIP(host) !== 0 || host === 'localhost' || host.endsWith('.localhost') || host === own) return
  throw new AdminError('FORBIDDEN_HOST', 'the admin port is asked by its address, or as localhost')
}

/** A browser names the origin of every POST and of every WebSocket. */
export function checkOrigin({ origin, host }: IncomingHttpHeaders): void {
  if (origin === undefined || origin === `http://${host}`) return
  throw new AdminError('FORBIDDEN_ORIGIN', 'acts are not taken from other origins')
}

/** Compares digests, so that the time it takes says nothing of the token (nor of its length). */
export function checkToken({ authorization }: IncomingHttpHeaders, token: string): void {
  const given = /^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1]
  if (given === undefined) {
    throw new AdminError(
      'UNAUTHORIZED',
      'acts need the admin token, as gyre up printed it: --admin-token or GYRE_ADMIN_TOKEN',
    )
  }
  if (!timingSafeEqual(digest(given), digest(token))) {
    throw new AdminError('UNAUTHORIZED', 'the admin token is wrong')
  }
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}

/** Without port and brackets. */
function hostOf(authority: string): string {
  return (/^\[([^\]]*)\](?::\d*)?$/.exec(authority)?.[1] ?? authority.replace(/:\d*$/, '')).toLowerCase()
}
