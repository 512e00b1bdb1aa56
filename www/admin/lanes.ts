/**
 * Socket lanes: a band for each owner, a thread for each socket in its owner's band, a stroke for each shift, and the last
 * minute moving to the left. The threads of a node that dies leave it like a comb. What is drawn is moved on with the picture;
 * only its right edge, where the feed may still tell something new, is drawn again.
 */
import type { FeedShift } from './api.ts'
import { FONT, type Picture, type View } from './canvas.ts'
import { BUSY_MS, type Cluster, type Socket } from './cluster.ts'
import { numbered } from './format.ts'
import { colourOf, themeOf } from './palette.ts'

const SPAN_MS = 60_000
/** Pieces of threads remembered; with more, the oldest go first. */
const MAX_PIECES = 12_000
/** Strokes drawn in both owners' colours at a time; with more they are all of one colour, which costs a tenth. */
const MAX_BLENDED = 60
/** CSS pixels, as are the two below. */
const LABEL_WIDTH = 96
const GAP = 6
const AXIS_HEIGHT = 22
const AXIS_SECONDS = [60, 45, 30, 15]
/** Half the width of a shift's stroke in time. */
const SLANT_MS = 300
/** Older than this nothing changes: a shift is told within 5 s seldom, an end 400 ms after it, and a stroke is as wide as it is. */
const UNSETTLED_MS = 1_500
const MIN_SLOTS = 4

interface Piece {
  readonly id: number
  readonly owner: number
  readonly slot: number
  readonly from: number
  /** Infinity while it goes on. */
  to: number
  readonly busy: boolean
  /** It ended with its owner. */
  torn: boolean
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

/** In device pixels, as everything that is drawn here: only so a moved picture keeps its edges. */
interface Layout {
  readonly left: number
  readonly right: number
  readonly height: number
  readonly band: number
  readonly ratio: number
  /** Pixels a ms. */
  readonly scale: number
  readonly tops: ReadonlyMap<number, number>
  /** Where it differs, nothing that was drawn is right any more. */
  readonly key: string
}

export class Lanes implements Picture {
  readonly canvas: HTMLCanvasElement
  readonly #cluster: Cluster
  #pieces: Piece[] = []
  #strokes: Stroke[] = []
  /** Ended, but not long ago. */
  #settling: Piece[] = []
  /** The piece of each socket that goes on. */
  readonly #open = new Map<number, Piece>()
  /** Which slots of a band are taken. */
  readonly #slots = new Map<number, (number | undefined)[]>()
  /** Slots that a band has room for. */
  readonly #capacities = new Map<number, number>()
  /** What was drawn last: its right edge in pixels since 1970, and the labels beside it. */
  #column = Number.NaN
  #key = ''
  #labelled: unknown

  constructor(canvas: HTMLCanvasElement, cluster: Cluster) {
    this.canvas = canvas
    this.#cluster = cluster
    cluster.watch({
      opened: (socket, at) => this.#begin(socket, at),
      moved: (socket, from, at, shift) => this.#moved(socket, from, at, shift),
      ended: (socket, at) => this.#end(socket.id, at, cluster.owner(socket.owner)?.state === 'down'),
      framed: ({ at }) => this.#framed(at),
    })
  }

