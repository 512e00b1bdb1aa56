/**
 * The program of a node: a TUN, links to the dispatchers and to every other node, files and a clock for `NodeCore`.
 * Everything with a state of its own is in the parts that it joins.
 */
import { randomBytes } from 'node:crypto'
import { DEFAULT_DRAIN_MS } from '../dispatcher/admin/api.ts'
import { openCoordinator } from '../dispatcher/coordination/open.ts'
import { transmitter } from '../dispatcher/coordination/transmitter.ts'
import { formatEndpoint } from '../dispatcher/flags.ts'
import { linkKeys } from '../dispatcher/link-security.ts'
import type { Configuration, NodeOptions, RunningRole, Unleased } from '../dispatcher/options.ts'
import { dropPrivileges } from '../dispatcher/privileges.ts'
import { bringUpTun, FIRST_METRIC } from '../dispatcher/steering/tun-routes.ts'
import { runApp } from './app/run-app.ts'
import { provideRuntime } from './app/runtime.ts'
import type { LinkError } from './control/errors.ts'
import { FailureNotices } from './control/failure-notices.ts'
import { type Hello, PROTOCOL_VERSION } from './control/hello.ts'
import { Mesh } from './control/mesh.ts'
import { AccessLog } from './server/access-log.ts'
import { NodeCore } from './server/core.ts'
import type { Member } from './server/messages.ts'
import { originOptions } from './server/origin-options.ts'
import { noteShift } from './server/shift-note.ts'
import { siteReloader } from './server/site-reloader.ts'
import { Sites } from './server/sites.ts'
import { Driver } from './stack/driver.ts'
import { DEFAULT_LIMITS } from './stack/limits.ts'
import { Vips } from './stack/vips.ts'
import { tcpConfig } from './tcp/config.ts'
import { openRecordedTun, recordingOf } from './tun/recording.ts'

/** For saying goodbye, after the connections have been given away. */
const STOP_GRACE_MS = 3_000

export async function runNode(
  options: Unleased<NodeOptions>,
  configuration: Configuration,
): Promise<RunningRole> {
  const { name, cluster, listen } = options
  const keys = await linkKeys(options, [listen, ...options.dispatchers])
  const coordinator = await openCoordinator(options, 'node', options.dispatchers)
  const lease = await coordinator.lease(options.id)
  const { id } = lease
  const now = () => performance.now()
  const sites = await Sites.open(
    configuration.serving,
    options.cacheOctets,
    now,
    originOptions(configuration.limits.origin, say),
  )
  const recording = recordingOf(options.pcap, options.pcapOctets, say)
  const { device, tun, note, finish } = openRecordedTun(options.tun, recording)
  device.onError = error => {
    throw error
  }
  await bringUpTun({
    device: options.tun,
    vip: options.vip,
    vip6: options.vip6,
    lanDevice: options.lan,
    metric: FIRST_METRIC + id,
  })
  dropPrivileges(options.user)

  // A node serves from when a dispatcher knows it; before, nothing would be placed here.
  let welcomed: () => void = () => {}
  const welcome = new Promise<void>(resolve => {
    welcomed = resolve
  })
  const hello: Hello = {
    protocol: PROTOCOL_VERSION,
    cluster,
    ownerId: id,
    role: 'node',
    name,
    incarnation: lease.run,
    addresses: options.address6 === undefined ? [options.address] : [options.address, options.address6],
    capabilities: [`control=${formatEndpoint(listen)}`],
  }
  let stopped: Promise<void> | undefined
  const notices = new FailureNotices(say, now())
  // A cluster that ends is no news.
  const failed = (error: LinkError) => {
    if (stopped === undefined) notices.note('the dispatcher', error, now())
  }
  const mesh = new Mesh({
    hello: () => hello,
    keys,
    random: Math.random,
    onMessage: (link, message) => {
      if (Array.isArray(message)) {
        if (note !== undefined) noteShift(note, link.peer.ownerId, id, message)
        core.receiveMessage(link.peer.ownerId, message, now())
      }
      driver.schedule()
    },
    onUp: (link, restarted) => {
      core.peerUp(link.peer.ownerId, link.peer.role === 'dispatcher', restarted, now())
      driver.schedule()
    },
    onDown: (link, reason) => {
      if (link.peer.role === 'dispatcher') failed(reason)
      core.peerDown(link.peer.ownerId, now())
      driver.schedule()
    },
    onFailure: (address, error) => {
      if (!mesh.dials(address)) return
      if (error.code === 'OWNER_CONFLICT') lease.suspect()
      failed(error)
    },
  })
  const log = AccessLog.open(configuration.accessLog, name, warn)
  const { serving } = configuration
  const reloader = siteReloader(
    serving,
    () => configuration.reload(),
    sites,
    () => core.site,
    now,
  )
  const core = new NodeCore(
    {
      id,
      vips: Vips.parse(options.vip, options.vip6, options.port),
      tcp: tcpConfig({ ownerId: id, ownerIdBits: options.ownerIdBits }),
      mode: options.mode,
      limits: DEFAULT_LIMITS,
      idBase: 0,
      // A node never accepts: what has no owner goes to a dispatcher.
      secret: undefined,
    },
    {
      transmit: transmitter(device, lease),
      send: (to, envelope) => {
        if (note !== undefined) noteShift(note, id, to, envelope)
        return mesh.send(to, envelope)
      },
      sendDroppable: (to, envelope) => mesh.sendDroppable(to, envelope),
      hasten: to => mesh.link(to)?.flush(),
      reachable: to => mesh.isUp(to),
      random: () => randomBytes(4).readInt32LE(),
      now,
      nowSecond: () => Math.floor(Date.now() / 1000),
      roster: members => {
        mesh.setPeers(peersOf(members, id))
        welcomed()
      },
      wake: () => driver.schedule(),
      device: () => tun.counters(),
      links: () => mesh.report(),
      reloader,
      log: log && (access => log.add(access)),
      reopen: () => log?.reopen(),
      logged: () => log?.counters,
    },
    sites,
    configuration.limits,
  )
  const driver = new Driver(core, device)
  if (options.app !== undefined) {
    provideRuntime(core.runtime)
    // Its ports are open when the dispatchers hear of this node.
    await runApp(options.app)
  }
  await mesh.listen(listen.port, listen.host)
  coordinator.watch(addresses => mesh.dial(addresses))
  await welcome

  const leave = () =>
    new Promise<void>(left => {
      core.leave(DEFAULT_DRAIN_MS, now(), left)
      driver.schedule()
    })
  return {
    reload: () => reloader.reload(),
    reopen: () => log?.reopen(),
    // What it owns lives on elsewhere, where there is somebody to take it.
    stop: () => {
      stopped ??= leave()
        .then(() => mesh.close())
        .finally(() => {
          driver.close()
          log?.close()
          return Promise.all([finish(), coordinator.close()])
        })
        .then(() => {})
      return stopped
    },
    stopTimeoutMs: DEFAULT_DRAIN_MS + STOP_GRACE_MS,
  }
}

function warn(error: Error): void {
  say(`access log: ${error.message}`)
}

function peersOf(members: readonly Member[], own: number) {
  return members.filter(member => member.id !== own).map(({ id, url }) => ({ id, address: url }))
}

function say(text: string): void {
  process.stderr.write(`${text}\n`)
}
