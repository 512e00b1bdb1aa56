/**
 * For tests only: a client and a server that exchange known octets over a pair of links, and check every one. The
 * server's octets are references, the client's are owned; either side may read slowly.
 */
import { ACK, RST, type Segment, SYN } from '../wire/segment.ts'
import { type TcpConfig, tcpConfig } from './config.ts'
import type { Content, Run } from './content.ts'
import { acceptSyn, connect } from './open.ts'
import { Host, Link, type LinkOptions, testFlow, World } from './pair.ts'
import type { Tcb } from './tcb.ts'
import { close, consume, contiguous, send, sendContent, unread, unreadOctets } from './user.ts'

/** Octet `index` of every stream. */
export function octetAt(index: number): number {
  return (index * 7 + (index >> 8) * 13 + (index >> 16) * 101) & 0xff
}

export function patternOctets(from: number, length: number): Uint8Array {
  const octets = new Uint8Array(length)
  for (let index = 0; index < length; index++) octets[index] = octetAt(from + index)
  return octets
}

export function patternContent(length: number, resident: () => boolean = () => true): Content {
  const octets = patternOctets(0, length)
  return {
    key: `/pattern/${length}`,
    length,
    locate(offset: number, run: Run) {
      run.octets = octets
      run.start = offset
      run.length = length - offset
      return run.length > 0 && resident()
    },
  }
}

export interface TransferOptions {
  seed: number
  /** Octets from server to client, and from client to server. */
  down: number
  up: number
  downLink: Partial<LinkOptions>
  upLink: Partial<LinkOptions>
  server: Partial<TcpConfig>
  client: Partial<TcpConfig>
  /** ms between readings of both ends; 0: at once. */
  readEveryMs: number
  /** Octets of each reading. */
  readOctets: number
  limitMs: number
}

const START_MS = 1_000

/** Checks the octets of one direction as they are read. */
export class Reader {
  octets = 0
  private readonly seed: number

  constructor(seed: number) {
    this.seed = seed
  }

  take(tcb: Tcb, most: number, now: number): void {
    for (let left = Math.min(most, unreadOctets(tcb)); left > 0; ) {
      const run = left > 3 && this.octets % 5 === 0 ? contiguous(tcb, Math.min(left, 300)) : unread(tcb)
      const count = Math.min(run.length, left)
      for (let at = 0; at < count; at++)
        if (run.octets[run.start + at] !== octetAt(this.octets + at))
          throw new Error(`SEED=${this.seed}: octet ${this.octets + at} differs`)
      this.octets += count
      left -= count
      consume(tcb, count, now)
    }
  }
}

export class Transfer {
  readonly world: World
  readonly client: Host
  readonly server: Host
  readonly options: TransferOptions
  readonly atClient: Reader
  readonly atServer: Reader
  readonly content: Content
  /** When the client had the last octet. */
  doneAt = 0
  private answered = false
  private uploaded = 0
  private readonly serverConfig: TcpConfig

  constructor(chosen: Partial<TransferOptions>) {
    this.options = {
      seed: 1,
      down: 0,
      up: 100,
      downLink: {},
      upLink: {},
      server: {},
      client: {},
      readEveryMs: 0,
      readOctets: 1_000_000_000,
      limitMs: 3_600_000,
      ...chosen,
    }
    const { options } = this
    this.world = new World(options.seed, START_MS)
    const toClient = new Link(this.world, options.downLink)
    const toServer = new Link(this.world, options.upLink)
    this.client = new Host(this.world, toServer)
    this.server = new Host(this.world, toClient)
    this.atClient = new Reader(options.seed)
    this.atServer = new Reader(options.seed)
    this.content = patternContent(options.down)
    this.serverConfig = tcpConfig({ ownerId: 3, ...options.server })
    toClient.deliver = segment => this.client.receive(segment)
    toServer.deliver = segment => this.route(segment)
    this.server.application = (_host, tcb) => this.serve(tcb)
    this.client.application = (_host, tcb) => this.consume(tcb)
  }

  /** How a packet finds the server; a test of moves puts its steering here. */
  route: (segment: Segment) => void = segment => this.arrive(segment)

  arrive(segment: Segment): void {
    const { server } = this
    if (server.tcb === undefined) {
      if ((segment.flags & (SYN | ACK | RST)) !== SYN) return
      server.tcb = acceptSyn(segment, this.serverConfig, 0x7fffff00, 12345, server.now)
      server.turn()
    } else server.receive(segment)
  }

  /** The server answers the first octets, and closes when the client has. */
  serve(tcb: Tcb): void {
    const { options } = this
    if (options.readEveryMs === 0) this.atServer.take(tcb, 1_000_000_000, this.server.now)
    if (!this.answered && this.atServer.octets > 0) {
      this.answered = true
      sendContent(tcb, this.content, 0, options.down)
    }
    if (tcb.state === 'CLOSE-WAIT' && unreadOctets(tcb) === 0) close(tcb)
  }

  /** The client uploads, reads, and closes its side once everything is sent. */
  consume(tcb: Tcb): void {
    const { options, world } = this
    if (options.readEveryMs === 0) this.atClient.take(tcb, 1_000_000_000, world.now)
    while (this.uploaded < options.up) {
      const piece = Math.min(50_000, options.up - this.uploaded)
      const taken = send(tcb, patternOctets(this.uploaded, piece))
      this.uploaded += taken
      if (taken < piece) break
    }
    if (this.uploaded === options.up && tcb.state !== 'SYN-SENT') close(tcb)
    if (this.doneAt === 0 && tcb.rcv.finKnown && this.atClient.octets === options.down)
      this.doneAt = world.now
  }

  run(): this {
    const { options, world, client, server } = this
    client.tcb = connect(
      tcpConfig({ ownerIdBits: 0, ...options.client }),
      testFlow(40000, 80),
      -5,
      99,
      world.now,
    )
    if (options.readEveryMs > 0) this.readSlowly()
    client.turn()
    world.run(START_MS + options.limitMs, () => this.done)
    if (!this.done)
      throw new Error(
        `SEED=${options.seed}: not done at ${world.now} ms: client ${client.tcb?.state} ${this.atClient.octets}, ` +
          `server ${server.tcb?.state} ${this.atServer.octets}`,
      )
    return this
  }

  private readSlowly(): void {
    const { client, server, options, world } = this
    const read = () => {
      if (this.done) return
      if (client.tcb !== undefined) this.atClient.take(client.tcb, options.readOctets, world.now)
      if (server.tcb !== undefined) this.atServer.take(server.tcb, options.readOctets, server.now)
      client.turn()
      server.turn()
      world.schedule(world.now + options.readEveryMs, read)
    }
    world.schedule(world.now + options.readEveryMs, read)
  }

  get done(): boolean {
    const { options } = this
    return this.doneAt > 0 && this.atServer.octets === options.up && this.server.tcb?.state === 'CLOSED'
  }

  /** ms from the SYN to the last octet. */
  get ms(): number {
    return this.doneAt - START_MS
  }
}