  draw(context: CanvasRenderingContext2D, view: View): boolean {
    const { owners, live } = this.#cluster
    if (owners.length === 0 || !live) return false
    const layout = this.#layout(view)
    const column = Math.floor(this.#cluster.now() * layout.scale)
    const moved = column - this.#column
    const width = layout.right - layout.left
    const unsettled = Math.ceil(UNSETTLED_MS * layout.scale)
    // Of what is moved further than the unsettled edge is wide, the pieces are not at hand.
    const isFresh = view.fresh || layout.key !== this.#key || !(moved >= -unsettled && moved <= unsettled)
    if (isFresh || this.#labelled !== owners) this.#labels(context, layout, view)
    this.#labelled = owners
    if (!isFresh && moved <= 0) return true
    this.#key = layout.key
    this.#column = column
    context.setTransform(1, 0, 0, 1, 0, 0)
    if (isFresh) {
      this.#paint(context, layout, layout.left, this.#pieces, this.#strokes)
      return true
    }
    const { left, height } = layout
    context.drawImage(this.canvas, left + moved, 0, width - moved, height, left, 0, width - moved, height)
    const since = this.#cluster.now() - 2 * UNSETTLED_MS
    const pieces = [...this.#settling, ...this.#open.values()]
    const strokes = this.#strokes.filter(({ at }) => at > since)
    this.#paint(context, layout, layout.right - moved - unsettled, pieces, strokes)
    return true
  }

  #layout({ width, height, ratio }: View): Layout {
    const { owners } = this.#cluster
    const left = Math.round(LABEL_WIDTH * ratio)
    const right = Math.round(width * ratio)
    const bottom = Math.round((height - AXIS_HEIGHT) * ratio)
    const gap = Math.round(Math.min(GAP, height / owners.length / 4) * ratio)
    const band = Math.max(1, Math.floor((bottom - gap * (owners.length - 1)) / owners.length))
    const tops = new Map(owners.map(({ id }, index) => [id, index * (band + gap)]))
    const key = owners.map(({ id, role }) => `${id}${role}${this.#capacity(id)}`).join()
    const scale = (right - left) / SPAN_MS
    return { left, right, height: bottom, band, ratio, scale, tops, key }
  }

  /** All that does not move: the owners, and how long ago it was. */
  #labels(context: CanvasRenderingContext2D, layout: Layout, { width, height, ratio }: View): void {
    const theme = themeOf()
    context.setTransform(ratio, 0, 0, ratio, 0, 0)
    context.font = FONT
    context.clearRect(0, 0, LABEL_WIDTH, height)
    context.clearRect(0, height - AXIS_HEIGHT, width, AXIS_HEIGHT)
    const band = layout.band / ratio
    context.textBaseline = 'middle'
    for (const { id, name, role, state, connections } of this.#cluster.owners) {
      const top = (layout.tops.get(id) as number) / ratio
      context.fillStyle = state === 'down' ? theme.bad : colourOf(id, role)
      context.fillRect(LABEL_WIDTH - 6, top, 4, band)
      if (band < 11) continue
      const middle = top + band / 2
      context.fillStyle = theme.ink
      context.fillText(name, 0, band > 32 ? middle - 8 : middle, LABEL_WIDTH - 14)
      if (band <= 32) continue
      context.fillStyle = state === 'up' ? theme.soft : theme.bad
      const said = state === 'up' ? numbered(connections, 'socket') : state
      context.fillText(said, 0, middle + 9, LABEL_WIDTH - 14)
    }
    context.fillStyle = theme.soft
    const plot = width - LABEL_WIDTH
    const y = height - AXIS_HEIGHT / 2 + 2
    for (const seconds of plot < 420 ? AXIS_SECONDS.filter(each => each % 30 === 0) : AXIS_SECONDS) {
      const x = width - (plot * seconds * 1000) / SPAN_MS
      context.textAlign = seconds * 1000 === SPAN_MS ? 'left' : 'center'
      context.fillText(`${seconds} s ago`, x, y)
    }
    context.textAlign = 'right'
    context.fillText('now', width, y)
    context.textAlign = 'left'
  }

  /** What lies right of `from`. */
  #paint(
    context: CanvasRenderingContext2D,
    layout: Layout,
    from: number,
    pieces: readonly Piece[],
    strokes: readonly Stroke[],
  ): void {
    const left = Math.max(layout.left, from)
    context.save()
    context.beginPath()
    context.rect(left, 0, layout.right - left, layout.height)
    context.clip()
    const { card, sunk } = themeOf()
    // Nothing may be transparent: what is moved would be seen through it.
    context.fillStyle = card
    context.fillRect(left, 0, layout.right - left, layout.height)
    context.fillStyle = sunk
    for (const top of layout.tops.values()) context.fillRect(left, top, layout.right - left, layout.band)
    this.#drawPieces(context, layout, left, pieces)
    this.#drawClones(context, layout, strokes)
    if (strokes.length <= MAX_BLENDED) this.#drawBlended(context, layout, strokes)
    else this.#drawPlain(context, layout, strokes)
    context.restore()
  }

  #x(at: number, { right, scale }: Layout): number {
    return right - this.#column + at * scale
  }

