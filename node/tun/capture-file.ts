/**
 * A capture on its way to a file. Whoever records must not wait for the disk: octets are kept until they are written, up to a
 * bound; and a disk that fails ends the recording with one warning, and nothing else.
 */
import { close, closeSync, openSync, write } from 'node:fs'

/** What may wait for the disk: 0.1 s at 1 Gbit/s. More means that the disk is slower than the network. */
export const MAX_WAITING_OCTETS = 16 * 1024 * 1024
/** Packets of clients are nobody else's business. */
const FILE_MODE = 0o600

export class CaptureFile {
  readonly path: string
  readonly #fd: number
  readonly #warn: (text: string) => void
  #waiting: Uint8Array[] = []
  #waitingOctets = 0
  #writing = false
  /** The disk has failed, or the file is closed. */
  #ended = false
  #drained: () => void = () => {}

  /** Creates or empties the file; throws what the system says where it cannot. */
  constructor(path: string, warn: (text: string) => void) {
    this.path = path
    this.#warn = warn
    this.#fd = openSync(path, 'w', FILE_MODE)
  }

  /** Takes octets to write, which must not change any more; false where they are not taken. */
  write(octets: Uint8Array): boolean {
    if (this.#ended || this.#waitingOctets + octets.length > MAX_WAITING_OCTETS) return false
    this.#waiting.push(octets)
    this.#waitingOctets += octets.length
    if (!this.#writing) this.#next()
    return true
  }

  /** Writes what waits and closes the file. */
  async close(): Promise<void> {
    if (this.#ended) return
    if (this.#writing) {
      await new Promise<void>(resolve => {
        this.#drained = resolve
      })
    }
    // The disk may have failed meanwhile.
    if (this.#ended) return
    this.#ended = true
    closeSync(this.#fd)
  }

  #next(): void {
    this.#writing = this.#waiting.length > 0
    if (!this.#writing) return this.#drained()
    const octets = Buffer.concat(this.#waiting)
    this.#waiting = []
    this.#put(octets)
  }

  #put(octets: Uint8Array): void {
    write(this.#fd, octets, (error, written) => {
      if (error !== null) return this.#fail(error)
      this.#waitingOctets -= written
      if (written < octets.length) this.#put(octets.subarray(written))
      else this.#next()
    })
  }

  #fail(error: Error): void {
    this.#ended = true
    this.#waiting = []
    this.#warn(`recording to ${this.path} has ended: ${error.message}`)
    close(this.#fd, () => {})
    this.#drained()
  }
}
