/**
 * Puts a new configuration in force on one owner: it is read and made ready first, and replaces the old one in a single
 * step. What is wrong with it is said, and changes nothing.
 */
import type { ServingSettings } from './settings.ts'

/** Made ready and not asked for within this, it is forgotten: the file may say something else by then. */
export const READY_MS = 30_000
/** What one owner says of a configuration that is wrong in many places. */
export const MAX_FAULT_CHARS = 4_096

export type ReloadAnswer =
  | { readonly ok: true; readonly digest: string }
  | { readonly ok: false; readonly fault: string }

export interface ReloaderOptions {
  /** In force now. */
  readonly serving: ServingSettings
  /** What the file says now; rejects, with all that is wrong in its message, where that cannot be put in force. */
  readonly read: () => Promise<ServingSettings>
  /** Makes everything ready that can fail; what it returns puts the settings in force, or throws with nothing changed. */
  readonly prepare: (serving: ServingSettings) => Promise<() => void>
  /** Monotonic milliseconds. */
  readonly now: () => number
}

interface Ready {
  readonly digest: string
  readonly apply: () => void
  readonly until: number
}

export class Reloader {
  readonly #options: ReloaderOptions
  #digest: string
  #ready: Ready | undefined

  constructor(options: ReloaderOptions) {
    this.#options = options
    this.#digest = options.serving.digest
  }

  /** Of the configuration in force. */
  get digest(): string {
    return this.#digest
  }

  /** Reads the configuration and makes it ready. Never rejects. */
  async check(): Promise<ReloadAnswer> {
    const { read, prepare, now } = this.#options
    try {
      const serving = await read()
      const { digest } = serving
      this.#ready = { digest, apply: await prepare(serving), until: now() + READY_MS }
      return { ok: true, digest }
    } catch (error) {
      const fault = error instanceof Error ? error.message : String(error)
      return { ok: false, fault: fault.slice(0, MAX_FAULT_CHARS) }
    }
  }

  /** Puts in force what `check` made ready, if it is what the caller means. */
  apply(digest: string): ReloadAnswer {
    const ready = this.#ready
    if (ready === undefined || ready.digest !== digest || this.#options.now() > ready.until) {
      return { ok: false, fault: 'the configuration has to be checked first' }
    }
    this.#ready = undefined
    try {
      ready.apply()
    } catch (error) {
      return { ok: false, fault: (error as Error).message }
    }
    this.#digest = digest
    return { ok: true, digest }
  }

  /** Both, for an owner that is told by a signal. */
  async reload(): Promise<ReloadAnswer> {
    const checked = await this.check()
    return checked.ok ? this.apply(checked.digest) : checked
  }
}
