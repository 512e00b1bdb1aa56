/**
 * The disks of `npm run bench -- cyclone`, the same for every system: a server that has all files, with as many disks as there are
 * nodes. A read takes the next disk that is free, for a time of its own. It is reached beside the nodes' links: by a Unix
 * socket, which namespaces do not part, and at a port of this machine for those that ask by a URL.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'

export interface StorageOptions {
  readonly sizes: ArrayLike<number>
  readonly disks: number
}

/** Reads that may wait: more than all clients together ask for at a time. */
const MAX_WAITING = 10_000
/** Every file is a piece of it, as what is in them matters to nobody. */
const CONTENT = Buffer.alloc(1_048_576, 'gyre ')
/** All of one instant: nobody has to ask whether they have changed. */
const LAST_MODIFIED = 'Tue, 24 Nov 2026 00:00:00 GMT'

export class Storage {
  readonly #sizes: ArrayLike<number>
  /** When each disk is free again. */
  readonly #free: Float64Array
  #waiting = 0
  /** Of one read, ms. */
  readMs = 0
  reads = 0

  constructor({ sizes, disks }: StorageOptions) {
    this.#sizes = sizes
    this.#free = new Float64Array(disks)
  }

  answer(request: IncomingMessage, response: ServerResponse): void {
    const [, name, value] = /^\/([\w-]+)(?:\?(\d+))?$/.exec(request.url ?? '') ?? []
    if (name === 'read-ms' && value !== undefined) {
      this.readMs = Number(value)
      response.end()
      return
    }
    if (name === 'reads') {
      response.end(`${this.reads}`)
      return
    }
    const size = this.#sizes[Number(name)]
    if (size === undefined || this.#waiting >= MAX_WAITING) {
      response.writeHead(size === undefined ? 404 : 503).end()
      return
    }
    this.#waiting++
    setTimeout(() => {
      this.#waiting--
      response.writeHead(200, {
        'Content-Type': 'application/octet-stream',
        'Content-Length': size,
        'Cache-Control': 'public, max-age=86400',
        'Last-Modified': LAST_MODIFIED,
      })
      response.end(CONTENT.subarray(0, size))
    }, this.#read(performance.now()))
  }

  /** Takes the disk that is free first; returns how long the read will take. */
  #read(now: number): number {
    this.reads++
    let first = 0
    for (let disk = 1; disk < this.#free.length; disk++) {
      if ((this.#free[disk] as number) < (this.#free[first] as number)) first = disk
    }
    const done = Math.max(now, this.#free[first] as number) + this.readMs
    this.#free[first] = done
    return done - now
  }
}
