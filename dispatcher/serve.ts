/**
 * The program of a server without a cluster: a TUN, files and a clock for `StandaloneCore`. It accepts, serves and ends
 * its connections itself.
 */
import { randomBytes, randomFillSync } from 'node:crypto'
import { AccessLog } from '../node/server/access-log.ts'
import { originOptions } from '../node/server/origin-options.ts'
import { siteReloader } from '../node/server/site-reloader.ts'
import { Sites } from '../node/server/sites.ts'
import { StandaloneCore } from '../node/server/standalone.ts'
import { Driver } from '../node/stack/driver.ts'
import { DEFAULT_LIMITS } from '../node/stack/limits.ts'
import { Vips } from '../node/stack/vips.ts'
import { tcpConfig } from '../node/tcp/config.ts'
import { openTun } from '../node/tun/tun-device.ts'
import type { Configuration, RunningRole, ServeOptions } from './options.ts'
import { bringUpTun, FIRST_METRIC } from './steering/tun-routes.ts'

const OWNER_ID = 0
const SECRET_OCTETS = 32

/** Rejects where the files cannot be read or the device cannot be made; the device goes when the process ends. */
export async function runServe(options: ServeOptions, configuration: Configuration): Promise<RunningRole> {
  const { cacheOctets, tun, vip, vip6, port, lan } = options
  const now = () => performance.now()
  const sites = await Sites.open(
    configuration.serving,
    cacheOctets,
    now,
    originOptions(configuration.limits.origin, text => process.stderr.write(`${text}\n`)),
  )
  const device = openTun({ name: tun })
  device.onError = error => {
    throw error
  }
  const log = AccessLog.open(configuration.accessLog, 'gyre', warn)
  const { serving } = configuration
  const reloader = siteReloader(
    serving,
    () => configuration.reload(),
    sites,
    () => core.site,
    now,
  )
  const core = new StandaloneCore(
    {
      id: OWNER_ID,
      vips: Vips.parse(vip, vip6, port),
      tcp: tcpConfig({ ownerId: OWNER_ID }),
      limits: DEFAULT_LIMITS,
      idBase: 0,
      secret: randomBytes(SECRET_OCTETS),
    },
    {
      transmit: batch => void device.send(batch),
      random: randomInt32,
      now,
      nowSecond: () => Math.floor(Date.now() / 1000),
      wallMs: Date.now,
      wake: () => driver.schedule(),
      log: log && (access => log.add(access)),
    },
    sites,
    configuration.limits,
  )
  const driver = new Driver(core, device)
  await bringUpTun({ device: tun, vip, vip6, lanDevice: lan, metric: FIRST_METRIC })
  return {
    reload: () => reloader.reload(),
    reopen: () => log?.reopen(),
    stop: async () => {
      driver.close()
      log?.close()
    },
  }
}

function warn(error: Error): void {
  process.stderr.write(`access log: ${error.message}\n`)
}

const pool = new Int32Array(1024)
let left = 0

/** From a pool: one call of the system's generator costs as much as accepting a connection. */
function randomInt32(): number {
  if (left === 0) {
    randomFillSync(pool)
    left = pool.length
  }
  return pool[--left] as number
}
