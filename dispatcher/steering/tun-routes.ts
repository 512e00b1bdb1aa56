/**
 * The routes of an owner's TUN device: packets to the VIP go into it, and what comes out of it goes its way. The device
 * must be open; its routes go with it when it closes, the rest goes by `remove`. The VIP is never an address of any
 * device: then nothing on the machine answers ARP, or a segment, for it.
 */
import { readFile, writeFile } from 'node:fs/promises'
import { CommandError, runCommand } from './command.ts'
import { SteeringError } from './errors.ts'

/**
 * Super-packets that may wait for us to read: some 500 MB at most, reached only while the process stands still. With
 * the default of 500 a burst of new connections already loses SYNs.
 */
const QUEUE_PACKETS = 8192
/** Table and priority of the rule for packets that come out of a node's TUN. */
const RETURN_TABLE = 77
const RETURN_PRIORITY = 7700

export interface TunRoutesOptions {
  /** An open TUN device. */
  readonly device: string
  readonly vip: string
  readonly vip6: string | undefined
  /** The device of the LAN, where packets for the VIP arrive; undefined where only this machine itself sends any. */
  readonly lanDevice: string | undefined
  /**
   * For nodes: a packet to the VIP that is written to the TUN unchanged goes to the dispatcher, which knows what to
   * do with a flow that the node does not know. Undefined (on a dispatcher) it would come back.
   */
  readonly dispatcherAddress?: string | undefined
  readonly dispatcherAddress6?: string | undefined
}

export interface TunRoutes {
  /** Removes the rules for returned packets, which outlive the device. Idempotent. */
  remove(): Promise<void>
}

/** Rejects with a SteeringError of code ROUTES_FAILED. */
export async function bringUpTun(options: TunRoutesOptions): Promise<TunRoutes> {
  try {
    await setSysctls(options)
    await removeRules(options)
    await runCommand('ip', ['-batch', '-'], tunCommands(options, 4))
    if (options.vip6 !== undefined) await runCommand('ip', ['-6', '-batch', '-'], tunCommands(options, 6))
  } catch (cause) {
    const detail = cause instanceof CommandError ? cause.detail : ''
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new SteeringError('ROUTES_FAILED', `${options.device}: ${why}`, detail, cause)
  }
  return { remove: () => removeRules(options) }
}

/** Lines for `ip -batch`; pure. */
export function tunCommands(options: TunRoutesOptions, family: 4 | 6): string {
  const { device, vip, vip6, lanDevice, dispatcherAddress, dispatcherAddress6 } = options
  const target = family === 4 ? `${vip}/32` : `${vip6}/128`
  const dispatcher = family === 4 ? dispatcherAddress : dispatcherAddress6
  const lines = [`route replace ${target} dev ${device}`]
  if (family === 4) {
    // Without an address of its own the kernel says nothing on the device: no router solicitation, no MLD report.
    lines.unshift(`link set ${device} up txqueuelen ${QUEUE_PACKETS} mtu 1500 addrgenmode none`)
  }
  if (dispatcher !== undefined) {
    lines.push(
      `route replace ${target} via ${dispatcher} dev ${lanDevice} table ${RETURN_TABLE}`,
      `rule add iif ${device} lookup ${RETURN_TABLE} priority ${RETURN_PRIORITY}`,
    )
  }
  return `${lines.join('\n')}\n`
}

/**
 * Nodes answer clients directly, so packets come in where the way back is another: reverse path filtering must be
 * loose (2 holds even where `all` is strict).
 */
async function setSysctls({ device, vip6, lanDevice }: TunRoutesOptions): Promise<void> {
  const wanted: [string, string][] = [
    ['net/ipv4/ip_forward', '1'],
    [`net/ipv4/conf/${device}/rp_filter`, '2'],
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
    wanted.push(['net/ipv6/conf/all/forwarding', '1'], [`net/ipv6/conf/${device}/disable_ipv6`, '0'])
  }
  for (const [name, value] of wanted) {
    const path = `/proc/sys/${name}`
    // A write of the same value is not without effect: forwarding resets what hangs on it.
    if ((await readFile(path, 'utf8')).trim() !== value) await writeFile(path, value)
  }
}

async function removeRules({ device, vip6, dispatcherAddress }: TunRoutesOptions): Promise<void> {
  if (dispatcherAddress === undefined) return
  const rule = [
    'rule',
    'delete',
    'iif',
    device,
    'lookup',
    `${RETURN_TABLE}`,
    'priority',
    `${RETURN_PRIORITY}`,
  ]
  const families = vip6 === undefined ? ['-4'] : ['-4', '-6']
  for (const family of families) {
    try {
      await runCommand('ip', [family, ...rule])
    } catch (error) {
      // That there is none is the usual case.
      if (!(error instanceof CommandError) || error.code !== 'COMMAND_FAILED') throw error
    }
  }
}
