/**
 * What a target needs before it can take a connection: the contents that the send queue refers to, and room for the
 * octets that travel by value. Asked before anything is frozen.
 */
import { diff } from '../node/tcp/seq.ts'
import type { Tcb } from '../node/tcp/tcb.ts'

export interface Requirements {
  /** Keys of contents, each once. */
  readonly needs: readonly string[]
  /** Octets that a snapshot carries by value: owned ones to send, unread ones, and those received out of order. */
  readonly octets: number
}

export function requirements(tcb: Tcb): Requirements {
  const { sendQueue, receiveQueue, outOfOrder } = tcb
  const needs: string[] = []
  for (let index = sendQueue.head; index < sendQueue.tail; index++) {
    const key = sendQueue.chunks[index]?.content?.key
    if (key !== undefined && !needs.includes(key)) needs.push(key)
  }
  let octets = sendQueue.ownedOctets + receiveQueue.octets
  for (const run of outOfOrder.runs) octets += diff(run.end, run.start)
  return { needs, octets }
}
