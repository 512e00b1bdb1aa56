/** What an owner sends, as long as its lease permits it. */
import type { Device } from '../../node/tun/device.ts'
import type { PacketBatch } from '../../node/tun/packet-batch.ts'
import type { Lease } from './coordinator.ts'

/** One look at the clock a batch, and none without an engine. What is not sent is lost on the way, for all TCP knows. */
export function transmitter(
  device: Pick<Device, 'send'>,
  { permits }: Pick<Lease, 'permits'>,
): (batch: PacketBatch) => void {
  if (permits === undefined) return batch => void device.send(batch)
  return batch => {
    if (permits(performance.now())) device.send(batch)
  }
}
