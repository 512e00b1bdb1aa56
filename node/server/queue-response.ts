/** How a planned response comes into the send queue of its connection. */
import type { CachedObject } from '../../cache/cached-object.ts'
import { Variant } from '../../cache/variants.ts'
import type { ResponsePlan } from '../http/plan.ts'
import type { Tcb } from '../tcp/tcb.ts'
import { send, sendContent } from '../tcp/user.ts'

/** A file as it is, or one of several representations of it. */
export type Served = CachedObject | Variant

/** Octets are handed over by reference: heads and pages are never written again. */
export function queueResponse(tcb: Tcb, response: ResponsePlan<Served>, now: number): void {
  send(tcb, response.head, now)
  switch (response.bodyKind) {
    case 'none':
      return
    case 'octets':
      send(tcb, response.octets, now)
      return
    case 'content':
      sendContent(tcb, contentOf(response), response.bodyOffset, response.bodyLength, now)
      return
    case 'parts':
      for (const part of response.parts) {
        send(tcb, part.head, now)
        sendContent(tcb, contentOf(response), part.offset, part.length, now)
      }
      send(tcb, response.tail, now)
  }
}

function contentOf(response: ResponsePlan<Served>): CachedObject {
  const content = response.content as Served
  return content instanceof Variant ? content.content : content
}
