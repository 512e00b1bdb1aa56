/**
 * From a request head and a response of the origin to what is sent: the whole, a part of it, or 304 (RFC 9111 §4.3.2). Its
 * head is the origin's with what a cache has to say; the order of fields is the origin's.
 */
import { CONDITIONAL, evaluateConditions, rangeApplies } from './conditional.ts'
import { RANGE } from './known-field.ts'
import { contentRange, multipartOf } from './multipart.ts'
import {
  answerExpectation,
  begin,
  connectionField,
  planStatus,
  planWithoutResource,
  type ResponseContext,
  type ResponsePlan,
} from './plan.ts'
import { type ByteRange, parseRanges } from './range.ts'
import type { OriginResponse, Representation } from './representation.ts'
import { field, type RequestHead } from './request-head.ts'
import { headOctets } from './stored-response.ts'

/** RFC 9211 §2 and RFC 9110 §7.6.3: by which name we are known to those who look for us in a chain of caches. */
export const CACHE_NAME = 'gyre'

/** Plans the response to a request from what the origin said; as `plan` does from a file. */
export function planStored<R extends Representation>(
  head: RequestHead,
  resource: OriginResponse<R>,
  nowSecond: number,
  into: ResponsePlan<R>,
  context: ResponseContext,
): void {
  if (planWithoutResource(head, nowSecond, into, context)) return
  const { response, content } = resource
  begin(into, head)
  answerExpectation(head, response.status === 200, into)
  const special = head.present & (CONDITIONAL | RANGE)
  // Conditions and ranges mean something for a 200 alone (RFC 9110 §13.2.1, §14.2).
  if (special !== 0 && response.status === 200 && planSpecial(head, resource, nowSecond, into, context))
    return
  into.status = response.status
  into.head = response.fullHead(content.length, endingOf(resource), connectionField(head, into.close))
  if (head.method === 'HEAD' || content.length === 0) return
  into.bodyKind = 'content'
  into.content = content
  into.bodyLength = content.length
}

/** False where the whole is to be sent after all. */
function planSpecial<R extends Representation>(
  head: RequestHead,
  resource: OriginResponse<R>,
  nowSecond: number,
  into: ResponsePlan<R>,
  context: ResponseContext,
): boolean {
  const { response, content } = resource
  const condition = evaluateConditions(head, response, nowSecond)
  if (condition === 'failed') {
    planStatus(head, 412, nowSecond, into, context)
    return true
  }
  if (condition === 'not-modified') {
    into.status = 304
    const lines = response.lines('', true) + endingOf(resource)
    into.head = headOctets(304, lines, connectionField(head, into.close))
    return true
  }
  if ((head.present & RANGE) === 0 || head.method !== 'GET') return false
  if (!rangeApplies(head, response, nowSecond)) return false
  const ranges = parseRanges(field(head, RANGE) as string, content.length)
  if (ranges === 'ignore') return false
  if (ranges !== 'unsatisfiable') planRanges(head, resource, ranges, into)
  else planStatus(head, 416, nowSecond, into, context, `Content-Range: bytes */${content.length}\r\n`)
  return true
}

/** 206, with all fields of the 200 as the files of a site have them. */
function planRanges<R extends Representation>(
  head: RequestHead,
  resource: OriginResponse<R>,
  ranges: ByteRange[],
  into: ResponsePlan<R>,
): void {
  const { response, content } = resource
  const connection = connectionField(head, into.close)
  const end = `Accept-Ranges: bytes\r\n${endingOf(resource)}`
  into.status = 206
  into.content = content
  if (ranges.length === 1) {
    const only = ranges[0] as ByteRange
    into.bodyKind = 'content'
    into.bodyOffset = only.first
    into.bodyLength = only.last - only.first + 1
    const length = `Content-Length: ${into.bodyLength}\r\nContent-Range: ${contentRange(only, content.length)}\r\n`
    into.head = headOctets(206, response.lines() + length + end, connection)
    return
  }
  // The boundary follows from the hash of the octets, whatever the origin calls them.
  const mediaType = response.mediaType === '' ? 'application/octet-stream' : response.mediaType
  const multipart = multipartOf({ etag: content.etag, mediaType, length: content.length }, ranges)
  into.bodyKind = 'parts'
  into.parts = multipart.parts
  into.tail = multipart.tail
  into.bodyLength = multipart.length
  const type = `Content-Type: multipart/byteranges; boundary=${multipart.boundary}\r\n`
  const lines = `${response.lines('content-type')}${type}Content-Length: ${multipart.length}\r\n`
  into.head = headOctets(206, lines + end, connection)
}

function endingOf({ age, cacheStatus }: OriginResponse<Representation>): string {
  return `${age === undefined ? '' : `Age: ${age}\r\n`}Cache-Status: ${CACHE_NAME}; ${cacheStatus}\r\n`
}
