/**
 * Two network namespaces with a TUN each, for a wire between them: the kernel's peer is on the left, and on the right are
 * a kernel of its own and an address that is routed on into a third TUN, for our TCP. Nothing leaves them.
 */
import { openTun, type TunDevice } from '../node/tun/tun-device.ts'
import { inNamespace, run } from './process.ts'

export const LEFT = '10.88.0.1'
export const RIGHT = '10.88.1.1'
/** Ours, behind the right kernel as a node's VIP is. */
export const OWN = '10.88.1.2'
const LEFT_TUN = 'wire-left'
const RIGHT_TUN = 'wire-right'
export const OWN_TUN = 'own'

let made = 0

export class Lab {
  readonly left: string
  readonly right: string

  private constructor(name: string) {
    this.left = `${name}-left`
    this.right = `${name}-right`
  }

  static async create(): Promise<Lab> {
    const lab = new Lab(`gyre-lab-${process.pid}-${made++}`)
    await run('ip', ['netns', 'add', lab.left])
    await run('ip', ['netns', 'add', lab.right])
    return lab
  }

  /** Opens both ends of the wire and configures them. */
  async openWire(): Promise<{ left: TunDevice; right: TunDevice }> {
    const left = openTun({ name: LEFT_TUN, namespace: this.left })
    const right = openTun({ name: RIGHT_TUN, namespace: this.right })
    await this.#configure(this.left, LEFT_TUN, LEFT, '10.88.1.0/24')
    await this.#configure(this.right, RIGHT_TUN, RIGHT, `${LEFT}/32`)
    return { left, right }
  }

  /** The TUN that our TCP answers from, for this process. */
  async openOwn(): Promise<TunDevice> {
    const own = openTun({ name: OWN_TUN, namespace: this.right })
    await this.routeOwn()
    return own
  }

  /** After the process that has our TCP opened its TUN. */
  routeOwn(): Promise<void> {
    return this.script(
      this.right,
      `ip link set ${OWN_TUN} txqueuelen 10000 up\nip route add ${OWN}/32 dev ${OWN_TUN}\n` +
        'echo 1 >/proc/sys/net/ipv4/ip_forward\n',
    )
  }

  async #configure(namespace: string, device: string, address: string, route: string): Promise<void> {
    await this.script(
      namespace,
      // A measurement before must not teach the next (tcp_metrics), and nobody else is on these links.
      'echo 1 >/proc/sys/net/ipv4/tcp_no_metrics_save\n' +
        'for file in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 0 >$file; done\n' +
        `ip link set lo up\nip link set ${device} txqueuelen 10000 up\n` +
        `ip address add ${address}/32 dev ${device}\nip route add ${route} dev ${device}\n`,
    )
  }

  /** Settings below /proc/sys/net/ipv4, on both sides. */
  async set(settings: Readonly<Record<string, number>>): Promise<void> {
    const lines = Object.entries(settings).map(
      ([name, value]) => `echo ${value} >/proc/sys/net/ipv4/${name}\n`,
    )
    await this.script(this.left, lines.join(''))
    await this.script(this.right, lines.join(''))
  }

  async script(namespace: string, lines: string): Promise<void> {
    await run(...inNamespace(namespace, '/bin/sh', ['-e', '-c', lines]))
  }

  async remove(): Promise<void> {
    await run('ip', ['netns', 'delete', this.left])
    await run('ip', ['netns', 'delete', this.right])
  }
}
