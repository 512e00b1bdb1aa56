import { pack, unpack } from 'msgpackr'
import { FIN } from '../wire/segment.ts'
import { segmentArrives } from './arrival.ts'
import type { Content, Run } from './content.ts'
import { takeEvents } from './events.ts'
import { nextSegment } from './output.ts'
import { exportTcb, importTcb } from './snapshot.ts'
import type { Tcb } from './tcb.ts'
import { fromPeer, ISS, NOW, tcbIn } from './tcb-in-state.ts'
import { createTransmission } from './transmission.ts'
import { close, sendContent } from './user.ts'

/** Sequence numbers pass 2^31 twice and 2^32 once. */
const LENGTH = 5 * 2 ** 30 + 12_345
const MOVE_EVERY = 2 ** 30 + 777

/** Nothing of it exists; it notes what it is asked for. */
class Synthetic implements Content {
  readonly key = 'synthetic'
  readonly length = LENGTH
  asked = -1
  readonly #octets = new Uint8Array(65_536)

  locate(offset: number, run: Run): boolean {
    if (this.asked < 0) this.asked = offset
    run.octets = this.#octets
    run.start = 0
    run.length = Math.min(65_536, this.length - offset)
    return offset >= 0 && run.length > 0
  }
}

it('a content of 5 GiB: every octet in its order, across wraps, ranges and moves', () => {
  const content = new Synthetic()
  const first = 12_345
  let tcb: Tcb = tcbIn('ESTABLISHED')
  expect(sendContent(tcb, content, first, LENGTH - first)).toBe(true)
  close(tcb)
  const out = createTransmission()
  const sink = { add: () => {} }
  let sent = first
  let movedAt = 0
  let moves = 0
  let now = NOW
  let finished = false
  while (!finished) {
    now += 1
    while (nextSegment(tcb, now, out)) {
      if (out.payloadLength > 0) {
        content.asked = -1
        const gathered = tcb.sendQueue.gather(out.payloadSeq, out.payloadLength, sink)
        // A plain comparison: there are 80,000 of them.
        if (!gathered || content.asked !== sent || out.seq !== ((ISS + 1 + sent - first) | 0)) {
          throw new Error(`at ${sent}: asked for ${content.asked}, sequence number ${out.seq}`)
        }
        sent += out.payloadLength
      }
      finished ||= (out.flags & FIN) !== 0
    }
    segmentArrives(tcb, fromPeer(tcb, { window: 60_000, tsVal: tcb.ts.recent }), now)
    takeEvents(tcb)
    if (sent - movedAt < MOVE_EVERY || finished) continue
    movedAt = sent
    moves++
    const moved = importTcb(unpack(pack(exportTcb(tcb, now))), tcb.config, now, () => content)
    expect(typeof moved).toBe('object')
    tcb = moved as Tcb
  }
  expect(sent).toBe(LENGTH)
  expect(moves).toBe(4)
  expect(tcb.state).toBe('FIN-WAIT-2')
})
