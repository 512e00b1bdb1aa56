/**
 * The owner whose memory is measured: the static site on its own TCP and TUN, accepting for itself as a dispatcher does, in a
 * process of its own with `--expose-gc`. Answers each message with what it holds.
 */
import { DEFAULT_HTTP_SETTINGS } from '../../node/http/http-settings.ts'
import { DEFAULT_LIMITS as SERVER_LIMITS } from '../../node/server/limits.ts'
import type { ServingSettings } from '../../node/server/settings.ts'
import { Sites } from '../../node/server/sites.ts'
import { StandaloneCore } from '../../node/server/standalone.ts'
import { Driver } from '../../node/stack/driver.ts'
import { DEFAULT_LIMITS } from '../../node/stack/limits.ts'
import type { Owner } from '../../node/stack/owner.ts'
import { Vips } from '../../node/stack/vips.ts'
import { tcpConfig } from '../../node/tcp/config.ts'
import { openTun } from '../../node/tun/tun-device.ts'
import { Random } from '../sim/network/random.ts'

export interface OwnerOptions {
  readonly namespace: string
  readonly tun: string
  readonly address: string
  readonly port: number
  readonly root: string
}

/** What the owner holds, after a full collection of garbage. Octets. */
export interface Holding {
  readonly connections: number
  readonly flows: number
  readonly timers: number
  readonly heap: number
  /** Buffers outside of the heap. */
  readonly external: number
  readonly rss: number
  readonly accepted: number
  readonly closed: number
  readonly resets: number
}

/** Idle clients are what is measured: they are not sent away meanwhile. */
const IDLE_MS = 3_600_000
const SECRET_OCTETS = 32
const CACHE_OCTETS = 64 * 1024 * 1024

async function serve(options: OwnerOptions): Promise<void> {
  const { namespace, tun, address, port, root } = options
  const now = () => performance.now()
  const sites = await Sites.open(servingOf(root), CACHE_OCTETS, now)
  const device = openTun({ name: tun, namespace })
  const random = new Random(Date.now())
  const core = new StandaloneCore(
    {
      id: 0,
      vips: Vips.parse(address, undefined, port),
      tcp: tcpConfig({}),
      limits: DEFAULT_LIMITS,
      idBase: 0,
      secret: random.octets(SECRET_OCTETS),
    },
    {
      transmit: batch => void device.send(batch),
      random: () => random.int32(),
      now,
      nowSecond: () => Math.floor(Date.now() / 1000),
      wallMs: Date.now,
      wake: () => driver.schedule(),
    },
    sites,
    { ...SERVER_LIMITS, pace: { ...SERVER_LIMITS.pace, idleMs: IDLE_MS } },
  )
  const driver = new Driver(core, device)
  process.on('message', message => {
    if (message === 'end') {
      driver.close()
      process.disconnect?.()
    } else process.send?.(holdingOf(core.owner))
  })
  process.send?.('ready')
}

function servingOf(root: string): ServingSettings {
  return {
    sites: [{ name: '', hosts: [], root, http: DEFAULT_HTTP_SETTINGS }],
    unknownHost: 'default',
    digest: '',
  }
}

function holdingOf(owner: Owner): Holding {
  const collect = (globalThis as { gc?: (how?: object) => void }).gc
  if (collect === undefined) throw new Error('needs --expose-gc')
  // The last resort alone leaves what was marked as living before it died; after it nearly empty pages are given back, too,
  // as in a process that has been at rest for a while.
  collect()
  collect({ type: 'major', execution: 'sync', flavor: 'last-resort' })
  const { heapUsed, external, rss } = process.memoryUsage()
  const { accepted, closed, resetsSent } = owner.counters
  return {
    connections: owner.connections,
    flows: owner.flows.size,
    timers: owner.usage().timers?.used ?? 0,
    heap: heapUsed,
    external,
    rss,
    accepted,
    closed,
    resets: resetsSent,
  }
}

serve(JSON.parse(process.argv[2] as string) as OwnerOptions).catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.stack : error}\n`)
  process.exitCode = 1
})