  #y(owner: number, slot: number, { tops, band }: Layout): number | undefined {
    const top = tops.get(owner)
    const slots = this.#capacity(owner)
    return top === undefined ? undefined : top + (band * (Math.min(slot, slots - 1) + 0.5)) / slots
  }

  /** By colour and brightness, so that the canvas changes its state seldom. Pieces are level, so they are filled. */
  #drawPieces(
    context: CanvasRenderingContext2D,
    layout: Layout,
    left: number,
    pieces: readonly Piece[],
  ): void {
    const { bad } = themeOf()
    for (const { id: owner, role } of this.#cluster.owners) {
      const thick =
        Math.max(1, Math.min(3, layout.band / layout.ratio / this.#capacity(owner) - 1)) * layout.ratio
      context.fillStyle = colourOf(owner, role)
      for (const busy of [false, true]) {
        context.globalAlpha = busy ? 1 : 0.38
        for (const piece of pieces) {
          if (piece.owner !== owner || piece.busy !== busy) continue
          const end = Math.min(layout.right, this.#x(piece.to, layout))
          if (end < left) continue
          const x = Math.max(left, this.#x(piece.from, layout))
          const y = this.#y(owner, piece.slot, layout) as number
          context.fillRect(x, y - thick / 2, Math.max(1, end - x), thick)
        }
      }
      context.globalAlpha = 1
      context.fillStyle = bad
      const tooth = 4 * layout.ratio
      for (const piece of pieces) {
        if (!piece.torn || piece.owner !== owner) continue
        const y = this.#y(owner, piece.slot, layout) as number
        context.fillRect(this.#x(piece.to, layout), y - thick, tooth, 2 * thick)
      }
    }
  }

  #drawBlended(context: CanvasRenderingContext2D, layout: Layout, strokes: readonly Stroke[]): void {
    context.lineWidth = 1.75 * layout.ratio
    for (const stroke of strokes) {
      const path = this.#path(stroke, layout)
      if (path === undefined) continue
      const [x0, y0, x1, y1] = path
      const blend = context.createLinearGradient(x0, y0, x1, y1)
      blend.addColorStop(0.1, this.#colour(stroke.fromOwner))
      blend.addColorStop(0.9, this.#colour(stroke.toOwner))
      context.strokeStyle = blend
      context.beginPath()
      curve(context, path)
      context.stroke()
    }
  }

  #drawPlain(context: CanvasRenderingContext2D, layout: Layout, strokes: readonly Stroke[]): void {
    context.lineWidth = 1.25 * layout.ratio
    context.strokeStyle = themeOf().ink
    context.globalAlpha = 0.6
    context.beginPath()
    for (const stroke of strokes) {
      const path = this.#path(stroke, layout)
      if (path !== undefined) curve(context, path)
    }
    context.stroke()
    context.globalAlpha = 1
  }

  /** The dormant clone, beside the thread that it will be: faint, and at least wide enough to be seen. */
  #drawClones(context: CanvasRenderingContext2D, layout: Layout, strokes: readonly Stroke[]): void {
    context.lineWidth = layout.ratio
    context.strokeStyle = themeOf().ink
    context.globalAlpha = 0.35
    context.beginPath()
    for (const { clonedAt, at, toOwner, toSlot } of strokes) {
      const y = this.#y(toOwner, toSlot, layout)
      if (Number.isNaN(clonedAt) || y === undefined) continue
      const x = this.#x(at, layout)
      context.moveTo(Math.min(x - 8 * layout.ratio, this.#x(clonedAt, layout)), y)
      context.lineTo(this.#x(at + SLANT_MS, layout), y)
    }
    context.stroke()
    context.globalAlpha = 1
  }

  #path({ at, fromOwner, fromSlot, toOwner, toSlot }: Stroke, layout: Layout): Path | undefined {
    const y0 = this.#y(fromOwner, fromSlot, layout)
    const y1 = this.#y(toOwner, toSlot, layout)
    if (y0 === undefined || y1 === undefined) return undefined
    return [this.#x(at - SLANT_MS, layout), y0, this.#x(at + SLANT_MS, layout), y1]
  }

  #colour(owner: number): string {
    return colourOf(owner, this.#cluster.owner(owner)?.role ?? 'node')
  }

  #capacity(owner: number): number {
    return this.#capacities.get(owner) ?? MIN_SLOTS
  }

  /** In steps, as each moves every thread of the band, and all is drawn anew. */
  #fit(): void {
    for (const [owner, slots] of this.#slots) {
      while (slots.length > 0 && slots.at(-1) === undefined) slots.pop()
      let capacity = this.#capacity(owner)
      let needed = slots.length
      if (needed < capacity / 3) {
        // Not before the threads that were there have left the picture.
        for (const piece of this.#pieces) if (piece.owner === owner) needed = Math.max(needed, piece.slot + 1)
        if (needed < capacity / 3) capacity = MIN_SLOTS
      }
      while (capacity < needed) capacity = Math.ceil(capacity * 1.5)
      this.#capacities.set(owner, capacity)
    }
  }

  #begin(socket: Socket, at: number): void {
    this.#piece(socket, this.#take(socket.owner, socket.id), at)
  }

  #piece(socket: Socket, slot: number, from: number): void {
    const { id, owner, busyAt } = socket
    const busy = from - busyAt < BUSY_MS
    const piece = { id, owner, slot, from, to: Number.POSITIVE_INFINITY, busy, torn: false }
    this.#open.set(id, piece)
    this.#pieces.push(piece)
  }

  #moved(socket: Socket, from: number, at: number, shift: FeedShift | undefined): void {
    const before = this.#open.get(socket.id)
    this.#end(socket.id, at, false)
    const slot = this.#take(socket.owner, socket.id)
    this.#piece(socket, slot, at)
    if (before === undefined) return
    const clonedAt = shift === undefined ? Number.NaN : at - shift[6]
    this.#strokes.push({
      ...{ at, fromOwner: from, fromSlot: before.slot, toOwner: socket.owner, toSlot: slot, clonedAt },
    })
  }

  #end(id: number, at: number, torn: boolean): void {
    const piece = this.#open.get(id)
    if (piece === undefined) return
    this.#close(piece, at)
    piece.torn = torn
    this.#open.delete(id)
    const slots = this.#slots.get(piece.owner)
    if (slots?.[piece.slot] === id) slots[piece.slot] = undefined
  }

  #close(piece: Piece, at: number): void {
    piece.to = Math.max(piece.from, at)
    this.#settling.push(piece)
  }

  /** A thread that falls idle, or wakes, goes on as another piece. */
  #framed(at: number): void {
    for (const piece of [...this.#open.values()]) {
      const socket = this.#cluster.sockets.get(piece.id)
      if (socket === undefined || at - socket.busyAt < BUSY_MS === piece.busy) continue
      this.#close(piece, at)
      this.#piece(socket, piece.slot, at)
    }
    this.#settling = this.#settling.filter(({ to }) => to > at - 2 * UNSETTLED_MS)
    const oldest = at - SPAN_MS - 1_000
    if (this.#pieces.length > MAX_PIECES) this.#pieces = this.#pieces.slice(MAX_PIECES / 4)
    if ((this.#pieces[0]?.to ?? at) < oldest) this.#pieces = this.#pieces.filter(({ to }) => to >= oldest)
    if ((this.#strokes[0]?.at ?? at) < oldest)
      this.#strokes = this.#strokes.filter(stroke => stroke.at >= oldest)
    if (this.#strokes.length > MAX_PIECES) this.#strokes = this.#strokes.slice(MAX_PIECES / 4)
    this.#fit()
  }

  #take(owner: number, id: number): number {
    const slots = this.#slots.get(owner) ?? []
    this.#slots.set(owner, slots)
    const free = slots.indexOf(undefined)
    const slot = free < 0 ? slots.length : free
    slots[slot] = id
    return slot
  }
}

type Path = readonly [x0: number, y0: number, x1: number, y1: number]

/** Level at both ends, as the threads are that it joins. */
function curve(context: CanvasRenderingContext2D, [x0, y0, x1, y1]: Path): void {
  const middle = (x0 + x1) / 2
  context.moveTo(x0, y0)
  context.bezierCurveTo(middle, y0, middle, y1, x1, y1)
}
