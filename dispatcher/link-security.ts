/**
 * How a role's control links are secured: by the keys of a file, or not at all where its options say that nobody else
 * reaches them. Without either it does not start, unless its links stay on this machine.
 */
import { readFile, stat } from 'node:fs/promises'
import { type LinkKeys, parseLinkKeys } from '../node/control/link-keys.ts'
import type { Endpoint, RoleOptions } from './options.ts'

/** Anybody else's reading or writing. */
const OTHERS = 0o077
/** A few keys and comments. */
const MAX_KEY_FILE_OCTETS = 65_536

export type LinkSecurityCode = 'KEY_UNREADABLE' | 'KEY_INVALID' | 'KEY_EXPOSED' | 'LINKS_UNPROTECTED'

export class LinkSecurityError extends Error {
  readonly code: LinkSecurityCode

  constructor(code: LinkSecurityCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.name = 'LinkSecurityError'
    this.code = code
  }
}

/** The keys for links at these endpoints; undefined: without TLS. Rejects with a LinkSecurityError that says what to do. */
export async function linkKeys(
  { key, plainLinks }: Pick<RoleOptions, 'key' | 'plainLinks'>,
  endpoints: readonly Endpoint[],
): Promise<LinkKeys | undefined> {
  if (key !== undefined) return readKeyFile(key)
  const reached = endpoints.find(({ host }) => !isLoopback(host))
  if (plainLinks === true || reached === undefined) return undefined
  throw new LinkSecurityError(
    'LINKS_UNPROTECTED',
    `control links at ${reached.host} need a key: make one by \`gyre key FILE\`, copy it to every machine of the ` +
      'cluster and give --key FILE (or --plain-links, where nobody else reaches that network)',
  )
}

async function readKeyFile(path: string): Promise<LinkKeys> {
  const keys = parseLinkKeys(await readPrivateFile(path, 'key file'))
  if (typeof keys !== 'string') return keys
  throw new LinkSecurityError('KEY_INVALID', `${path}: ${keys}`)
}

/** A file that nobody else may read; `what` it is stands in the LinkSecurityError. */
export async function readPrivateFile(path: string, what: string): Promise<string> {
  try {
    const { mode, size } = await stat(path)
    if ((mode & OTHERS) !== 0) {
      throw new LinkSecurityError('KEY_EXPOSED', `others may read the ${what} ${path}: chmod 600 it`)
    }
    if (size > MAX_KEY_FILE_OCTETS) throw new LinkSecurityError('KEY_INVALID', `${path} is no ${what}`)
    return await readFile(path, 'utf8')
  } catch (error) {
    if (error instanceof LinkSecurityError) throw error
    const why = error instanceof Error ? error.message : String(error)
    throw new LinkSecurityError('KEY_UNREADABLE', `the ${what} cannot be read: ${why}`, error)
  }
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host)
}
