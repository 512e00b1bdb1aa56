import { pack, unpack } from 'msgpackr'
import { RST, type Segment } from '../wire/segment.ts'
import { adopt } from './adoption.ts'
import { tcpConfig } from './config.ts'
import { TIMED_OUT } from './events.ts'
import { seededRandom } from './pair.ts'
import { Transfer, type TransferOptions } from './pair-transfer.ts'
import { exportTcb, importTcb } from './snapshot.ts'

interface MoveOptions {
  /** Moves at every so many packets that arrive at the server. */
  everyPackets: number
  transitMs: number
  /** A straggler takes so long from the old owner to the new one. */
  forwardMs: number
}

const OWNERS = [3, 5, 1, 200]

/** A transfer whose server changes owner again and again; returns what the client was sent. */
class MovingTransfer extends Transfer {
  moves = 0
  stragglers = 0
  snapshotOctets = 0
  private readonly move: MoveOptions
  private owner = 0
  private packets = 0
  private moving = false
  private readonly held: Segment[] = []
  private lastTsVal: number | undefined

  constructor(options: Partial<TransferOptions>, move: MoveOptions) {
    super(options)
    this.move = move
    this.route = segment => this.steer(segment)
    this.server.onTransmit = out => {
      if ((out.flags & RST) !== 0) throw new Error(`SEED=${this.options.seed}: the server sent RST`)
      if (!out.hasTimestamps) return
      if (this.lastTsVal !== undefined && ((out.tsVal - this.lastTsVal) | 0) < 0)
        throw new Error(`SEED=${this.options.seed}: TSval stepped back`)
      this.lastTsVal = out.tsVal
    }
  }

  /** The gateway: by the id in TSecr; what goes to an old owner comes late. */
  private steer(segment: Segment): void {
    const { move, world } = this
    const id = segment.tsEcr & 0xff
    const isSyn = (segment.flags & 2) !== 0
    if (!isSyn && segment.hasTimestamps && id !== OWNERS[this.owner]) {
      this.stragglers++
      world.schedule(world.now + move.forwardMs, () => this.deliver(segment))
    } else this.deliver(segment)
  }

  private deliver(segment: Segment): void {
    if (this.moving) {
      this.held.push(segment)
      return
    }
    this.arrive(segment)
    this.packets++
    const { tcb } = this.server
    if (tcb === undefined || tcb.state === 'CLOSED') return
    if (this.packets % this.move.everyPackets === 0) this.shift()
  }

  private shift(): void {
    const { server, world, move } = this
    const { tcb } = server
    if (tcb === undefined) return
    const packed = pack(exportTcb(tcb, server.now))
    this.snapshotOctets = Math.max(this.snapshotOctets, packed.length)
    this.moving = true
    server.tcb = undefined
    this.owner = (this.owner + 1) % OWNERS.length
    world.schedule(world.now + move.transitMs, () => {
      const ownerId = OWNERS[this.owner] as number
      server.skewMs = ownerId * 1_234_567.89
      const config = tcpConfig({ ...tcb.config, ownerId })
      const imported = importTcb(unpack(packed), config, server.now - move.transitMs, key =>
        key === this.content.key ? this.content : undefined,
      )
      if (typeof imported === 'string') throw new Error(`SEED=${this.options.seed}: ${imported}`)
      adopt(imported, ownerId, server.now)
      this.moves++
      this.moving = false
      server.tcb = imported
      server.turn()
      for (const segment of this.held.splice(0)) this.deliver(segment)
    })
  }
}

describe('a move at packet boundaries', () => {
  it('works', () => {
    const t0 = performance.now()
    let n = 0
    for (let seed = 1; seed < 800 && performance.now() - t0 < 60000; seed++) {
      const random = seededRandom(seed * 31337)
      const delayMs = random() < 0.5 ? 0.1 + random() : random() * 60
      const link = () => ({
        delayMs,
        jitterMs: random() < 0.5 ? 0 : random() * delayMs,
        loss: random() < 0.3 ? 0 : random() * 0.06,
        duplicate: random() < 0.6 ? 0 : random() * 0.05,
        merge: random() < 0.5,
        rate: random() < 0.5 ? Number.POSITIVE_INFINITY : 100 + random() * 10000,
        queueOctets: 20_000 + random() * 200_000,
        ecn: random() < 0.5,
      })
      const chosen = {
        seed,
        down: Math.floor(random() ** 3 * 1_000_000),
        up: 1 + Math.floor(random() ** 3 * 500_000),
        downLink: link(),
        upLink: link(),
        client: {
          sack: random() < 0.8,
          timestamps: random() < 0.9,
          receiveInitialOctets: random() < 0.7 ? 65535 : 2000 + Math.floor(random() * 9000),
        },
        readEveryMs: random() < 0.7 ? 0 : random() * 50,
        readOctets: random() < 0.5 ? 1e9 : 1000 + Math.floor(random() * 30000),
      }
      const move = {
        everyPackets: 1 + Math.floor(random() * 20),
        transitMs: random() * 2,
        forwardMs: random() * 5,
      }
      const t = new MovingTransfer(chosen, move)
      try {
        t.run()
        n++
        if (seed % 50 === 0)
          console.log(seed, t.moves, t.stragglers, t.snapshotOctets, t.ms, JSON.stringify(move))
      } catch (error) {
        console.log(
          seed,
          JSON.stringify(chosen),
          JSON.stringify(move),
          (error as Error).stack,
          t.moves,
          t.server.events & TIMED_OUT,
        )
        throw error
      }
    }
    console.log(n)
  }, 100_000)
})
