/**
 * Plays a scenario twice over one wire at the same time: the kernel against the kernel, and the kernel against our TCP.
 * Both connections get elements of their own with the same dice, and what the machine does to one it does to the other.
 */
import type { TcpConfig } from '../../node/tcp/config.ts'
import type { Device } from '../../node/tun/device.ts'
import { type EndReport, KernelPeer, type KernelReport, type PeerArguments } from '../kernel/peer.ts'
import { Programs } from '../kernel/program.ts'
import { Lab, LEFT, OWN, RIGHT } from '../lab.ts'
import { type Sighting, Wire } from '../wire/wire.ts'
import { type EndPlan, OwnEnd } from './own-end.ts'
import { elementsOf, type Scenario } from './scenario.ts'

/**
 * The wire tells connections apart by their port on the left. Each scenario has ports of its own: the last one's may still
 * be in TIME-WAIT.
 */
const FIRST_PORT = 2_000
const LAST_PORT = 30_000
/** Added on the left. */
const LEFT_PORTS = 30_000

/** One of the two connections of a scenario. */
export interface Outcome {
  readonly client: EndReport
  readonly server: EndReport
  /** The kernel's end on the left says what was negotiated. */
  readonly peer: KernelReport
  readonly wire: Sighting
}

export interface Played {
  readonly scenario: Scenario
  readonly kernel: Outcome
  readonly own: Outcome
}

export class Stage {
  readonly #lab: Lab
  readonly #programs: Programs
  #port = FIRST_PORT

  private constructor(lab: Lab, programs: Programs) {
    this.#lab = lab
    this.#programs = programs
  }

  static async open(): Promise<Stage> {
    return new Stage(await Lab.create(), await Programs.compile('peer'))
  }

  async play(scenario: Scenario): Promise<Played> {
    const { left, right } = await this.#lab.openWire()
    const device = await this.#lab.openOwn()
    const { timestamps, sack, windowScaling, ecn } = scenario.offer
    await this.#lab.set({
      tcp_timestamps: Number(timestamps),
      tcp_sack: Number(sack),
      tcp_window_scaling: Number(windowScaling),
      tcp_ecn: Number(ecn),
    })
    const wire = new Wire(left, right, scenario.seed, () => ({
      leftToRight: elementsOf(scenario, 0),
      rightToLeft: elementsOf(scenario, 1),
    }))
    try {
      const kernelPort = this.#nextPort()
      const ownPort = this.#nextPort()
      const own = this.#own(scenario, device, ownPort)
      const [kernelOutcome, ownOutcome] = await Promise.all([
        this.#connection(scenario, kernelPort, wire, undefined),
        this.#connection(scenario, ownPort, wire, own).finally(() => own.close()),
      ])
      return { scenario, kernel: kernelOutcome, own: ownOutcome }
    } finally {
      wire.close()
      device.close()
    }
  }

  async close(): Promise<void> {
    await this.#lab.remove()
    await this.#programs.remove()
  }

  #nextPort(): number {
    if (this.#port > LAST_PORT) this.#port = FIRST_PORT
    return this.#port++
  }

  #own(scenario: Scenario, device: Device, port: number): OwnEnd {
    const { offer, mss, subjectReceiveOctets, seed, subject } = scenario
    const window =
      subjectReceiveOctets === 0
        ? {}
        : { receiveInitialOctets: subjectReceiveOctets, receiveMaxOctets: subjectReceiveOctets }
    const tcp: Partial<TcpConfig> = { ...offer, ...window, ...(mss === 0 ? {} : { mssV4: mss }) }
    return new OwnEnd({ device, address: OWN, port, tcp, plan: scenario[subject], seed })
  }

  /** Starts the server, then the client, and waits for both. */
  async #connection(
    scenario: Scenario,
    rightPort: number,
    wire: Wire,
    own: OwnEnd | undefined,
  ): Promise<Outcome> {
    const { subject } = scenario
    const leftPort = LEFT_PORTS + rightPort
    const leftEnds = {
      local: LEFT,
      localPort: leftPort,
      remote: own === undefined ? RIGHT : OWN,
      port: rightPort,
    }
    const rightEnds = { local: RIGHT, localPort: rightPort, remote: LEFT, port: leftPort }
    const onLeft = { ...leftEnds, rcvbuf: scenario.peerReceiveOctets }
    const onRight = { ...rightEnds, rcvbuf: scenario.subjectReceiveOctets }
    const peers: KernelPeer[] = []
    const kernelEnd = (role: 'client' | 'server', namespace: string, ends: PeerArguments) => {
      const args = { role: role === 'client' ? 'connect' : 'listen', mss: scenario.mss, ...ends }
      const peer = new KernelPeer(this.#programs, namespace, { ...args, ...planned(scenario[role]) })
      peers.push(peer)
      return peer
    }
    const { left, right } = this.#lab
    try {
      const other = subject === 'client' ? 'server' : 'client'
      if (subject === 'client') {
        const peer = kernelEnd('server', left, onLeft)
        await peer.ready
        const client = own ?? kernelEnd('client', right, onRight)
        own?.connect(LEFT, leftPort, rightPort)
        return await outcome(client, peer, peer, wire.sighting(leftPort))
      }
      const server = own ?? kernelEnd('server', right, onRight)
      if (server instanceof KernelPeer) await server.ready
      const peer = kernelEnd(other, left, onLeft)
      return await outcome(peer, server, peer, wire.sighting(leftPort))
    } finally {
      for (const peer of peers) peer.kill()
    }
  }
}

async function outcome(
  client: KernelPeer | OwnEnd,
  server: KernelPeer | OwnEnd,
  peer: KernelPeer,
  wire: Sighting,
): Promise<Outcome> {
  const [clientReport, serverReport, peerReport] = await Promise.all([
    client.report,
    server.report,
    peer.report,
  ])
  return { client: clientReport, server: serverReport, peer: peerReport, wire }
}

function planned(plan: EndPlan): PeerArguments {
  return { ...plan }
}
