/**
 * One loop for all pictures: each is drawn once a frame of the screen while it can be seen, at the resolution of the screen,
 * and what that costs is measured.
 */

/** Sharper than this nobody sees, and it costs fourfold. */
const MAX_RATIO = 2
/** Frames whose cost is remembered: ten seconds. */
const MAX_COSTS = 600

export interface Picture {
  readonly canvas: HTMLCanvasElement
  /** Width and height in CSS pixels. */
  draw(context: CanvasRenderingContext2D, width: number, height: number): void
}

interface Hung {
  readonly picture: Picture
  readonly context: CanvasRenderingContext2D
  width: number
  height: number
  seen: boolean
}

export class Gallery {
  readonly #hung: Hung[] = []
  /** ms of script of the last frames, and when each began. */
  readonly costs: number[] = []
  readonly times: number[] = []

  hang(picture: Picture): void {
    const context = picture.canvas.getContext('2d', { alpha: true })
    if (context === null) return
    const hung: Hung = { picture, context, width: 0, height: 0, seen: false }
    this.#hung.push(hung)
    new ResizeObserver(([entry]) => {
      hung.width = entry?.contentRect.width ?? 0
      hung.height = entry?.contentRect.height ?? 0
      const ratio = Math.min(MAX_RATIO, devicePixelRatio)
      picture.canvas.width = Math.round(hung.width * ratio)
      picture.canvas.height = Math.round(hung.height * ratio)
    }).observe(picture.canvas)
    new IntersectionObserver(([entry]) => {
      hung.seen = entry?.isIntersecting === true
    }).observe(picture.canvas)
  }

  start(): void {
    requestAnimationFrame(at => this.#frame(at))
  }

  #frame(at: number): void {
    const startedAt = performance.now()
    for (const { picture, context, width, height, seen } of this.#hung) {
      if (!seen || width === 0 || height === 0) continue
      const ratio = picture.canvas.width / width
      context.setTransform(ratio, 0, 0, ratio, 0, 0)
      context.clearRect(0, 0, width, height)
      picture.draw(context, width, height)
    }
    this.costs.push(performance.now() - startedAt)
    this.times.push(at)
    if (this.costs.length > MAX_COSTS) {
      this.costs.shift()
      this.times.shift()
    }
    requestAnimationFrame(next => this.#frame(next))
  }
}

export const FONT = '12px ui-sans-serif, system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif'
