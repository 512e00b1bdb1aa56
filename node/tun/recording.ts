/**
 * A TUN whose packets are recorded, if that was asked for: both ways, super-packets as they are, with remarks between them.
 * Without a recording the device is the TUN itself, so that it costs nothing.
 */
import { CaptureFile } from './capture-file.ts'
import type { Device } from './device.ts'
import { PcapDevice } from './pcap-device.ts'
import { openTun, type TunDevice } from './tun-device.ts'

/** What a role was told: nothing to record, or where and how much. */
export function recordingOf(
  file: string | undefined,
  maxOctets: number,
  warn: (text: string) => void,
): RecordingOptions | undefined {
  return file === undefined ? undefined : { file, maxOctets, warn }
}

export interface RecordingOptions {
  readonly file: string
  /** After so many octets packets are only counted. */
  readonly maxOctets: number
  /** Says one line to the operator. */
  readonly warn: (text: string) => void
}

export interface RecordedTun {
  readonly tun: TunDevice
  /** What sends and receives: the TUN, or what records it. */
  readonly device: Device
  /** Puts a remark among the packets; undefined where nothing is recorded. */
  readonly note: ((text: string) => void) | undefined
  /** Ends the recording; the device stays. */
  finish(): Promise<void>
}

/** Throws a TunError, or what the system says of a file that it cannot make. */
export function openRecordedTun(name: string, recording: RecordingOptions | undefined): RecordedTun {
  if (recording === undefined) {
    const tun = openTun({ name })
    return { tun, device: tun, note: undefined, finish: async () => {} }
  }
  const file = new CaptureFile(recording.file, recording.warn)
  const tun = openTun({ name })
  const device = new PcapDevice(tun, {
    write: octets => file.write(octets),
    captureOctets: recording.maxOctets,
    full: () => recording.warn(`recording to ${file.path} is full; later packets are not in it`),
  })
  return { tun, device, note: text => device.note(text), finish: () => file.close() }
}
