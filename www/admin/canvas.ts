/**
 * One loop for all pictures: each is asked once a frame of the screen while it can be seen, draws at the resolution of the
 * screen what has changed, and what that costs is measured.
 */
import { onTheme } from './palette.ts'

/** Sharper than this nobody sees, and it costs fourfold. */
const MAX_RATIO = 2
/** Frames whose cost is remembered: ten seconds. */
const MAX_COSTS = 600

export interface View {
  /** In CSS pixels. */
  readonly width: number
  readonly height: number
  /** Device pixels to a CSS pixel. */
  readonly ratio: number
  /** Nothing of what was drawn before is there, or it is in other colours. */
  readonly fresh: boolean
}

export interface Picture {
  readonly canvas: HTMLCanvasElement
  /**
   * What was drawn stays, and the transform of the context is whatever it was set to before. False where there is nothing to
   * draw yet: the next view is as fresh as this one.
   */
  draw(context: CanvasRenderingContext2D, view: View): boolean
}

interface Hung {
  readonly picture: Picture
  readonly context: CanvasRenderingContext2D
  width: number
  height: number
  seen: boolean
  fresh: boolean
}

export class Gallery {
  readonly #hung: Hung[] = []
  /** ms of script of the last frames, and when each began. */
  readonly costs: number[] = []
  readonly times: number[] = []

  constructor() {
    onTheme(() => {
      for (const hung of this.#hung) hung.fresh = true
    })
  }

  hang(picture: Picture): void {
    const context = picture.canvas.getContext('2d', { alpha: true })
    if (context === null) return
    const hung: Hung = { picture, context, width: 0, height: 0, seen: false, fresh: true }
    this.#hung.push(hung)
    new ResizeObserver(([entry]) => {
      hung.width = entry?.contentRect.width ?? 0
      hung.height = entry?.contentRect.height ?? 0
      const ratio = Math.min(MAX_RATIO, devicePixelRatio)
      picture.canvas.width = Math.round(hung.width * ratio)
      picture.canvas.height = Math.round(hung.height * ratio)
      hung.fresh = true
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
    for (const hung of this.#hung) {
      const { picture, context, width, height, seen, fresh } = hung
      if (!seen || width === 0 || height === 0) continue
      const isDrawn = picture.draw(context, { width, height, ratio: picture.canvas.width / width, fresh })
      hung.fresh = fresh && !isDrawn
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

/** Empties it, and sets it to CSS pixels. */
export function clear(context: CanvasRenderingContext2D, { width, height, ratio }: View): void {
  context.setTransform(ratio, 0, 0, ratio, 0, 0)
  context.clearRect(0, 0, width, height)
}

export const FONT = '12px ui-sans-serif, system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif'
