/**
 * The registers of a cluster in NATS: a key-value bucket of JetStream, one for each cluster name, made where there is none. It reads
 * from the stream's leader, keeps the connection up by itself, and never waits longer than `ANSWER_MS`.
 */
import { isIP } from 'node:net'
import { checkServerIdentity, type PeerCertificate } from 'node:tls'
import { type KV, Kvm } from '@nats-io/kv'
import { type Authenticator, connect, credsAuthenticator, type NatsConnection } from '@nats-io/transport-node'
import { formatEndpoint } from '../flags.ts'
import type { EngineOptions, EngineSecrets } from './engine-options.ts'
import { CoordinationError } from './errors.ts'
import type { Entry, Store } from './store.ts'

/** Two times in which a holder renews. */
export const ANSWER_MS = 1_000
const CONNECT_MS = 2_000
const RECONNECT_MS = 200
const RECONNECT_JITTER_MS = 200
/** A connection that says nothing is taken for dead after two of them. */
const PING_MS = 1_000
const MAX_PINGS_OUT = 2
const BUCKET_PREFIX = 'gyre-'
/** One register for each id of 10 bits, some 120 octets, and the directory. */
const MAX_BUCKET_OCTETS = 4 * 1024 * 1024
const MAX_VALUE_OCTETS = 16_384
/** Of JetStream: what was to be written is not at that revision (of the second, without saying at which it is). */
const WRONG_REVISION = [10_071, 10_164]

/** What Node.js says of a server’s certificate that is not trusted. */
const CERTIFICATE_FAULT = /^ERR_TLS_CERT|^UNABLE_TO_|CERT_|_CERT$|^CERT/

export class NatsStore implements Store {
  readonly #connection: NatsConnection
  readonly #name: string
  #bucket: Promise<KV> | undefined
  #isConnected = true
  /** The connection has broken, and nobody was told by a question that failed: the storage may be another now. */
  #isBroken = false

  private constructor(connection: NatsConnection, cluster: string) {
    this.#connection = connection
    this.#name = bucketName(cluster)
    void this.#follow()
  }

  /** Waits for a server, and says so. Rejects with a CoordinationError where one refuses us. */
  static async open(
    options: EngineOptions,
    secrets: EngineSecrets,
    cluster: string,
    name: string,
    say: (text: string) => void,
  ): Promise<NatsStore> {
    const settings = connectionOptions(options, secrets, name)
    let isSaid = false
    for (;;) {
      try {
        return new NatsStore(await connect(settings), cluster)
      } catch (error) {
        const refusal = refusalOf(error)
        if (refusal !== undefined) throw refusal
        if (!isSaid) say(`waits for the engine: ${error instanceof Error ? error.message : String(error)}`)
        isSaid = true
        await new Promise(resolve => setTimeout(resolve, RECONNECT_MS))
      }
    }
  }

  get(key: string): Promise<Entry | undefined> {
    return this.#ask(async bucket => {
      const entry = await bucket.get(key)
      // A delete marker is somebody else's: ours stay.
      if (entry === null) return undefined
      return { value: entry.operation === 'PUT' ? entry.string() : '', revision: entry.revision }
    })
  }

  set(key: string, value: string, revision: number): Promise<number | undefined> {
    return this.#ask(async bucket => {
      try {
        return await bucket.put(key, value, { previousSeq: revision })
      } catch (error) {
        if (WRONG_REVISION.includes((error as { code?: number }).code ?? 0)) return undefined
        throw error
      }
    })
  }

  async close(): Promise<void> {
    await this.#connection.close()
  }

  /** What is asked while there is no connection would wait in it, without a bound. */
  async #ask<T>(question: (bucket: KV) => Promise<T>): Promise<T> {
    const isBroken = this.#isBroken || !this.#isConnected
    this.#isBroken = false
    if (isBroken) throw new Error('the connection broke')
    this.#bucket ??= this.#open()
    const bucket = this.#bucket
    try {
      return await inTime(bucket.then(question))
    } catch (error) {
      // Its storage may be another now.
      if (this.#bucket === bucket) this.#bucket = undefined
      throw error
    }
  }

  #open(): Promise<KV> {
    return new Kvm(this.#connection).create(this.#name, {
      description: 'owner ids and dispatchers of a gyre cluster',
      history: 1,
      max_bytes: MAX_BUCKET_OCTETS,
      maxValueSize: MAX_VALUE_OCTETS,
      // Another server than the leader may answer with what was there before.
      allow_direct: false,
    })
  }

  async #follow(): Promise<void> {
    for await (const { type } of this.#connection.status()) {
      if (type === 'disconnect') {
        this.#isConnected = false
        this.#isBroken = true
      }
      if (type === 'reconnect') this.#isConnected = true
    }
  }
}

function connectionOptions(options: EngineOptions, { creds, ca, cert, key }: EngineSecrets, name: string) {
  const hosts = options.servers.map(({ host }) => host)
  const tls = {
    // The client does not say which of the servers that are named by address it speaks to: it has to be one of them.
    checkServerIdentity: (host: string, certificate: PeerCertificate) => {
      const asked = hosts.includes(host) ? [host] : hosts.filter(other => isIP(other) !== 0)
      const faults = asked.map(other => checkServerIdentity(other, certificate))
      return faults.includes(undefined) ? undefined : (faults[0] ?? checkServerIdentity(host, certificate))
    },
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
  }
  return {
    servers: options.servers.map(formatEndpoint),
    name,
    timeout: CONNECT_MS,
    maxReconnectAttempts: -1,
    reconnectTimeWait: RECONNECT_MS,
    reconnectJitter: RECONNECT_JITTER_MS,
    reconnectJitterTLS: RECONNECT_JITTER_MS,
    pingInterval: PING_MS,
    maxPingOut: MAX_PINGS_OUT,
    // A server that is being set up anew refuses for a while whom it took before.
    ignoreAuthErrorAbort: true,
    ...(creds === undefined ? {} : { authenticator: authenticatorOf(creds) }),
    ...(options.tls ? { tls } : {}),
  }
}

function authenticatorOf(creds: string): Authenticator {
  const authenticator = credsAuthenticator(new TextEncoder().encode(creds))
  try {
    // Only to see whether it can be read.
    authenticator('nonce')
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new CoordinationError('ENGINE_FILE', `the file with credentials is none: ${why}`, error)
  }
  return authenticator
}

/** What no waiting mends; undefined: it may pass. */
function refusalOf(error: unknown): CoordinationError | undefined {
  const { name, message, code = '' } = error as NodeJS.ErrnoException
  return name === 'AuthorizationError' || CERTIFICATE_FAULT.test(code)
    ? new CoordinationError('ENGINE_REFUSED', `the engine refuses us: ${message}`, error)
    : undefined
}

async function inTime<T>(answer: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer in ${ANSWER_MS} ms`)), ANSWER_MS)
  })
  try {
    return await Promise.race([answer, late])
  } finally {
    clearTimeout(timer)
  }
}

/** Names of buckets have no dots: `a.b_c` is `gyre-a_db__c`. */
function bucketName(cluster: string): string {
  return `${BUCKET_PREFIX}${cluster.replaceAll('_', '__').replaceAll('.', '_d')}`
}
