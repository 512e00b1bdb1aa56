/**
 * A server on our TCP that sends endless octets by reference to whoever connects, as a node sends a cached file: a process
 * of its own for `command.ts`, so that the wire and the server do not wait for each other. It is told what to open, says
 * when it listens, and at the end how its connections did.
 */
import { Driver } from '../../node/stack/driver.ts'
import type { Content, Run } from '../../node/tcp/content.ts'
import { ESTABLISHED } from '../../node/tcp/events.ts'
import { sendContent } from '../../node/tcp/user.ts'
import { openTun } from '../../node/tun/tun-device.ts'
import { octetBlock } from '../differential/octets.ts'
import { ownOwner } from '../own-owner.ts'
import { Random } from '../sim/network/random.ts'

export interface SourceOptions {
  readonly namespace: string
  readonly tun: string
  readonly address: string
  readonly port: number
  readonly seed: number
}

/** More than any measurement takes. */
const ENDLESS_OCTETS = 2 ** 46
/** TCP counters that say how it went. */
const SHOWN = [
  'RetransSegs',
  'TCPTimeouts',
  'TCPFastRetrans',
  'TCPSpuriousRTOs',
  'TCPDSACKUndo',
  'TCPLossProbes',
] as const

class EndlessContent implements Content {
  readonly key = 'endless'
  readonly length = ENDLESS_OCTETS
  readonly #block: Uint8Array

  constructor(block: Uint8Array) {
    this.#block = block
  }

  locate(offset: number, run: Run): boolean {
    run.octets = this.#block
    run.start = offset % this.#block.length
    run.length = this.#block.length - run.start
    return true
  }
}

function serve(options: SourceOptions): void {
  const { namespace, tun, address, port, seed } = options
  const content = new EndlessContent(octetBlock(seed))
  const device = openTun({ name: tun, namespace })
  const owner = ownOwner({
    device,
    address,
    port,
    tcp: {},
    random: new Random(Date.now()),
    application: {
      accepted: () => {},
      advanced: (connection, events, now) => {
        if ((events & ESTABLISHED) !== 0) sendContent(connection.tcb, content, 0, ENDLESS_OCTETS, now)
      },
    },
  })
  const driver = new Driver(owner, device)
  process.on('message', () => {
    driver.close()
    const counters = owner.config.tcp.counters as unknown as Record<string, number>
    process.send?.(Object.fromEntries(SHOWN.map(name => [name, counters[name] ?? 0])))
    process.disconnect?.()
  })
  process.send?.('ready')
}

serve(JSON.parse(process.argv[2] as string) as SourceOptions)
