/**
 * What the stack needs of a network device: packets in and packets out, in batches. The TUN device, the
 * memory pair of the tests, the fault injector and the pcap writer all implement it.
 */
import type { PacketBatch } from './packet-batch.ts'

export interface Device {
  readonly name: string
  /** Called with each batch of received packets; the batch is only valid until the call returns. */
  onReceive: (batch: PacketBatch) => void
  /** Called once when the device fails or is deleted under us; after it the device is closed. */
  onError: (error: Error) => void
  /**
   * Sends every packet of `batch`, in order, and returns how many were accepted. What the device does not
   * take is lost, as on any link. The batch may be cleared when the call returns.
   */
  send(batch: PacketBatch): number
  /** Idempotent. */
  close(): void
}
