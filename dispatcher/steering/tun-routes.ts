/**
 * The routes of an owner's TUN device: packets to the VIP go into it, and what comes out of it goes its way. The device
 * must be open; its routes go with it. The VIP is never an address of any device: then nothing on the machine answers
 * ARP, or a segment, for it.
 */
import { readFile, writeFile } from 'node:fs/promises'
import { CommandError, runCommand } from './command.ts'
import { SteeringError } from './errors.ts'

/**
 * Super-packets that may wait for us to read: some 500 MB at most, reached only while the process stands still. With
 * the default of 500 a burst of new connections already loses SYNs.
 */
const QUEUE_PACKETS = 8192

/** The route that instances share has 1. */
export const FIRST_METRIC = 2
/** Behind every other route that there may be for the VIP. */
const DROPPED_METRIC = 1_000_000

export interface TunRoutesOptions {
  /** An open TUN device. */
  readonly device: string
  readonly vip: string
  readonly vip6: string | undefined
  /** The device of the LAN, where packets for the VIP arrive; undefined where only this machine itself sends any. */
  readonly lanDevice: string | undefined
  /** Of the routes: FIRST_METRIC or more, and another for each instance on a machine. */
  readonly metric: number
  /**
   * Has a route stay that drops what comes while there is no device, as between a dispatcher's death and its next start. By the
   * default route a SYN would go back to the gateway, and round until its TTL ends; clients give up by the ICMP error that
   * follows (RFC 5461), where a SYN that is lost is sent again.
   */
  readonly dropsWithout?: boolean
}

/** May be called again. Rejects with a SteeringError of code ROUTES_FAILED. */
export async function bringUpTun(options: TunRoutesOptions): Promise<void> {
  try {
    await setSysctls(options)
    await runCommand('ip', ['-batch', '-'], tunCommands(options, 4))
    if (options.vip6 !== undefined) await runCommand('ip', ['-6', '-batch', '-'], tunCommands(options, 6))
  } catch (cause) {
    const detail = cause instanceof CommandError ? cause.detail : ''
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new SteeringError('ROUTES_FAILED', `${options.device}: ${why}`, detail, cause)
  }
}

/** Lines for `ip -batch`; pure. */
export function tunCommands(options: TunRoutesOptions, family: 4 | 6): string {
  const { device, vip, vip6, metric, dropsWithout = false } = options
  const target = family === 4 ? `${vip}/32` : `${vip6}/128`
  const dropped = dropsWithout ? `route replace blackhole ${target} metric ${DROPPED_METRIC}\n` : ''
  const route = `route replace ${target} dev ${device} metric ${metric}\n${dropped}`
  if (family === 6) return route
  // Without an address of its own the kernel says nothing on the device: no router solicitation, no MLD report.
  return `link set ${device} up txqueuelen ${QUEUE_PACKETS} mtu 1500 addrgenmode none\n${route}`
}

/**
 * Lines for `ip -batch` that bring up the TUNs of several instances and route the IPv4 VIP to all at once; pure. Only
 * packets that name nobody go by this route. But the kernel takes a packet from a device for spoofed unless the route
 * back to its source, the VIP, has that device (loose filtering, too, where a device has no address), so there is one
 * route with all of them, before those of each (`metric`). IPv6 has no such check.
 */
export function sharedRouteCommands(devices: readonly string[], vip: string): string {
  const up = devices.map(device => `link set ${device} up\n`)
  const hops = devices.map(device => ` nexthop dev ${device}`)
  return `${up.join('')}route replace ${vip}/32 metric 1${hops.join('')}\n`
}

/**
 * Nodes answer clients directly, so packets come in where the way back is another: reverse path filtering must be
 * loose (2 holds even where `all` is strict).
 */
async function setSysctls({ device, vip6, lanDevice }: TunRoutesOptions): Promise<void> {
  const wanted: [string, string][] = [
    ['net/ipv4/ip_forward', '1'],
    [`net/ipv4/conf/${device}/rp_filter`, '2'],
    // A device that outlives its process has no carrier meanwhile: then another instance's route holds.
    [`net/ipv4/conf/${device}/ignore_routes_with_linkdown`, '1'],
  ]
  if (lanDevice !== undefined) {
    wanted.push(
      [`net/ipv4/conf/${lanDevice}/rp_filter`, '2'],
      // A node that passes a packet on over the same wire must not teach the sender a shorter way.
      [`net/ipv4/conf/${lanDevice}/send_redirects`, '0'],
      ['net/ipv4/conf/all/send_redirects', '0'],
    )
  }
  if (vip6 !== undefined) {
    wanted.push(
      ['net/ipv6/conf/all/forwarding', '1'],
      [`net/ipv6/conf/${device}/disable_ipv6`, '0'],
      [`net/ipv6/conf/${device}/ignore_routes_with_linkdown`, '1'],
    )
  }
  for (const [name, value] of wanted) {
    const path = `/proc/sys/${name}`
    // A write of the same value is not without effect: forwarding resets what hangs on it.
    if ((await readFile(path, 'utf8')).trim() !== value) await writeFile(path, value)
  }
}
