/**
 * The TUN device of Linux as a `Device`: opens it through the native binding, keeps its receive batch and its
 * counters, and turns failures into `TunError`. Addresses, routes, the MTU and the state of the interface are
 * set by whoever creates the network, not here.
 */
import { type BatchHandle, type Binding, type DeviceHandle, load, type OpenError } from 'node-tuntap'
import type { Device } from './device.ts'
import { openError, readError, TunError } from './errors.ts'
import { MAX_PACKET_OCTETS, PacketBatch, VNET_HEADER_OCTETS } from './packet-batch.ts'

/** Arena octets of received packets: seven of the largest, or 64 of 8 KiB; it stays within a core's L2 cache. */
const DEFAULT_ARENA_OCTETS = 512 * 1024
const MAX_ARENA_OCTETS = 16 * 1024 * 1024
/** A read is only started while the largest packet would fit. */
const MIN_ARENA_OCTETS = MAX_PACKET_OCTETS + VNET_HEADER_OCTETS

/** What the native side counts, in the order of its table. Octets are those of IP packets. */
const COUNTERS = [
  'wakeUps',
  'batchesIn',
  'packetsIn',
  'octetsIn',
  /** Reads shorter than a virtio header. */
  'runtsIn',
  'batchesOut',
  'packetsOut',
  'octetsOut',
  /** The kernel would have blocked (EAGAIN). */
  'droppedFull',
  /** The kernel had no memory for the packet (ENOBUFS, ENOMEM). */
  'droppedNoMemory',
  /** The interface is not up (EIO). */
  'droppedDown',
  /** The device is closed or deleted. */
  'droppedClosed',
  /** The kernel did not like the packet (EINVAL): its virtio header contradicts its octets. */
  'droppedRejected',
  /** The batch's tables pointed outside their buffers. */
  'droppedInvalid',
] as const

export type TunCounters = Record<(typeof COUNTERS)[number], number>

const DROPPED_CLOSED = COUNTERS.indexOf('droppedClosed')

export interface TunOptions {
  /** 1 to 15 printable ASCII characters. A persistent TUN of this name is attached to, otherwise it is created. */
  readonly name: string
  /** Name (`ip netns`) or path of the network namespace to open the device in; default is the process's own. */
  readonly namespace?: string
  /** Octets, 65,545 to 16 MiB. */
  readonly arenaOctets?: number
}

export class TunDevice implements Device {
  readonly name: string
  onReceive: (batch: PacketBatch) => void = ignore
  onError: (error: Error) => void = ignore
  readonly #binding: Binding
  readonly #handle: DeviceHandle
  readonly #received: PacketBatch
  readonly #counters = new Float64Array(COUNTERS.length)
  #closed = false

  /** Opens the device; use `openTun`. */
  constructor(binding: Binding, name: string, namespace: string | undefined, arenaOctets: number) {
    this.name = name
    this.#binding = binding
    this.#received = new PacketBatch(arenaOctets)
    this.#handle = binding.open(name, {
      namespace,
      arena: this.#received.arena,
      packets: this.#received.packets,
      counters: this.#counters,
      onBatch: (count, used) => this.#receive(count, used),
      onError: (errno, syscall) => this.#fail(errno, syscall),
    })
  }

  send(batch: PacketBatch): number {
    if (batch.count === 0) return 0
    if (this.#closed) {
      this.#counters[DROPPED_CLOSED] = (this.#counters[DROPPED_CLOSED] ?? 0) + batch.count
      return 0
    }
    if (batch.deviceHandle === null) {
      batch.deviceHandle = this.#binding.registerBatch(batch.arena, batch.packets, batch.parts)
    }
    return this.#binding.send(
      this.#handle,
      batch.deviceHandle as BatchHandle,
      batch.count,
      batch.buffers,
      batch.bufferCount,
    )
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#binding.close(this.#handle)
  }

  get closed(): boolean {
    return this.#closed
  }

  /** Lets the open device keep the process alive, as it does from the start. */
  ref(): void {
    this.#binding.ref(this.#handle)
  }

  /** Lets the process end although the device is open. */
  unref(): void {
    this.#binding.unref(this.#handle)
  }

  /** Totals since the device was opened; they stay readable after it is closed. */
  counters(): TunCounters {
    const totals = {} as TunCounters
    for (const [index, counter] of COUNTERS.entries()) totals[counter] = this.#counters[index] ?? 0
    return totals
  }

  #receive(count: number, used: number): void {
    const batch = this.#received
    batch.count = count
    batch.used = used
    this.onReceive(batch)
  }

  #fail(errno: number, syscall: string): void {
    if (this.#closed) return
    this.close()
    this.onError(readError(this.name, errno, syscall))
  }
}

function ignore(): void {}

/**
 * Opens (and where it does not exist, creates) a TUN device with virtio-net headers and all offloads; it lives
 * until it is closed, the process ends or somebody deletes it. Throws `TunError`.
 */
export function openTun(options: TunOptions): TunDevice {
  const { name, arenaOctets = DEFAULT_ARENA_OCTETS } = options
  if (!isDeviceName(name)) throw new TunError('TUN_BAD_NAME', name)
  if (!(arenaOctets >= MIN_ARENA_OCTETS && arenaOctets <= MAX_ARENA_OCTETS)) {
    throw new RangeError(`arenaOctets: ${MIN_ARENA_OCTETS} to ${MAX_ARENA_OCTETS}`)
  }
  const binding = loadBinding(name)
  try {
    return new TunDevice(binding, name, namespacePath(options.namespace), arenaOctets)
  } catch (error) {
    if (!isOpenError(error)) throw error
    throw openError(name, error.errno, error.syscall)
  }
}

function loadBinding(name: string): Binding {
  try {
    return load()
  } catch (error) {
    throw new TunError('TUN_NOT_BUILT', name, error instanceof Error ? error : undefined)
  }
}

function isOpenError(error: unknown): error is OpenError {
  return typeof error === 'object' && error !== null && 'errno' in error && 'syscall' in error
}

/** The kernel's rule (dev_valid_name), and no % because that would be a pattern that the kernel fills in. */
function isDeviceName(name: string): boolean {
  return /^[!-~]{1,15}$/.test(name) && !/[/:%]/.test(name) && name !== '.' && name !== '..'
}

function namespacePath(namespace: string | undefined): string | undefined {
  if (namespace === undefined || namespace.includes('/')) return namespace
  return `/run/netns/${namespace}`
}
