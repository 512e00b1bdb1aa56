/**
 * The command lines of roles that are started by other roles: the options of a program as the flags that give them.
 * What is secret does not stand in a command line, which everybody may read.
 */
import { join, parse } from 'node:path'
import type { EngineOptions } from './coordination/engine-options.ts'
import { formatEndpoint } from './flags.ts'
import type { Endpoint, NodeOptions, OwnerOptions, RoleOptions, Unleased } from './options.ts'

export function roleFlags(options: RoleOptions): string[] {
  const { cluster, name, vip, vip6, port, ownerIdBits, config, key, plainLinks, nats } = options
  return [
    ...(config === undefined ? [] : ['--config', config]),
    ...['--cluster', cluster, '--name', name, '--vip', vip, '--vip6', vip6 ?? 'none', '--port', `${port}`],
    ...['--owner-bits', `${ownerIdBits}`],
    ...(key === undefined ? [] : ['--key', key]),
    ...(plainLinks === true ? ['--plain-links'] : []),
    ...(nats === undefined ? [] : engineFlags(nats)),
  ]
}

function engineFlags({ servers, tls, creds, ca, cert, key }: EngineOptions): string[] {
  const urls = servers.map(server => `${tls ? 'tls' : 'nats'}://${formatEndpoint(server)}`)
  const files = { creds, ca, cert, key }
  return [
    ...['--nats', urls.join(',')],
    ...Object.entries(files).flatMap(([what, file]) => (file === undefined ? [] : [`--nats-${what}`, file])),
  ]
}

export function ownerFlags(options: Unleased<OwnerOptions>): string[] {
  const { id, address, address6, listen, root, origin, cacheOctets, mode, lan, tun, user, pcap, pcapOctets } =
    options
  return [
    ...roleFlags(options),
    ...(id === undefined ? [] : ['--id', `${id}`]),
    ...['--address', address],
    ...(root === undefined ? [] : ['--root', root]),
    ...(origin === undefined ? [] : ['--origin', origin]),
    ...(address6 === undefined ? [] : ['--address6', address6]),
    ...['--listen', formatEndpoint(listen), '--cache-octets', `${cacheOctets}`],
    ...['--mode', mode, '--lan', lan, '--tun', tun],
    ...(user === undefined ? [] : ['--user', user]),
    ...(pcap === undefined ? [] : ['--pcap', pcap, '--pcap-octets', `${pcapOctets}`]),
  ]
}

export function nodeFlags(options: Unleased<NodeOptions>): string[] {
  const { app, dispatchers } = options
  return [
    ...ownerFlags(options),
    ...dispatcherFlags(dispatchers),
    ...(app === undefined ? [] : ['--app', app]),
  ]
}

/** Of none: an engine knows them. */
export function dispatcherFlags(dispatchers: readonly Endpoint[]): string[] {
  if (dispatchers.length === 0) return []
  return ['--dispatcher', dispatchers.map(endpoint => `ws://${formatEndpoint(endpoint)}`).join(',')]
}

/** Roles that are started together record each into a file of its own: `run.pcapng` becomes `run-node1.pcapng`. */
export function pcapOf(file: string | undefined, role: string): string | undefined {
  if (file === undefined) return undefined
  const { dir, name, ext } = parse(file)
  return join(dir, `${name}-${role}${ext}`)
}
