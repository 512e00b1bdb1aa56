/**
 * The native side: one TUN descriptor, watched by the event loop, read and written in batches. Only
 * `tun-device.ts` calls it; the tables that cross are those of `packet-batch.ts`.
 */

declare const kind: unique symbol

export interface DeviceHandle {
  readonly [kind]: 'device'
}

export interface BatchHandle {
  readonly [kind]: 'batch'
}

export interface OpenOptions {
  /** Path of a network namespace (`/run/netns/x`) to create the device in; undefined is the process's own. */
  readonly namespace: string | undefined
  /** Received packets, at least 65,545 octets. Must not be transferred to another thread. */
  readonly arena: Uint8Array
  /** Four int32 a packet; the native side fills offset and octets. */
  readonly packets: Int32Array
  /** Counted by the native side, in the order of `COUNTERS` in `tun-device.ts`. */
  readonly counters: Float64Array
  /** `count` packets lie in the arena, which is overwritten once the call has returned. */
  readonly onBatch: (count: number, used: number) => void
  /** Called once; afterwards the device is closed. `errno` is positive. */
  readonly onError: (errno: number, syscall: string) => void
}

/** What `open` throws: `errno` is positive, `syscall` says which step failed. */
export interface OpenError extends Error {
  readonly errno: number
  readonly syscall: string
}

export interface Binding {
  open(name: string, options: OpenOptions): DeviceHandle
  /** Lets the native side keep the addresses of a batch's tables, once for the life of the batch. */
  registerBatch(arena: Uint8Array, packets: Int32Array, parts: Int32Array): BatchHandle
  /** One writev a packet; returns how many the kernel took. Never throws for a packet or a device's state. */
  send(
    device: DeviceHandle,
    batch: BatchHandle,
    count: number,
    buffers: readonly Uint8Array[],
    bufferCount: number,
  ): number
  /** Idempotent, and allowed inside `onBatch` and `onError`. */
  close(device: DeviceHandle): void
  /** Whether the open device keeps the event loop alive; it does from the start. */
  ref(device: DeviceHandle): void
  unref(device: DeviceHandle): void
}

/** Loads the compiled addon; throws where it was not built. */
export function load(): Binding
