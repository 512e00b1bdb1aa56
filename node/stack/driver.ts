/**
 * Runs an owner on a device: gives it the packets, the clock and one timer, and sends what it sends. All of the IO that
 * the packet path has is here.
 */
import type { Device } from '../tun/device.ts'
import type { PacketBatch } from '../tun/packet-batch.ts'

/** What is driven: an owner, or what is built around one. */
export interface Machine {
  receiveBatch(batch: PacketBatch, now: number): void
  pollAt(): number
  poll(now: number): void
}

/** Timers of Node.js count whole milliseconds; a shorter wait would come back too early and spin. */
const MIN_WAIT_MS = 1
/** With nothing to wait for there is no timer at all; otherwise none is longer than setTimeout can count. */
const MAX_WAIT_MS = 2 ** 31 - 1

export class Driver {
  readonly #machine: Machine
  readonly #device: Device
  #timer: NodeJS.Timeout | undefined = undefined
  #immediate: NodeJS.Immediate | undefined = undefined
  #timerAt = Number.POSITIVE_INFINITY
  #closed = false

  constructor(machine: Machine, device: Device) {
    this.#machine = machine
    this.#device = device
    device.onReceive = batch => {
      machine.receiveBatch(batch, performance.now())
      this.schedule()
    }
  }

  /** To be called after anything that may have moved the deadline earlier. */
  schedule(): void {
    const at = this.#machine.pollAt()
    if (at >= this.#timerAt || at === Number.POSITIVE_INFINITY || this.#closed) return
    clearTimeout(this.#timer)
    this.#timerAt = at
    const wait = Math.min(MAX_WAIT_MS, Math.max(MIN_WAIT_MS, Math.ceil(at - performance.now())))
    this.#timer = setTimeout(() => this.#due(), wait)
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#timer)
    clearImmediate(this.#immediate)
    this.#device.close()
  }

  /**
   * What has arrived comes before what is due. A process that was not let run for a while finds both, and an
   * acknowledgement that waits in the device must not be taken for one that never came.
   */
  #due(): void {
    this.#immediate = setImmediate(() => this.#poll())
  }

  #poll(): void {
    this.#timerAt = Number.POSITIVE_INFINITY
    this.#machine.poll(performance.now())
    this.schedule()
  }
}
