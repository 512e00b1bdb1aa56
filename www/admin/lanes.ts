/**
 * Socket lanes: a band for each owner, a thread for each socket in its owner's band, a slanted stroke for each shift, and the
 * last minute moving to the left. The threads of a node that dies leave it like a comb.
 */
import type { FeedShift } from './api.ts'
import { FONT, type Picture } from './canvas.ts'
import { BUSY_MS, type Cluster, type Socket } from './cluster.ts'
import { colourOf, themeOf } from './palette.ts'

const SPAN_MS = 60_000
/** Pieces of threads remembered; with more, the oldest go first. */
const MAX_PIECES = 12_000
const LABEL_WIDTH = 92
const GAP = 6
/** Half the width of a shift's stroke in time. */
const SLANT_MS = 180
const MIN_SLOTS = 4

interface Piece {
  readonly id: number
  readonly owner: number
  readonly slot: number
  readonly from: number
  /** Infinity while it goes on. */
  to: number
  readonly busy: boolean
}

interface Stroke {
  readonly at: number
  readonly fromOwner: number
  readonly fromSlot: number
  readonly toOwner: number
  readonly toSlot: number
  /** When the clone began to be made; NaN where the feed did not tell. */
  readonly clonedAt: number
}

export class Lanes implements Picture {
  readonly canvas: HTMLCanvasElement
  readonly #cluster: Cluster
  #pieces: Piece[] = []
  #strokes: Stroke[] = []
  /** The piece of each socket that goes on. */
  readonly #open = new Map<number, Piece>()
  /** Which slots of a band are taken. */
  readonly #slots = new Map<number, (number | undefined)[]>()
  /** Of the drawing under way. */
  #now = 0

  constructor(canvas: HTMLCanvasElement, cluster: Cluster) {
    this.canvas = canvas
    this.#cluster = cluster
    cluster.watch({
      opened: (socket, at) => this.#begin(socket, at),
      moved: (socket, from, at, shift) => this.#moved(socket, from, at, shift),
      ended: (socket, at) => this.#end(socket.id, at),
      framed: ({ at }) => this.#framed(at),
    })
  }

  draw(context: CanvasRenderingContext2D, width: number, height: number): void {
    const owners = this.#cluster.owners
    if (owners.length === 0) return
    this.#now = this.#cluster.now()
    const band = (height - GAP * (owners.length - 1)) / owners.length
    const tops = new Map(owners.map(({ id }, index) => [id, index * (band + GAP)]))
    const theme = themeOf()
    context.font = FONT
    for (const { id, name, role, state, connections } of owners) {
      const top = tops.get(id) as number
      context.fillStyle = theme.sunk
      context.fillRect(LABEL_WIDTH, top, width - LABEL_WIDTH, band)
      context.fillStyle = state === 'down' ? theme.bad : colourOf(id, role)
      context.fillRect(LABEL_WIDTH - 4, top, 3, band)
      if (band < 9) continue
      context.textBaseline = 'middle'
      context.fillStyle = theme.ink
      context.fillText(name, 0, top + band / 2 - (band > 30 ? 8 : 0), LABEL_WIDTH - 10)
      if (band <= 30) continue
      context.fillStyle = theme.soft
      context.fillText(state === 'up' ? `${connections}` : state, 0, top + band / 2 + 9, LABEL_WIDTH - 10)
    }
    this.#drawPieces(context, width, band, tops)
    this.#drawStrokes(context, width, band, tops)
  }

