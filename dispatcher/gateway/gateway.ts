/**
 * The program of a gateway: it keeps the kernel's steering as the dispatchers say, and says what became of it. No
 * packet passes through this process; while it is away, the kernel goes on with the rules that it has.
 */
import { performance } from 'node:perf_hooks'
import { Dialer } from '../../node/control/dialer.ts'
import { Dialers } from '../../node/control/dialers.ts'
import { FailureNotices } from '../../node/control/failure-notices.ts'
import { createIncarnation, type Hello, NO_OWNER, PROTOCOL_VERSION } from '../../node/control/hello.ts'
import type { Link } from '../../node/control/link.ts'
import type { LinkKeys } from '../../node/control/link-keys.ts'
import type { Coordinator } from '../coordination/coordinator.ts'
import { openCoordinator } from '../coordination/open.ts'
import { linkKeys } from '../link-security.ts'
import type { Endpoint, GatewayOptions, RunningRole } from '../options.ts'
import { SteeringError } from '../steering/errors.ts'
import { tableName } from '../steering/nft-rules.ts'
import { NftSteering } from '../steering/nft-steering.ts'
import { RouteSteering } from '../steering/route-steering.ts'
import type { Steering } from '../steering/steering.ts'
import { GatewayHealth } from './health.ts'
import {
  decodeGatewayMessage,
  encodeGatewayMessage,
  type FlowsMessage,
  type FromGateway,
  type OwnersMessage,
} from './messages.ts'
import { ToldOwners } from './told-owners.ts'

const COUNTERS_EVERY_MS = 2000

/** Resolves when the gateway steers to the owners that a dispatcher named. Rejects with a SteeringError. */
export async function runGateway(options: GatewayOptions): Promise<RunningRole> {
  const keys = await linkKeys(options, [...options.dispatchers, ...(options.nats?.servers ?? [])])
  const coordinator = await openCoordinator(options, 'gateway', options.dispatchers)
  const steering = createSteering(options)
  await steering.start()
  const gateway = new Gateway(options, coordinator, steering, undefined, keys)
  if (options.health !== undefined) await gateway.listen(options.health)
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
    spreads: options.nats !== undefined || options.dispatchers.length > 1,
  })
}

export class Gateway implements RunningRole {
  /** Settles with the first owners. */
  readonly ready: Promise<void>
  readonly #steering: Steering
  readonly #coordinator: Coordinator
  /** Of the dispatchers. */
  readonly #dialers: Dialers
  /** Over several dispatchers, by what each says. */
  readonly #spreads: boolean
  readonly #told = new ToldOwners()
  readonly #timer: NodeJS.Timeout
  readonly #log: (line: string) => void
  readonly #health: GatewayHealth
  #isReady: () => void = () => {}
  #hasOwners = false
  /** Why the kernel's counters could not be read when last asked for, as where somebody removed the rules. */
  #unread: string | undefined
  /** Packets as last told to everybody; a gateway without traffic is silent. */
  #toldPackets = -1
  #stopped: Promise<void> | undefined

  /** Dials at once; `steering` must have been started. */
  constructor(
    options: GatewayOptions,
    coordinator: Coordinator,
    steering: Steering,
    log: (line: string) => void = line => console.error(line),
    keys?: LinkKeys | undefined,
  ) {
    this.#coordinator = coordinator
    this.#steering = steering
    this.#spreads = options.nats !== undefined || options.dispatchers.length > 1
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
    this.#dialers = new Dialers(
      (address, down) =>
        new Dialer({
          address,
          hello: () => hello,
          keys,
          random: Math.random,
          handlers: {
            onUp: link => {
              this.#toldPackets = -1
              this.#log(`linked to the dispatcher ${link.peer.name}`)
            },
            onMessage: (link, message) => this.#receive(link, message),
            onDown: (link, reason) => {
              this.#down(link, reason.message)
              down()
            },
          },
          onFailure: error => notices.note('the dispatcher', error, performance.now()),
        }),
    )
    coordinator.watch(addresses => this.#dialers.name(addresses))
    this.#timer = setInterval(() => this.#count(), COUNTERS_EVERY_MS).unref()
    this.#health = new GatewayHealth(() => this.fault)
  }

  /** Why no clients should be sent here; undefined: they may come. */
  get fault(): string | undefined {
    if (!this.#hasOwners) return 'no dispatcher has named the owners'
    const isLinked = !this.#dialers.links().next().done
    return isLinked ? this.#unread : 'no dispatcher is linked; the rules stay'
  }

  /** Says from now on whether it steers. Resolves to the port; rejects with the system's error. */
  listen(health: Endpoint): Promise<number> {
    return this.#health.listen(health)
  }

  /** Removes the rules: from now on the routes carry every packet to the dispatcher. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop()
    return this.#stopped
  }

  async #stop(): Promise<void> {
    clearInterval(this.#timer)
    this.#health.close()
    this.#dialers.close()
    await Promise.all([this.#steering.stop(), this.#coordinator.close()])
  }

  #receive(link: Link, envelope: unknown): void {
    const message = decodeGatewayMessage(envelope)
    if (message?.type === 'owners') this.#setOwners(link, message)
    else if (message?.type === 'flows') this.#setFlows(link, message)
    else this.#log('the dispatcher sent a message that is none for a gateway of this version')
  }

  #down(link: Link, reason: string): void {
    if (this.#stopped !== undefined) return
    this.#log(`lost the dispatcher ${link.peer.name}: ${reason}; the rules stay`)
    this.#told.down(link.peer.ownerId)
    if (!this.#spreads) return
    this.#steering.setOwners(this.#told.owners, this.#told.dispatchers).catch((error: unknown) => {
      if (this.#stopped === undefined)
        this.#log(`steering: ${error instanceof Error ? error.message : error}`)
    })
  }

  #setOwners(link: Link, { seq, owners }: OwnersMessage): void {
    this.#told.told(link.peer.ownerId, owners)
    this.#steering.setOwners(this.#told.owners, this.#told.dispatchers).then(
      () => {
        this.#hasOwners = true
        this.#isReady()
        answer(link, { type: 'owners-applied', seq })
      },
      (error: unknown) => this.#refuse(link, 'owners-failed', seq, error),
    )
  }

  #setFlows(link: Link, { seq, reset, set, remove }: FlowsMessage): void {
    const by = link.peer.ownerId
    const flows = set.map(flow => ({ ...flow, by }))
    const applied = reset
      ? this.#steering.replaceFlows(flows, by)
      : this.#steering.updateFlows({ set: flows, remove })
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
    const links = [...this.#dialers.links()]
    if (links.length === 0) return
    this.#steering.counters().then(
      counters => {
        this.#unread = undefined
        if (counters.packets === this.#toldPackets) return
        const told = links.filter(link => answer(link, { type: 'counters', counters }))
        if (told.length === links.length) this.#toldPackets = counters.packets
      },
      (error: unknown) => {
        this.#unread = `counters: ${error instanceof Error ? error.message : error}`
        if (this.#stopped === undefined) this.#log(this.#unread)
      },
    )
  }
}

/** A link that went down has no use for the answer. */
function answer(link: Link, message: FromGateway): boolean {
  return link.send(encodeGatewayMessage(message))
}
