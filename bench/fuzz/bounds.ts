/** What one connection may hold at most, whatever arrives: checked after every event of a fuzz run. */
import { MAX_OUT_OF_ORDER_RUNS } from '../../node/tcp/out-of-order.ts'
import { MAX_SEND_CHUNKS } from '../../node/tcp/send-queue.ts'
import { MAX_SENT_RECORDS, sentCount } from '../../node/tcp/sent-records.ts'
import type { Tcb } from '../../node/tcp/tcb.ts'

/** RFC 5681 §4.2 for peers without SACK; `MAX_OWED` of `node/tcp/acknowledgement.ts`. */
const MAX_OWED = 16
/** One segment that arrives at the very edge of the window may lie beyond it by so much. */
const MAX_PAYLOAD_OCTETS = 65_535
/** The least and the most that a run of `node/tcp/out-of-order.ts` allocates beside its octets. */
const MIN_RUN_OCTETS = 2_048
const MAX_RUN_OCTETS = 65_536
/** Numbers a record takes in `node/tcp/sent-records.ts`, which drops used ones only at half. */
const CELLS = 4 * 2 * (MAX_SENT_RECORDS + 64)

/** What is out of bounds, or undefined. */
export function unbounded(tcb: Tcb): string | undefined {
  const { rcv, receiveQueue, outOfOrder, sent, sendQueue, ack } = tcb
  if (sentCount(sent) > MAX_SENT_RECORDS) return `${sentCount(sent)} sent records`
  if (sent.cells.length > CELLS) return `${sent.cells.length} cells of sent records`
  if (outOfOrder.runs.length > MAX_OUT_OF_ORDER_RUNS) return `${outOfOrder.runs.length} runs out of order`
  const window = (rcv.edge - rcv.nxt) | 0
  if (receiveQueue.octets + window > rcv.limit + MAX_PAYLOAD_OCTETS)
    return `${receiveQueue.octets} octets unread and a window of ${window}, of ${rcv.limit}`
  let held = 0
  for (const run of outOfOrder.runs) held += run.octets.length
  if (held > 2 * Math.max(window, MAX_RUN_OCTETS) + MIN_RUN_OCTETS * outOfOrder.runs.length)
    return `${held} octets allocated for runs out of order in a window of ${window}`
  if (sendQueue.tail - sendQueue.head > MAX_SEND_CHUNKS)
    return `${sendQueue.tail - sendQueue.head} chunks to send`
  if (sendQueue.chunks.length > 2 * MAX_SEND_CHUNKS + 64) return `${sendQueue.chunks.length} chunk records`
  if (ack.owed > MAX_OWED) return `${ack.owed} acknowledgements owed`
  return undefined
}
