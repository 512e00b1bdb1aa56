/** Dots on their way from one owner to another: a layer above the map, so that the map itself is drawn only when it changes. */
import type { Picture, View } from './canvas.ts'

const FLIGHT_MS = 650
/** Dots in the air at once; more only jump. */
const MAX_FLIGHTS = 200
/** Of the flight, that the streak behind a dot is long. */
const STREAK = 0.14
const RISE = 26
const still = matchMedia('(prefers-reduced-motion: reduce)')

export interface Point {
  readonly x: number
  readonly y: number
}

interface Flight {
  readonly from: Point
  readonly startedAt: number
  to: Point
  colour: string
}

export class Flights implements Picture {
  readonly canvas: HTMLCanvasElement
  readonly #flights = new Map<number, Flight>()
  /** Follows the pointer. */
  dragged: { readonly at: Point; readonly colour: string } | undefined
  radius = 5
  #isEmpty = true

  constructor(canvas: HTMLCanvasElement) {
    this.canvas = canvas
  }

  has(id: number): boolean {
    return this.#flights.has(id)
  }

  begin(id: number, from: Point): void {
    if (still.matches || this.#flights.size >= MAX_FLIGHTS) return
    this.#flights.set(id, { from, startedAt: performance.now(), to: from, colour: 'transparent' })
  }

  /** Where it flies to may move meanwhile. */
  aim(id: number, to: Point, colour: string): void {
    const flight = this.#flights.get(id)
    if (flight === undefined) return
    flight.to = to
    flight.colour = colour
  }

  end(id: number): void {
    this.#flights.delete(id)
  }

  /** Ends those that have arrived, and says whether there were any. */
  land(): boolean {
    const before = this.#flights.size
    const clock = performance.now()
    for (const [id, { startedAt }] of this.#flights) {
      if (clock - startedAt >= FLIGHT_MS) this.#flights.delete(id)
    }
    return this.#flights.size < before
  }

  draw(context: CanvasRenderingContext2D, { width, height, ratio, fresh }: View): boolean {
    const isEmpty = this.#flights.size === 0 && this.dragged === undefined
    if (isEmpty && this.#isEmpty && !fresh) return true
    this.#isEmpty = isEmpty
    context.setTransform(ratio, 0, 0, ratio, 0, 0)
    context.clearRect(0, 0, width, height)
    const clock = performance.now()
    context.lineCap = 'round'
    context.lineWidth = this.radius
    for (const flight of this.#flights.values()) {
      const part = Math.min(1, (clock - flight.startedAt) / FLIGHT_MS)
      const at = placeOf(flight, part)
      const tail = placeOf(flight, Math.max(0, part - STREAK))
      context.strokeStyle = flight.colour
      context.globalAlpha = 0.35
      context.beginPath()
      context.moveTo(tail.x, tail.y)
      context.lineTo(at.x, at.y)
      context.stroke()
      context.globalAlpha = 1
      dot(context, at, this.radius, flight.colour)
    }
    if (this.dragged !== undefined) dot(context, this.dragged.at, this.radius + 3, this.dragged.colour)
    return true
  }
}

function placeOf({ from, to }: Flight, part: number): Point {
  const eased = 1 - (1 - part) ** 3
  return {
    x: from.x + (to.x - from.x) * eased,
    y: from.y + (to.y - from.y) * eased - Math.sin(Math.PI * eased) * RISE,
  }
}

function dot(context: CanvasRenderingContext2D, { x, y }: Point, radius: number, colour: string): void {
  context.fillStyle = colour
  context.beginPath()
  context.arc(x, y, radius, 0, 7)
  context.fill()
}
