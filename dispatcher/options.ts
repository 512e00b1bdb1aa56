/**
 * What each role program is told at its start, as plain data: the command line (`main.ts`) fills it in and checks
 * the ranges, the role programs (`runGateway`, `runDispatcher`, `runNode`) only read it. It also says what a
 * running role is to whoever started it.
 */

import type { AccessLogSettings } from '../node/server/access-log.ts'
import type { ServerLimits } from '../node/server/limits.ts'
import type { ReloadAnswer } from '../node/server/reloader.ts'
import type { ServingSettings } from '../node/server/settings.ts'
import type { EngineOptions } from './coordination/engine-options.ts'
import type { LivenessSettings } from './liveness-settings.ts'
import type { PolicyName } from './placement/policy.ts'

/** `shift`: a node becomes the owner; `clone`: the dispatcher relays for as long as the connection lives. */
export type Mode = 'shift' | 'clone'
/** `nft`: the kernel of the gateway steers; `relay`: everything reaches the dispatcher, which passes it on. */
export type SteeringKind = 'nft' | 'relay'

export interface Endpoint {
  readonly host: string
  /** 0 to 65535; 0 takes a free one. */
  readonly port: number
}

/** The virtual addresses and the TCP port that the cluster serves. */
export interface Service {
  readonly vip: string
  readonly vip6: string | undefined
  readonly port: number
}

/** What is served, and how to read it again. */
export interface Configuration {
  /** At the start. */
  readonly serving: ServingSettings
  readonly accessLog: AccessLogSettings
  readonly limits: ServerLimits
  /** Connections moved a second because they are better served elsewhere, in the whole cluster. */
  readonly shiftsPerSecond: number
  /** What the file says now. Rejects, with the reasons in its message, where that cannot be put in force. */
  reload(): Promise<ServingSettings>
}

export interface RoleOptions extends Service {
  /** The cluster's name; control links are only made within one. */
  readonly cluster: string
  /** Unique among the processes of a role. */
  readonly name: string
  /** Low bits of the TCP timestamp that hold the owner's id: 1 to 10, the same in the whole cluster. */
  readonly ownerIdBits: number
  /** Configuration file, absolute. */
  readonly config: string | undefined
  /** The file with the cluster's keys; undefined: links without TLS, where `plainLinks` allows them. */
  readonly key?: string | undefined
  /** Nobody else reaches the network of the links. */
  readonly plainLinks?: boolean
  /** The engine that gives owner ids and knows the dispatchers; undefined: what the options say holds. */
  readonly nats?: EngineOptions | undefined
}

/** The same where an engine may give the owner id. */
export type Unleased<Options extends { readonly id: number }> = Omit<Options, 'id'> & {
  readonly id: number | undefined
}

/** What every owner of connections is told, dispatcher and node alike. */
export interface OwnerOptions extends RoleOptions {
  /** Owner id: 0 to 2^ownerIdBits - 1. */
  readonly id: number
  /** Where the gateway sends packets of this owner: its addresses in the LAN. */
  readonly address: string
  readonly address6: string | undefined
  /** Where control links of the others arrive. */
  readonly listen: Endpoint
  /** Document root of the default site; undefined: as the configuration says. */
  readonly root: string | undefined
  /** Origin server of the default site, instead of a root. */
  readonly origin?: string | undefined
  readonly cacheOctets: number
  readonly mode: Mode
  readonly lan: string
  readonly tun: string
  /** Whose rights the process keeps once its TUN is open; undefined: those that it has. */
  readonly user?: string | undefined
  /** Where all packets are recorded (pcapng); undefined: they are not. */
  readonly pcap: string | undefined
  /** Octets of that file at most. */
  readonly pcapOctets: number
}

