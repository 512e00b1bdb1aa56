/**
 * What a target needs before it can take a connection: the contents that the send queue refers to, and room for the
 * octets that travel by value. Asked before anything is frozen.
 */
import type { Run } from '../node/tcp/content.ts'
import { diff } from '../node/tcp/seq.ts'
import type { Tcb } from '../node/tcp/tcb.ts'

export interface Requirements {
  /** Keys of contents, each once. */
  readonly needs: readonly string[]
  /** Octets that a snapshot carries by value: owned ones to send, unread ones, and those received out of order. */
  readonly octets: number
  /** Whether each content lies in memory whole, so that its like elsewhere needs nothing read again. */
  readonly resident: boolean
}

const located: Run = { octets: new Uint8Array(0), start: 0, length: 0 }

export function requirements(tcb: Tcb): Requirements {
  const { sendQueue, receiveQueue, outOfOrder } = tcb
  const needs: string[] = []
  let resident = true
  for (let index = sendQueue.head; index < sendQueue.tail; index++) {
    const content = sendQueue.chunks[index]?.content
    if (!content || needs.includes(content.key)) continue
    needs.push(content.key)
    resident &&= content.locate(0, located) && located.length === content.length
  }
  let octets = sendQueue.ownedOctets + receiveQueue.octets
  for (const run of outOfOrder.runs) octets += diff(run.end, run.start)
  return { needs, octets, resident }
}
