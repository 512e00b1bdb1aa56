/**
 * The program of a gateway: it keeps the kernel's steering as the dispatcher says, and says what became of it. No
 * packet passes through this process; while it is away, the kernel goes on with the rules that it has.
 */
import { performance } from 'node:perf_hooks'
import { Dialer } from '../../node/control/dialer.ts'
import { FailureNotices } from '../../node/control/failure-notices.ts'
import { createIncarnation, type Hello, NO_OWNER, PROTOCOL_VERSION } from '../../node/control/hello.ts'
import type { Link } from '../../node/control/link.ts'
import type { LinkKeys } from '../../node/control/link-keys.ts'
import { formatEndpoint } from '../flags.ts'
import { linkKeys } from '../link-security.ts'
import type { GatewayOptions, RunningRole } from '../options.ts'
import { SteeringError } from '../steering/errors.ts'
import { tableName } from '../steering/nft-rules.ts'
import { NftSteering } from '../steering/nft-steering.ts'
import { RouteSteering } from '../steering/route-steering.ts'
import type { Steering } from '../steering/steering.ts'
import {
  decodeGatewayMessage,
  encodeGatewayMessage,
  type FlowsMessage,
  type FromGateway,
  type OwnersMessage,
} from './messages.ts'

const COUNTERS_EVERY_MS = 2000

/** Resolves when the gateway steers to the owners that the dispatcher named. Rejects with a SteeringError. */
export async function runGateway(options: GatewayOptions): Promise<RunningRole> {
  const keys = await linkKeys(options, [options.dispatcher])
  const steering = createSteering(options)
  await steering.start()
  const gateway = new Gateway(options, steering, undefined, keys)
  await gateway.ready
  return gateway
}

export function createSteering(options: GatewayOptions): Steering {
  const { cluster, vip, vip6, port, wan, lan, ownerIdBits } = options
  if (options.steering === 'relay') return new RouteSteering(ownerIdBits)
  return new NftSteering({
    kind: 'gateway',
    table: tableName(cluster, 'gateway'),
    service: { vip, vip6, port },
    inDevices: wan,
    outDevice: lan,
    ownerIdBits,
  })
}

export class Gateway implements RunningRole {
  /** Settles with the first owners. */
  readonly ready: Promise<void>
  readonly #steering: Steering
  readonly #dialer: Dialer
  readonly #timer: NodeJS.Timeout
  readonly #log: (line: string) => void
  #isReady: () => void = () => {}
  /** Packets as last told; a gateway without traffic is silent. */
  #toldPackets = -1
  #stopped: Promise<void> | undefined

  /** Dials at once; `steering` must have been started. */
  constructor(
    options: GatewayOptions,
    steering: Steering,
    log: (line: string) => void = line => console.error(line),
    keys?: LinkKeys | undefined,
  ) {
    this.#steering = steering
    this.#log = log
    this.ready = new Promise(resolve => {
      this.#isReady = resolve
    })
    const hello: Hello = {
      protocol: PROTOCOL_VERSION,
      cluster: options.cluster,
      ownerId: NO_OWNER,
      role: 'gateway',
      name: options.name,
      incarnation: createIncarnation(Date.now(), Math.random),
      addresses: [],
      capabilities: [`steering=${options.steering}`],
    }
    const notices = new FailureNotices(log, performance.now())
    this.#dialer = new Dialer({
      address: formatEndpoint(options.dispatcher),
      hello: () => hello,
      keys,
      random: Math.random,
      handlers: {
        onUp: link => {
          this.#toldPackets = -1
          this.#log(`linked to the dispatcher ${link.peer.name}`)
        },
        onMessage: (link, message) => this.#receive(link, message),
        onDown: (_link, reason) => {
          if (this.#stopped === undefined) this.#log(`lost the dispatcher: ${reason.message}; the rules stay`)
        },
      },
      onFailure: error => notices.note('the dispatcher', error, performance.now()),
    })
    this.#timer = setInterval(() => this.#count(), COUNTERS_EVERY_MS).unref()
  }

  /** Removes the rules: from now on the routes carry every packet to the dispatcher. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop()
    return this.#stopped
  }

  async #stop(): Promise<void> {
    clearInterval(this.#timer)
    this.#dialer.close()
    await this.#steering.stop()
  }

  #receive(link: Link, envelope: unknown): void {
    const message = decodeGatewayMessage(envelope)
    if (message?.type === 'owners') this.#setOwners(link, message)
    else if (message?.type === 'flows') this.#setFlows(link, message)
    else this.#log('the dispatcher sent a message that is none for a gateway of this version')
  }

  #setOwners(link: Link, { seq, owners }: OwnersMessage): void {
    this.#steering.setOwners(owners).then(
      () => {
        this.#isReady()
        answer(link, { type: 'owners-applied', seq })
      },
      (error: unknown) => this.#refuse(link, 'owners-failed', seq, error),
    )
  }

  #setFlows(link: Link, { seq, reset, set, remove }: FlowsMessage): void {
    const applied = reset ? this.#steering.replaceFlows(set) : this.#steering.updateFlows({ set, remove })
    applied.then(
      () => answer(link, { type: 'flows-applied', seq }),
      (error: unknown) => this.#refuse(link, 'flows-failed', seq, error),
    )
  }

  #refuse(link: Link, type: 'owners-failed' | 'flows-failed', seq: number, error: unknown): void {
    if (!(error instanceof SteeringError)) throw error
    if (this.#stopped === undefined) this.#log(`steering: ${error.message}`)
    answer(link, { type, seq, code: error.code, error: error.message })
  }

  #count(): void {
    const { link } = this.#dialer
    if (link === undefined) return
    this.#steering.counters().then(
      counters => {
        if (counters.packets === this.#toldPackets) return
        if (answer(link, { type: 'counters', counters })) this.#toldPackets = counters.packets
      },
      (error: unknown) => {
        if (this.#stopped === undefined)
          this.#log(`counters: ${error instanceof Error ? error.message : error}`)
      },
    )
  }
}

/** A link that went down has no use for the answer. */
function answer(link: Link, message: FromGateway): boolean {
  return link.send(encodeGatewayMessage(message))
}
