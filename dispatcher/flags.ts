/**
 * Reads the values of command line flags and checks their ranges; each refuses with one clear line. It knows no
 * command.
 */
import { InvalidArgumentError } from 'commander'
import { formatAddress, parseAddress } from '../node/wire/address.ts'
import { formatDurationMs, formatOctets, parseDurationMs, parseOctets } from './config/units.ts'
import type { EngineServers } from './coordination/engine-options.ts'
import { DEFAULT_ENGINE_PORT, type Endpoint, MAX_DISPATCHERS } from './options.ts'

/** Names of devices: of those that Linux takes, what needs no quoting anywhere. */
const DEVICE = /^[A-Za-z0-9][A-Za-z0-9._-]{0,14}$/
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/
const MAX_DEVICES = 64

export function integer(min: number, max: number): (text: string) => number {
  return text => {
    const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN
    if (value >= min && value <= max) return value
    throw new InvalidArgumentError(`Not a whole number from ${min} to ${max}.`)
  }
}

/** `64MiB`, or a number of octets. */
export function octets(min: number, max: number): (text: string) => number {
  return text => {
    const value = parseOctets(text) ?? Number.NaN
    if (value >= min && value <= max) return value
    throw new InvalidArgumentError(`Not a size from ${formatOctets(min)} to ${formatOctets(max)}.`)
  }
}

/** `30s`, as milliseconds. */
export function duration(minMs: number, maxMs: number): (text: string) => number {
  return text => {
    const value = parseDurationMs(text) ?? Number.NaN
    if (value >= minMs && value <= maxMs) return value
    throw new InvalidArgumentError(
      `Not a time from ${formatDurationMs(minMs)} to ${formatDurationMs(maxMs)}.`,
    )
  }
}

/** Canonical text of a unicast address. */
export function ipv4(text: string): string {
  const address = parseAddress(text)
  const first = (address?.word3 ?? 0) >>> 24
  const usable = address?.family === 4 && first !== 0 && first !== 127 && first < 224
  if (!usable) throw new InvalidArgumentError('Not an IPv4 address that a host can have.')
  return formatAddress(address.word0, address.word1, address.word2, address.word3)
}

export function ipv6(text: string): string {
  const address = parseAddress(text)
  const first = (address?.word0 ?? 0) >>> 16
  const isLocal = address?.word0 === 0 && address.word1 === 0
  // Link-local addresses need a device, and multicast is no host's.
  const usable = address?.family === 6 && !isLocal && first < 0xfe80
  if (!usable) throw new InvalidArgumentError('Not an IPv6 address that a host can have.')
  return formatAddress(address.word0, address.word1, address.word2, address.word3)
}

/** `none` for a service without IPv6. */
export function ipv6OrNone(text: string): string {
  return text === 'none' ? text : ipv6(text)
}

export function noneIsUndefined(text: string): string | undefined {
  return text === 'none' ? undefined : text
}

/** `HOST:PORT`, an IPv6 host in brackets. */
export function endpoint(text: string): Endpoint {
  const parts = /^(?:\[([0-9a-fA-F:.]+)\]|([^\s:[\]/]+)):(\d{1,5})$/.exec(text)
  const host = parts?.[1] ?? parts?.[2]
  const port = Number(parts?.[3])
  if (host === undefined || !(port <= 65_535)) throw new InvalidArgumentError('Not HOST:PORT.')
  return { host, port }
}

export function formatEndpoint({ host, port }: Endpoint): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

/** `ws://HOST:PORT`, as the control links are written. */
function controlUrl(text: string): Endpoint {
  const address = /^ws:\/\/([^/]+)\/?$/.exec(text)?.[1]
  if (address === undefined) throw new InvalidArgumentError('Not ws://HOST:PORT.')
  const parsed = endpoint(address)
  if (parsed.port === 0) throw new InvalidArgumentError('Port 0 cannot be dialed.')
  return parsed
}

/** Of one dispatcher or several, separated by commas. */
export function controlUrls(text: string): readonly Endpoint[] {
  const all = [...new Set(text.split(','))].map(controlUrl)
  if (all.length > MAX_DISPATCHERS) throw new InvalidArgumentError(`More than ${MAX_DISPATCHERS}.`)
  return all
}

const MAX_ENGINE_SERVERS = 16

/** `nats://HOST[:PORT]` or `tls://HOST[:PORT]`, several separated by commas. */
export function engineUrls(text: string): EngineServers {
  const urls = [...new Set(text.split(','))].map(url => /^(nats|tls):\/\/([^/@]+)\/?$/.exec(url))
  const servers = urls.map(parts => {
    const [, , address] = parts ?? []
    if (address === undefined) {
      throw new InvalidArgumentError(
        'Not nats://HOST[:PORT] or tls://HOST[:PORT]; credentials go into a file.',
      )
    }
    return endpoint(/:\d+$/.test(address) ? address : `${address}:${DEFAULT_ENGINE_PORT}`)
  })
  if (servers.length > MAX_ENGINE_SERVERS) throw new InvalidArgumentError(`More than ${MAX_ENGINE_SERVERS}.`)
  const schemes = new Set(urls.map(parts => parts?.[1]))
  if (schemes.size > 1) throw new InvalidArgumentError('Some with TLS and some without.')
  return { servers, tls: schemes.has('tls') }
}

/** `https://example.org`: a scheme, a host and perhaps a port, as `URL.origin` writes them. */
export function originUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  const isPlain = url !== undefined && `${url.pathname}${url.search}${url.hash}${url.username}` === '/'
  if (!isPlain || !/^https?:\/\/[^/]/i.test(text) || !/^https?:$/.test(url.protocol) || url.password !== '') {
    throw new InvalidArgumentError('Not http://HOST[:PORT] or https://HOST[:PORT].')
  }
  return url.origin
}

export function device(text: string): string {
  if (DEVICE.test(text)) return text
  throw new InvalidArgumentError('Not a name of a network device.')
}

export function devices(text: string): readonly string[] {
  const all = text.split(',').map(device)
  if (all.length > MAX_DEVICES) throw new InvalidArgumentError(`More than ${MAX_DEVICES} devices.`)
  return [...new Set(all)]
}

export function name(text: string): string {
  if (NAME.test(text)) return text
  throw new InvalidArgumentError('Not a name: 1 to 64 letters, digits, dots, hyphens, underscores.')
}

const UNITS = { '': 1, k: 1e3, m: 1e6, g: 1e9 } as const
const MIN_BITS = 64_000
const MAX_BITS = 100e9

/** `100mbit`, `1gbit`, `2.5gbit`, as bits per second. */
export function bitRate(text: string): number {
  const parts = /^(\d{1,6}(?:\.\d{1,3})?)([kmg]?)bit$/i.exec(text)
  const unit = (parts?.[2] ?? '').toLowerCase() as keyof typeof UNITS
  const bits = Math.round(Number(parts?.[1]) * UNITS[unit])
  if (bits >= MIN_BITS && bits <= MAX_BITS) return bits
  throw new InvalidArgumentError('Not a rate from 64kbit to 100gbit, as 100mbit.')
}
