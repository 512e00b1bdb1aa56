/**
 * The cluster's keys, and what TLS makes of them: control links are authenticated both ways by a pre-shared key, with fresh
 * Diffie-Hellman shares for every link (RFC 8446 §2.2), so that neither a recorded link can be played again nor a key
 * that is stolen later reads it. Whoever has the key is a member of the cluster; nobody else gets as far as a hello.
 */
import { createHash, hkdfSync, randomBytes } from 'node:crypto'

export const KEY_OCTETS = 32
/** While keys are replaced, the old and the new one are both taken. */
export const MAX_LINK_KEYS = 4
/** Raised when what runs inside of the links must not meet an older peer's. */
const PURPOSE = 'gyre control link 1'
const KEY_LINE = /^[0-9a-f]{64}$/i

interface LinkKey {
  /** Names the key without giving it away: several may be taken. */
  readonly identity: string
  readonly psk: Buffer
}

/** The first is the one that we dial with; all are taken. */
export type LinkKeys = readonly [LinkKey, ...LinkKey[]]

/** A new key, as the line of a key file. */
export function createKeyText(): string {
  return `${randomBytes(KEY_OCTETS).toString('hex')}\n`
}

/** The keys of a file: a line each, of 64 hexadecimal digits; empty lines and `#` comments do not count. Or what is wrong. */
export function parseLinkKeys(text: string): LinkKeys | string {
  const lines = text.split('\n').map(line => line.trim())
  const keys = lines.filter(line => line !== '' && !line.startsWith('#'))
  const wrong = keys.findIndex(line => !KEY_LINE.test(line))
  if (wrong >= 0) return `key ${wrong + 1} is not ${2 * KEY_OCTETS} hexadecimal digits`
  if (keys.length > MAX_LINK_KEYS) return `more than ${MAX_LINK_KEYS} keys`
  const [first, ...more] = keys.map(line => linkKey(Buffer.from(line, 'hex')))
  return first === undefined ? 'no key' : [first, ...more]
}

function linkKey(key: Buffer): LinkKey {
  const digest = createHash('sha256').update('gyre key').update(key).digest('hex')
  const psk = Buffer.from(hkdfSync('sha256', key, new Uint8Array(0), PURPOSE, KEY_OCTETS))
  return { identity: `gyre-${digest.slice(0, 16)}`, psk }
}

/** TLS 1.3 alone, and the suite whose hash is that of pre-shared keys made outside of TLS (RFC 8446 §4.2.11). */
const TLS = {
  minVersion: 'TLSv1.3',
  maxVersion: 'TLSv1.3',
  ciphers: 'TLS_AES_128_GCM_SHA256',
} as const

/** For the accepting side: without a certificate there is no other way in than a key. */
export function acceptingTls(keys: LinkKeys, handshakeTimeout: number) {
  return {
    ...TLS,
    handshakeTimeout,
    pskCallback: (_socket: unknown, identity: string) => {
      return keys.find(key => key.identity === identity)?.psk ?? null
    },
  }
}

/** For the dialing side: no authority is trusted, so a peer that shows a certificate instead of the key is refused. */
export function dialingTls([{ identity, psk }]: LinkKeys) {
  return {
    ...TLS,
    ca: [],
    // Whatever NODE_TLS_REJECT_UNAUTHORIZED says.
    rejectUnauthorized: true,
    pskCallback: () => ({ identity, psk }),
    checkServerIdentity: () => undefined,
  }
}
