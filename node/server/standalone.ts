/**
 * One process that serves alone: an owner that accepts connections itself, with the static site on it, and no one to
 * hand them to. The program (`dispatcher/serve.ts`) gives it a TUN, files and a clock.
 */
import { Owner } from '../stack/owner.ts'
import type { OwnerConfig } from '../stack/owner-environment.ts'
import type { PacketBatch } from '../tun/packet-batch.ts'
import type { Access } from './access-trail.ts'
import type { ServerLimits } from './limits.ts'
import type { Resources } from './resources.ts'
import { Site } from './site.ts'

/** The world around it. */
export interface StandaloneWorld {
  transmit(batch: PacketBatch): void
  /** A uniformly distributed int32. */
  random(): number
  now(): number
  /** Wall clock in whole seconds. */
  nowSecond(): number
  /** The same in ms. */
  wallMs(): number
  /** The deadline may have moved earlier. */
  wake(): void
  /** For the access log; undefined: none is kept. */
  readonly log?: ((access: Access) => void) | undefined
}

/** With a secret of its own: what it does not know it accepts or resets. */
export type StandaloneConfig = Omit<OwnerConfig, 'mode'>

export class StandaloneCore {
  readonly owner: Owner
  readonly site: Site

  constructor(config: StandaloneConfig, world: StandaloneWorld, resources: Resources, limits?: ServerLimits) {
    this.site = new Site(
      {
        id: config.id,
        owns: connection => this.owner.owns(connection),
        touched: connection => {
          this.owner.touched(connection, world.now())
          world.wake()
        },
        shift: (_connection, _to, kept) => kept(),
        place: (_path, placed) => placed(undefined),
        now: () => world.now(),
        nowSecond: () => world.nowSecond(),
      },
      resources,
      limits,
      world.log,
    )
    this.owner = new Owner(
      { ...config, mode: 'shift' },
      {
        transmit: batch => world.transmit(batch),
        send: () => false,
        sendDroppable: () => false,
        random: () => world.random(),
        nowSecond: () => world.nowSecond(),
        wallMs: () => world.wallMs(),
        owned: () => {},
        closed: () => {},
        forwarding: () => {},
        steer: () => {},
        told: () => {},
        reachable: () => false,
        dispatchers: () => [],
        settled: () => true,
      },
      this.site,
    )
  }

  receiveBatch(batch: PacketBatch, now: number): void {
    this.owner.receiveBatch(batch, now)
  }

  pollAt(): number {
    return this.owner.pollAt()
  }

  poll(now: number): void {
    this.owner.poll(now)
  }
}
