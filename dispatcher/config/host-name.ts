/** The names of hosts as they stand in a configuration, brought to the form in which requests are compared with them. */
import { domainToASCII } from 'node:url'
import { formatAddress, parseAddress } from '../../node/wire/address.ts'

const MAX_NAME_CHARS = 253
const NAME = /^(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)(?:\.[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)*$/

/** What may stand where a host is named, for messages. */
export const HOST_FORM = 'a host name, as "example.org" or "*.example.org", without scheme and port'

/**
 * Lower case, in ASCII (RFC 5891), without the dot of the root; an address in its canonical text (RFC 5952), an IPv6
 * one in brackets. `*.` before a name stands for one or more labels. Undefined where it is no name of a host.
 */
export function normaliseHost(text: string): string | undefined {
  const address = parseAddress(text.replace(/^\[(.*)\]$/, '$1'))
  if (address !== undefined) {
    const canonical = formatAddress(address.word0, address.word1, address.word2, address.word3)
    return address.family === 4 ? canonical : `[${canonical}]`
  }
  const isWildcard = text.startsWith('*.')
  // domainToASCII reads a URL's authority, and would cut off what follows one.
  if (/[\p{Cc}\s/\\:?#@%]/u.test(text)) return undefined
  const name = domainToASCII((isWildcard ? text.slice(2) : text).replace(/\.$/, ''))
  if (name.length > MAX_NAME_CHARS || !NAME.test(name)) return undefined
  return isWildcard ? `*.${name}` : name
}