  /** By colour and brightness, so that the canvas changes its state seldom. Pieces are level, so they are filled. */
  #drawPieces(
    context: CanvasRenderingContext2D,
    width: number,
    band: number,
    tops: ReadonlyMap<number, number>,
  ): void {
    const scale = (width - LABEL_WIDTH) / SPAN_MS
    for (const { id: owner, role } of this.#cluster.owners) {
      const top = tops.get(owner) as number
      const slots = this.#capacity(owner)
      const thick = Math.max(1, Math.min(3, band / slots - 1))
      context.fillStyle = colourOf(owner, role)
      for (const busy of [false, true]) {
        context.globalAlpha = busy ? 1 : 0.38
        for (const piece of this.#pieces) {
          if (piece.owner !== owner || piece.busy !== busy) continue
          const x = Math.max(LABEL_WIDTH, width - (this.#now - piece.from) * scale)
          const end = Math.min(width, width - (this.#now - Math.min(piece.to, this.#now)) * scale)
          if (end <= LABEL_WIDTH) continue
          const y = yOf(top, band, slots, piece.slot)
          context.fillRect(x, y - thick / 2, Math.max(1, end - x), thick)
        }
      }
    }
    context.globalAlpha = 1
  }

  #drawStrokes(
    context: CanvasRenderingContext2D,
    width: number,
    band: number,
    tops: ReadonlyMap<number, number>,
  ): void {
    const scale = (width - LABEL_WIDTH) / SPAN_MS
    const { ink } = themeOf()
    context.lineWidth = 1.5
    context.strokeStyle = ink
    context.globalAlpha = 0.75
    context.beginPath()
    for (const stroke of this.#strokes) {
      const from = tops.get(stroke.fromOwner)
      const to = tops.get(stroke.toOwner)
      const x = width - (this.#now - stroke.at) * scale
      if (from === undefined || to === undefined || x < LABEL_WIDTH + 4) continue
      const y0 = yOf(from, band, this.#capacity(stroke.fromOwner), stroke.fromSlot)
      const y1 = yOf(to, band, this.#capacity(stroke.toOwner), stroke.toSlot)
      context.moveTo(x - SLANT_MS * scale, y0)
      context.lineTo(x + SLANT_MS * scale, y1)
    }
    context.stroke()
    // The dormant clone, beside the thread that it will be: faint, and at least wide enough to be seen.
    context.globalAlpha = 0.35
    context.beginPath()
    for (const { clonedAt, at, toOwner, toSlot } of this.#strokes) {
      const to = tops.get(toOwner)
      if (Number.isNaN(clonedAt) || to === undefined) continue
      const x = width - (this.#now - at) * scale
      if (x < LABEL_WIDTH + 16) continue
      const y = yOf(to, band, this.#capacity(toOwner), toSlot)
      const begin = Math.min(x - 8, width - (this.#now - clonedAt) * scale)
      context.moveTo(Math.max(LABEL_WIDTH, begin), y)
      context.lineTo(x + SLANT_MS * scale, y)
    }
    context.stroke()
    context.globalAlpha = 1
  }

  #capacity(owner: number): number {
    return Math.max(MIN_SLOTS, this.#slots.get(owner)?.length ?? 0)
  }

  #begin(socket: Socket, at: number): void {
    this.#piece(socket, this.#take(socket.owner, socket.id), at)
  }

  #piece(socket: Socket, slot: number, at: number): void {
    const busy = at - socket.busyAt < BUSY_MS
    const piece: Piece = {
      id: socket.id,
      owner: socket.owner,
      slot,
      from: at,
      to: Number.POSITIVE_INFINITY,
      busy,
    }
    this.#open.set(socket.id, piece)
    this.#pieces.push(piece)
  }

  #moved(socket: Socket, from: number, at: number, shift: FeedShift | undefined): void {
    const before = this.#open.get(socket.id)
    this.#end(socket.id, at)
    const slot = this.#take(socket.owner, socket.id)
    this.#piece(socket, slot, at)
    if (before === undefined) return
    const clonedAt = shift === undefined ? Number.NaN : at - shift[6]
    const stroke = {
      at,
      fromOwner: from,
      fromSlot: before.slot,
      toOwner: socket.owner,
      toSlot: slot,
      clonedAt,
    }
    this.#strokes.push(stroke)
  }

  #end(id: number, at: number): void {
    const piece = this.#open.get(id)
    if (piece === undefined) return
    piece.to = Math.max(piece.from, at)
    this.#open.delete(id)
    const slots = this.#slots.get(piece.owner)
    if (slots?.[piece.slot] === id) slots[piece.slot] = undefined
  }

  /** A thread that falls idle, or wakes, goes on as another piece. */
  #framed(at: number): void {
    for (const piece of [...this.#open.values()]) {
      const socket = this.#cluster.sockets.get(piece.id)
      if (socket === undefined || at - socket.busyAt < BUSY_MS === piece.busy) continue
      piece.to = at
      this.#piece(socket, piece.slot, at)
    }
    const oldest = at - SPAN_MS - 1_000
    if (this.#pieces.length > MAX_PIECES) this.#pieces = this.#pieces.slice(MAX_PIECES / 4)
    if ((this.#pieces[0]?.to ?? at) < oldest) this.#pieces = this.#pieces.filter(({ to }) => to >= oldest)
    if ((this.#strokes[0]?.at ?? at) < oldest)
      this.#strokes = this.#strokes.filter(stroke => stroke.at >= oldest)
    if (this.#strokes.length > MAX_PIECES) this.#strokes = this.#strokes.slice(MAX_PIECES / 4)
    this.#shrink()
  }

  #take(owner: number, id: number): number {
    const slots = this.#slots.get(owner) ?? []
    this.#slots.set(owner, slots)
    const free = slots.indexOf(undefined)
    const slot = free < 0 ? slots.length : free
    slots[slot] = id
    return slot
  }

  #shrink(): void {
    for (const slots of this.#slots.values()) {
      while (slots.length > 0 && slots.at(-1) === undefined) slots.pop()
    }
  }
}

function yOf(top: number, band: number, slots: number, slot: number): number {
  return top + (band * (Math.min(slot, slots - 1) + 0.5)) / slots
}