export interface GatewayOptions extends RoleOptions {
  readonly dispatchers: readonly Endpoint[]
  /** Devices where packets of clients arrive. */
  readonly wan: readonly string[]
  /** Device of the network of the owners. */
  readonly lan: string
  readonly steering: SteeringKind
  /** Where it says whether it steers; undefined: nowhere. */
  readonly health?: Endpoint | undefined
}

export interface DispatcherOptions extends OwnerOptions {
  readonly steering: SteeringKind
  /** Control links of all dispatchers, itself among them; none: it is alone. Each dials those before it in this list. */
  readonly dispatchers: readonly Endpoint[]
  readonly policy: PolicyName
  /** When a silent node is taken for dead. */
  readonly liveness: LivenessSettings
  /** An inherited descriptor that listens already, or where to listen; undefined: no admin port. */
  readonly admin: Endpoint | { readonly fd: number } | undefined
  /** What acts at the admin port need; undefined: a random one for this run, which is said. */
  readonly adminToken: string | undefined
  /** The folder of this package, with the files of the dashboard. */
  readonly package: string
  /** A namespace of this machine that demo downloads are started in; undefined: there is none. */
  readonly clientNamespace: string | undefined
  /** 64 hexadecimal digits, the same for all dispatchers (RFC 6528 §3); undefined: a random one for this run. */
  readonly secret: string | undefined
}

export interface NodeOptions extends OwnerOptions {
  /** A module that calls `listen` of package `gyre`, absolute; undefined: none. */
  readonly app: string | undefined
  readonly dispatchers: readonly Endpoint[]
}

/** One process that accepts and serves alone. */
export interface ServeOptions extends Service {
  readonly root: string
  readonly cacheOctets: number
  /** Where packets for the virtual addresses arrive; undefined: only those of this machine itself are served. */
  readonly lan: string | undefined
  readonly tun: string
}

/**
 * A role that serves. `runX(options)` resolves to it when the role is ready and rejects when it cannot start; a
 * fault after that, which the role cannot mend, ends the process by an uncaught error.
 */
export interface RunningRole {
  /** Ends orderly and removes what the role put into the kernel. Idempotent. */
  stop(): Promise<void>
  /** Reads the configuration again and puts it in force; never rejects. Absent where there is nothing to read. */
  reload?(): Promise<ReloadAnswer | undefined>
  /** Opens the files of its logs anew. */
  reopen?(): void
  /** ms that `stop` may take; 2.5 s where it does not say. */
  readonly stopTimeoutMs?: number
}

export const DEFAULT_CLUSTER = 'gyre'
export const DEFAULT_VIP = '10.77.0.1'
export const DEFAULT_VIP6 = 'fd77::1'
export const DEFAULT_PORT = 80
export const DEFAULT_ADMIN: Endpoint = { host: '127.0.0.1', port: 8800 }
export const DEFAULT_CONTROL_PORT = 7700
/** A server of NATS listens there where nothing else is said. */
export const DEFAULT_ENGINE_PORT = 4222
export const DEFAULT_NODES = 3
export const DEFAULT_INSTANCES = 1
export const DEFAULT_OWNER_ID_BITS = 8
export const MAX_OWNER_ID_BITS = 10
export const MIN_PCAP_OCTETS = 64 * 1024
export const MAX_PCAP_OCTETS = 1024 ** 4
export const MIN_CACHE_OCTETS = 1024 * 1024
export const MAX_CACHE_OCTETS = 1024 ** 4
/** Each has all records and is linked with everybody. */
export const MAX_DISPATCHERS = 8
export const MAX_GATEWAYS = 8
/** Half of the LAN's /24 and of the owner ids of 8 bits stay free for dispatchers and gateways. */
export const MAX_NODES = 200
/** Environment of a dispatcher: a secret must not stand in a command line, which everybody may read. */
export const SECRET_VARIABLE = 'GYRE_SECRET'
/** Environment of a dispatcher and of the operator's commands, in place of `--admin-token`. */
export const ADMIN_TOKEN_VARIABLE = 'GYRE_ADMIN_TOKEN'
