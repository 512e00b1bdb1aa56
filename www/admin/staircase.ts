/**
 * The unbroken staircase: the octets of one connection that its client has acknowledged, over time, each stretch in the colour
 * of the owner that sent it; a hairline at each shift with its pause, and ticks where something was sent again.
 */
import { formatDuration, formatOctets } from '../../dispatcher/admin/amounts.ts'
import type { FeedShift } from './api.ts'
import { clear, FONT, type Picture, type View } from './canvas.ts'
import type { Cluster, Socket } from './cluster.ts'
import { colourOf, inkOn, themeOf } from './palette.ts'

/** Ten a second: ten minutes; of a longer one the beginning is thinned out. */
const MAX_SAMPLES = 6_000
/** Hairlines, the newest: a connection that is watched for days may be shifted without end. */
const MAX_SHIFTS = 1_000
const LEAST_SPAN_MS = 12_000
const PAD = { left: 64, right: 14, top: 30, bottom: 48 }
/** Below the plot: who sent it, by name as well as by colour. */
const RIBBON = { gap: 4, height: 18 }

interface Sample {
  readonly at: number
  readonly octets: number
  readonly owner: number
  readonly retransmissions: number
}

/** A death of its owner: when another had it, and between which two moments its client acknowledged nothing. */
interface Outlived {
  readonly at: number
  readonly from: number
  to: number | undefined
}

export class Staircase implements Picture {
  readonly canvas: HTMLCanvasElement
  readonly #cluster: Cluster
  #id: number | undefined
  #samples: Sample[] = []
  #shifts: FeedShift[] = []
  #ended = false
  #outlived: Outlived[] = []
  #done = 0
  #longestPauseMs = 0
  /** Something is to be drawn that is not; and the span in ms of what was drawn last. */
  #changed = true
  #drawnSpan = Number.NaN
  /** Of the download, where that is known. */
  size = 0

