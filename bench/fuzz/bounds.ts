/** What one connection, and one owner, may hold at most, whatever arrives: checked after every event of a fuzz run. */
import type { Owner } from '../../node/stack/owner.ts'
import { checkInvariants } from '../../node/tcp/invariants.ts'
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

/** Throws where a table of an owner is beyond its bound, or two of them do not agree. */
export function checkOwner(owner: Owner): void {
  const { id } = owner.config
  checkUsage(owner)
  let connections = 0
  let linked = 0
  for (const [key, entry] of owner.byId) {
    if (owner.flows.find(entry) === entry) linked++
    if (entry.id !== key) throw new Error(`owner ${id}: ${entry.id} is known as ${key}`)
    if (entry.kind !== 'connection') continue
    connections++
    if (owner.flows.find(entry) !== entry) throw new Error(`owner ${id}: no packet reaches connection ${key}`)
    if (entry.isPutAway || entry.resting !== undefined) continue
    checkInvariants(entry.tcb)
    const wrong = unbounded(entry.tcb)
    if (wrong !== undefined) throw new Error(`owner ${id}: a connection with ${wrong}`)
  }
  if (linked !== owner.flows.size)
    throw new Error(`owner ${id}: ${owner.flows.size - linked} flows that nothing is known of`)
  if (connections !== owner.connections)
    throw new Error(`owner ${id}: ${owner.connections} connections are counted, ${connections} are known`)
}

/** Throws where a table of an owner is beyond its bound. */
export function checkUsage(owner: Owner): void {
  const usage = owner.usage()
  for (const [table, { used, max }] of Object.entries(usage)) {
    // A connection that follows one in TIME-WAIT takes its place, whatever the bound of half-open ones says.
    const places = table === 'halfOpen' ? (usage.timeWait?.max ?? 0) : 0
    if (used > max + places) throw new Error(`owner ${owner.config.id} has ${used} ${table}, of ${max}`)
  }
}
