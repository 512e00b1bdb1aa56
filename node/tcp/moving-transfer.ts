/**
 * For tests only: a transfer whose server changes owner again and again, between machines whose clocks differ.
 * The gateway steers by TSecr, what goes to an old owner is forwarded late, and what arrives during a move is held.
 */
import { RST, type Segment, SYN } from '../wire/segment.ts'
import { adopt } from './adoption.ts'
import { tcpConfig } from './config.ts'
import { Transfer, type TransferOptions } from './pair-transfer.ts'
import { exportTcb, importTcb } from './snapshot.ts'
import type { Tcb } from './tcb.ts'

export interface MoveOptions {
  /** Moves at every so many packets that arrive at the server; 0: never. */
  everyPackets: number
  transitMs: number
  /** A straggler takes so long from the old owner to the new one. */
  forwardMs: number
}

const OWNERS = [3, 5, 1, 200]
/** Each move makes the client answer: where every packet moves the server, an idle connection would never rest. */
const MAX_MOVES = 300

export class MovingTransfer extends Transfer {
  moves = 0
  stragglers = 0
  private readonly move: MoveOptions
  private readonly carry: (plain: unknown[]) => unknown
  private owner = 0
  private packets = 0
  private moving = false
  private readonly held: Segment[] = []
  private lastTsVal: number | undefined

  /** `carry` packs and unpacks a snapshot, as the link between the owners does. */
  constructor(options: Partial<TransferOptions>, move: MoveOptions, carry: (plain: unknown[]) => unknown) {
    super(options)
    this.move = move
    this.carry = carry
    this.route = segment => this.steer(segment)
    this.server.onTransmit = out => {
      if ((out.flags & RST) !== 0) throw new Error(`SEED=${this.options.seed}: the server sent RST`)
      if (!out.hasTimestamps) return
      if (this.lastTsVal !== undefined && ((out.tsVal - this.lastTsVal) | 0) < 0)
        throw new Error(`SEED=${this.options.seed}: TSval stepped back`)
      this.lastTsVal = out.tsVal
    }
  }

  private steer(segment: Segment): void {
    const { move, world } = this
    const stray = segment.hasTimestamps && (segment.tsEcr & 0xff) !== OWNERS[this.owner]
    if (stray && (segment.flags & SYN) === 0) {
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
    if (this.move.everyPackets === 0 || this.moves >= MAX_MOVES) return
    if (this.packets % this.move.everyPackets === 0) this.shift(tcb)
  }

  private shift(tcb: Tcb): void {
    const { server, world, move } = this
    const plain = exportTcb(tcb, server.now)
    const carried = this.carry(plain)
    this.moving = true
    server.tcb = undefined
    this.owner = (this.owner + 1) % OWNERS.length
    world.schedule(world.now + move.transitMs, () => this.commit(tcb, carried))
  }

  private commit(before: Tcb, carried: unknown): void {
    const { server, move } = this
    const ownerId = OWNERS[this.owner] as number
    server.skewMs = ownerId * 1_234_567.89
    const config = tcpConfig({ ...before.config, ownerId })
    const imported = importTcb(carried, config, server.now - move.transitMs, key =>
      key === this.content.key ? this.content : undefined,
    )
    if (typeof imported === 'string') throw new Error(`SEED=${this.options.seed}: ${imported}`)
    adopt(imported, ownerId, server.now)
    this.moves++
    this.moving = false
    server.tcb = imported
    server.turn()
    for (const segment of this.held.splice(0)) this.deliver(segment)
  }
}