  constructor(canvas: HTMLCanvasElement, cluster: Cluster) {
    this.canvas = canvas
    this.#cluster = cluster
    cluster.watch({
      // It was out of sight for a while.
      opened: ({ id }) => {
        if (id === this.#id) this.#ended = false
      },
      moved: ({ id, octets }, from, at) => {
        // Its owner died, and another went on with it.
        if (id !== this.#id || cluster.owner(from)?.state !== 'down') return
        const before = this.#samples.findLast(sample => sample.octets < octets)?.at ?? at
        this.#outlived.push({ at, from: before, to: undefined })
      },
      ended: ({ id }) => {
        if (id !== this.#id) return
        this.#ended = true
        this.#changed = true
      },
      framed: frame => {
        for (const shift of frame.shifts) if (shift[0] === this.#id) this.#add(shift)
        this.#sample(frame.at)
      },
    })
  }

  get id(): number | undefined {
    return this.#id
  }

  get ended(): boolean {
    return this.#ended
  }

  /** Shifts, without those that were refused. */
  get done(): number {
    return this.#done
  }

  /** Deaths of its owner. */
  get outlived(): number {
    return this.#outlived.length
  }

  get owner(): number | undefined {
    return this.#samples.at(-1)?.owner
  }

  get octets(): number {
    return this.#samples.at(-1)?.octets ?? 0
  }

  get retransmissions(): number {
    return resent(this.#samples).reduce((sum, { count }) => sum + count, 0)
  }

  /** The longest pause of a shift, from COMMIT to the word of the new owner. */
  get longestPauseMs(): number {
    return this.#longestPauseMs
  }

  track(socket: Socket): void {
    if (socket.id === this.#id) return
    this.#id = socket.id
    this.#samples = []
    this.#shifts = []
    this.#outlived = []
    this.#done = 0
    this.#longestPauseMs = 0
    for (const shift of this.#cluster.recent) if (shift[0] === socket.id) this.#add(shift)
    this.#ended = false
    this.size = 0
    this.#sample(this.#cluster.now())
  }

  /** Nobody waits for a shift that was refused. */
  #add(shift: FeedShift): void {
    const [, , , , refusal, , ms, , committedMs] = shift
    if (refusal !== '') return
    this.#done++
    this.#longestPauseMs = Math.max(this.#longestPauseMs, ms - committedMs)
    this.#shifts.push(shift)
    if (this.#shifts.length > MAX_SHIFTS) this.#shifts.shift()
  }

  #sample(at: number): void {
    const socket = this.#id === undefined ? undefined : this.#cluster.sockets.get(this.#id)
    if (socket === undefined || this.#ended) return
    const { octets, owner, retransmissions } = socket
    const last = this.#outlived.at(-1)
    if (last !== undefined && octets > this.octets) last.to ??= at
    this.#samples.push({ at, octets, owner, retransmissions })
    this.#changed = true
    if (this.#samples.length > MAX_SAMPLES) {
      this.#samples = this.#samples.filter((_, index) => index % 2 === 0 || index > MAX_SAMPLES / 2)
    }
  }

  /** Anew when something came, and when time has moved it by a pixel of the screen. */
  draw(context: CanvasRenderingContext2D, view: View): boolean {
    const { width, height, ratio, fresh } = view
    const first = this.#samples[0]
    const last = this.#samples.at(-1)
    if (first === undefined || last === undefined) {
      if (fresh) this.#invite(context, view)
      return true
    }
    const end = this.#ended || this.size <= last.octets ? last.at : this.#cluster.now()
    const span = Math.max(LEAST_SPAN_MS, (end - first.at) * 1.04)
    const moved = Math.abs(1 - span / this.#drawnSpan) * width * ratio
    if (!fresh && !this.#changed && !(moved >= 1)) return true
    this.#changed = false
    this.#drawnSpan = span
    clear(context, view)
    const theme = themeOf()
    context.font = FONT
    const most = Math.max(this.size, last.octets, 65_536) * 1.03
    const x = (at: number) => PAD.left + ((at - first.at) / span) * (width - PAD.left - PAD.right)
    const y = (octets: number) => height - PAD.bottom - (octets / most) * (height - PAD.top - PAD.bottom)
    this.#grid(context, width, height, span, most, y)
    for (const stretch of stretches(this.#samples)) this.#stretch(context, stretch, x, y, height)
    this.#hairlines(context, x, height)
    context.fillStyle = theme.bad
    for (const { at } of resent(this.#samples)) context.fillRect(x(at) - 1, height - PAD.bottom - 7, 2, 7)
    if (this.#ended) return true
    context.fillStyle = this.#colour(last.owner)
    context.beginPath()
    context.arc(x(last.at), y(last.octets), 4.5, 0, 7)
    context.fill()
    return true
  }

  #colour(owner: number): string {
    return colourOf(owner, this.#cluster.owner(owner)?.role ?? 'node')
  }

  #grid(
    context: CanvasRenderingContext2D,
    width: number,
    height: number,
    span: number,
    most: number,
    y: (octets: number) => number,
  ): void {
    const { line, soft } = themeOf()
    context.strokeStyle = line
    context.fillStyle = soft
    context.lineWidth = 1
    context.textBaseline = 'middle'
    context.textAlign = 'right'
    const step = 2 ** Math.round(Math.log2(most / 4))
    context.beginPath()
    for (let octets = 0; octets <= most; octets += step) {
      const at = Math.round(y(octets)) + 0.5
      context.moveTo(PAD.left, at)
      context.lineTo(width - PAD.right, at)
      context.fillText(formatOctets(octets), PAD.left - 8, at)
    }
    context.stroke()
    context.textAlign = 'center'
    const seconds = [1, 2, 5, 10, 20, 30, 60, 120, 300, 600].find(each => span / 1000 / each <= 8) ?? 1_800
    for (let second = seconds; second * 1000 < span * 0.985; second += seconds) {
      const at = PAD.left + ((second * 1000) / span) * (width - PAD.left - PAD.right)
      context.fillText(`${second} s`, at, height - 11)
    }
    context.textAlign = 'left'
  }

  #stretch(
    context: CanvasRenderingContext2D,
    stretch: readonly Sample[],
    x: (at: number) => number,
    y: (octets: number) => number,
    height: number,
  ): void {
    const first = stretch[0] as Sample
    const last = stretch.at(-1) as Sample
    const colour = this.#colour(last.owner)
    context.beginPath()
    context.moveTo(x(first.at), y(first.octets))
    for (const { at, octets } of stretch) context.lineTo(x(at), y(octets))
    context.lineWidth = 3
    context.lineJoin = 'round'
    context.lineCap = 'round'
    context.strokeStyle = colour
    context.stroke()
    context.lineTo(x(last.at), height - PAD.bottom)
    context.lineTo(x(first.at), height - PAD.bottom)
    context.globalAlpha = 0.11
    context.fillStyle = colour
    context.fill()
    context.globalAlpha = 1
    this.#ribbon(context, last.owner, x(first.at), x(last.at), height - PAD.bottom + RIBBON.gap)
  }

  #ribbon(context: CanvasRenderingContext2D, owner: number, from: number, to: number, top: number): void {
    const colour = this.#colour(owner)
    context.fillStyle = colour
    context.fillRect(from, top, Math.max(1, to - from - 1), RIBBON.height)
    const fits = (text: string) => context.measureText(text).width < to - from - 8
    const text = [this.#cluster.name(owner), `${owner}`].find(fits)
    if (text === undefined) return
    context.fillStyle = inkOn(colour)
    context.textBaseline = 'middle'
    context.textAlign = 'center'
    context.fillText(text, (from + to) / 2, top + RIBBON.height / 2 + 1)
    context.textAlign = 'left'
  }

  /** Nothing to show yet. */
  #invite(context: CanvasRenderingContext2D, view: View): void {
    clear(context, view)
    context.font = FONT.replace('12px', '15px')
    context.fillStyle = themeOf().soft
    context.textAlign = 'center'
    context.textBaseline = 'middle'
    const { width, height } = view
    context.fillText('Start a demo download: it is drawn here as it goes.', width / 2, height / 2, width - 20)
    context.textAlign = 'left'
  }

  #hairlines(context: CanvasRenderingContext2D, x: (at: number) => number, height: number): void {
    const { ink, soft, bad } = themeOf()
    const marks = [
      ...this.#shifts.map(([, , , , , at, ms, , committedMs]) => ({
        at,
        ms: ms - committedMs,
        isDeath: false,
      })),
      ...this.#outlived.map(({ at, from, to = from }) => ({ at, ms: to - from, isDeath: true })),
    ].sort((a, b) => a.at - b.at)
    let free = 0
    for (const { at: instant, ms, isDeath } of marks) {
      const at = Math.round(x(instant)) + 0.5
      if (at < PAD.left) continue
      context.strokeStyle = isDeath ? bad : ink
      context.globalAlpha = 0.45
      context.lineWidth = 1
      context.beginPath()
      context.moveTo(at, PAD.top - 10)
      context.lineTo(at, height - PAD.bottom + RIBBON.gap + RIBBON.height)
      context.stroke()
      context.globalAlpha = 1
      const text = isDeath ? `† ${formatDuration(ms)}` : formatDuration(ms)
      const wide = context.measureText(text).width
      if (at - wide / 2 < free) continue
      free = at + wide / 2 + 6
      context.fillStyle = isDeath ? bad : soft
      context.textAlign = 'center'
      context.textBaseline = 'alphabetic'
      context.fillText(text, at, PAD.top - 14)
      context.textAlign = 'left'
    }
  }
}

/** Neighbours share their border, so that the line does not break where the owner changes. */
export function stretches(samples: readonly Sample[]): Sample[][] {
  const all: Sample[][] = []
  for (const sample of samples) {
    const current = all.at(-1)
    if (current === undefined) all.push([sample])
    else if (current.at(-1)?.owner === sample.owner) current.push(sample)
    else all.push([current.at(-1) as Sample, sample])
  }
  return all
}

/** Each owner counts its own, from when the connection came to it. */
export function resent(samples: readonly Sample[]): { at: number; count: number }[] {
  const found: { at: number; count: number }[] = []
  for (const [index, { at, owner, retransmissions }] of samples.entries()) {
    const before = samples[index - 1]
    if (before === undefined) continue
    const count = retransmissions - (before.owner === owner ? before.retransmissions : 0)
    if (count > 0) found.push({ at, count })
  }
  return found
}
