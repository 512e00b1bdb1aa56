/**
 * Watches directories by the kernel's notices (inotify), each by itself, as few as there are files in use. The number is
 * bounded, and a watch may fail (fs.inotify.max_user_watches, network file systems): whoever relies on it has to look for
 * itself as well.
 */
import { type FSWatcher, watch } from 'node:fs'

export interface DirectoryWatchOptions {
  readonly max: number
  readonly counters: { events: number; failed: number }
  /** Something of this name, or of a name unknown, is new, gone or different in a directory. */
  readonly onEvent: (directory: string, name: string | undefined, kind: 'rename' | 'change') => void
  /** As `node:fs` has it. */
  readonly watch?: typeof watch
}

export class DirectoryWatch {
  readonly #options: DirectoryWatchOptions
  readonly #watch: typeof watch
  /** The least recently wanted first. */
  readonly #watchers = new Map<string, FSWatcher>()

  constructor(options: DirectoryWatchOptions) {
    this.#options = options
    this.#watch = options.watch ?? watch
  }

  get size(): number {
    return this.#watchers.size
  }

  /** Watches it from now on; past the bound, the one wanted longest ago is let go. Never throws. */
  want(directory: string): void {
    const known = this.#watchers.get(directory)
    this.#watchers.delete(directory)
    const watcher = known ?? this.#begin(directory)
    if (watcher === undefined) return
    this.#watchers.set(directory, watcher)
    if (this.#watchers.size <= this.#options.max) return
    const oldest = this.#watchers.keys().next()
    if (oldest.done !== true) this.drop(oldest.value)
  }

  drop(directory: string): void {
    this.#watchers.get(directory)?.close()
    this.#watchers.delete(directory)
  }

  /** Those that are, or lie below, such a directory. */
  below(directory: string): readonly string[] {
    return [...this.#watchers.keys()].filter(one => one === directory || one.startsWith(`${directory}/`))
  }

  close(): void {
    for (const watcher of this.#watchers.values()) watcher.close()
    this.#watchers.clear()
  }

  #begin(directory: string): FSWatcher | undefined {
    try {
      const watcher = this.#watch(directory, { persistent: false })
      watcher.on('change', (kind, name) => {
        this.#options.counters.events++
        const isRename = kind === 'rename'
        this.#options.onEvent(
          directory,
          name === null ? undefined : String(name),
          isRename ? 'rename' : 'change',
        )
      })
      watcher.on('error', () => {
        this.#options.counters.failed++
        if (this.#watchers.get(directory) === watcher) this.drop(directory)
      })
      return watcher
    } catch {
      this.#options.counters.failed++
      return undefined
    }
  }
}
