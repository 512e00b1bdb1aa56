/**
 * From a request head and the resource that it names to the response: status, head octets and where the body comes
 * from. Plans fill one reused record; the plain GET of an object allocates nothing but one head a second and
 * object. Sending, waiting for a load, and discarding the request's body are the caller's.
 */
import { CONDITIONAL, evaluateConditions, rangeApplies } from './conditional.ts'
import { formatHttpDate } from './date.ts'
import { asciiOctets } from './grammar.ts'
import { EXPECT, IF_RANGE, RANGE } from './known-field.ts'
import { type BodyPart, contentRange, multipartOf } from './multipart.ts'
import { type ByteRange, parseRanges } from './range.ts'
import type { Representation, Resource } from './representation.ts'
import { MAX_REQUEST_BODY_OCTETS } from './request-body.ts'
import { field, hasBody, queryText, type RequestHead } from './request-head.ts'
import { type ConnectionField, HeadTemplate, reasonOf, renderHead } from './response-head.ts'
import { encodePath } from './target.ts'

/** 'content': a stretch of the content; 'octets': a small body of its own; 'parts': stretches framed as multipart. */
export type BodyKind = 'none' | 'content' | 'octets' | 'parts'

export interface ResponsePlan<R extends Representation> {
  status: number
  /** Never written again: a send queue may refer to it. */
  head: Uint8Array
  bodyKind: BodyKind
  /** Set for 'content' and 'parts'. */
  content: R | undefined
  bodyOffset: number
  /** Octets of the body on the wire, whatever its kind. */
  bodyLength: number
  /** Set for 'octets'; shared, never written. */
  octets: Uint8Array
  /** Set for 'parts', with the octets that close the body. */
  parts: readonly BodyPart[]
  tail: Uint8Array
  /** The connection ends after this response; what else arrives is not read. */
  close: boolean
  /** `CONTINUE_OCTETS` are sent before the response, because the client waits for them to send its body. */
  sendContinue: boolean
}

/** What a site adds to responses that are no representation of a file. */
export interface ResponseContext {
  /** Field lines, each with its line end. */
  readonly lines: string
  /** The site's own page for an error: HTML in UTF-8, shared, never written. Undefined: ours. */
  page(status: number): Uint8Array | undefined
}

export const PLAIN_CONTEXT: ResponseContext = { lines: '', page: () => undefined }

const NO_OCTETS = new Uint8Array(0)
const NO_PARTS: readonly BodyPart[] = []

export function createResponsePlan<R extends Representation>(): ResponsePlan<R> {
  return {
    status: 0,
    head: NO_OCTETS,
    bodyKind: 'none',
    content: undefined,
    bodyOffset: 0,
    bodyLength: 0,
    octets: NO_OCTETS,
    parts: NO_PARTS,
    tail: NO_OCTETS,
    close: false,
    sendContinue: false,
  }
}

/** Fields that change the response to a GET. */
const SPECIAL = CONDITIONAL | RANGE | IF_RANGE | EXPECT

/** Prepared heads of a representation: three forms of Connection for each of 200 and 304. */
const FULL_HEADS = 0
const NOT_MODIFIED_HEADS = 3

/**
 * Plans the response to a request whose resource is known. `nowSecond` is the wall clock in whole seconds since the
 * epoch. Holds for every request, those that `planWithoutResource` answers included.
 */
export function plan<R extends Representation>(
  head: RequestHead,
  resource: Resource<R>,
  nowSecond: number,
  into: ResponsePlan<R>,
  context: ResponseContext = PLAIN_CONTEXT,
): void {
  if (
    resource.kind === 'object' &&
    head.method === 'GET' &&
    (head.present & SPECIAL) === 0 &&
    head.contentLength <= 0 &&
    !head.chunked
  ) {
    planFull(head, resource, nowSecond, into)
    return
  }
  if (planWithoutResource(head, nowSecond, into, context)) return
  begin(into, head)
  answerExpectation(head, resource.kind === 'object', into)
  if (resource.kind === 'object') planObject(head, resource, nowSecond, into, context)
  else if (resource.kind === 'redirect') planRedirect(head, resource.path, nowSecond, into, context)
  else if (resource.kind === 'refused') planStatus(head, resource.status, nowSecond, into, context)
  else if (resource.kind === 'unacceptable') {
    planStatus(head, 406, nowSecond, into, context, 'Vary: Accept-Encoding\r\n')
  } else planStatus(head, STATUS_OF[resource.kind], nowSecond, into, context)
}

/**
 * Only a plain success invites the body; any other final status is sent at once, and then the client's next octets could
 * be the body or a request (RFC 9110 §10.1.1): the connection ends.
 */
export function answerExpectation<R extends Representation>(
  head: RequestHead,
  isThere: boolean,
  into: ResponsePlan<R>,
): void {
  if (head.expect !== '100-continue' || !hasBody(head)) return
  into.sendContinue = isThere && (head.present & (CONDITIONAL | RANGE)) === 0
  if (!into.sendContinue) into.close = true
}

const STATUS_OF = {
  missing: 404,
  forbidden: 403,
  unstable: 503,
  busy: 503,
  failed: 500,
  'bad-gateway': 502,
  'gateway-timeout': 504,
}

/** What every resource here allows; Allow says it with 405 (RFC 9110 §15.5.6) and to OPTIONS. */
const ALLOW = 'Allow: GET, HEAD, OPTIONS\r\n'

/**
 * Plans what needs no resource: refusals of the request as such, and OPTIONS. Returns false where a resource is
 * needed, so that an attempt to POST costs no look at the disk.
 */
export function planWithoutResource<R extends Representation>(
  head: RequestHead,
  nowSecond: number,
  into: ResponsePlan<R>,
  context: ResponseContext = PLAIN_CONTEXT,
): boolean {
  const method = head.method
  let status = 0
  if (head.expect === 'other') status = 417
  else if (head.contentLength > MAX_REQUEST_BODY_OCTETS) status = 413
  else if (method === '') status = 501
  else if (method !== 'GET' && method !== 'HEAD' && method !== 'OPTIONS') status = 405
  if (status === 0 && method !== 'OPTIONS') return false
  begin(into, head)
  if (hasBody(head) && (head.expect !== '' || status === 413)) into.close = true
  // After CONNECT the client may already speak to the tunnel that it hoped for (RFC 9110 §9.3.6).
  if (method === 'CONNECT') into.close = true
  if (status !== 0) planStatus(head, status, nowSecond, into, context)
  else finish(into, head, 200, `Content-Length: 0\r\n${ALLOW}${context.lines}`, nowSecond)
  return true
}

/** Plans the refusal of a request for what its client has asked before: 429 (RFC 6585 §4). */
export function planRefusal<R extends Representation>(
  head: RequestHead,
  nowSecond: number,
  into: ResponsePlan<R>,
  context: ResponseContext,
  close: boolean,
): void {
  begin(into, head)
  if (close || (hasBody(head) && head.expect !== '')) into.close = true
  planStatus(head, 429, nowSecond, into, context)
}

/** Plans the answer to octets that are no request, or to one that is too late: an error page, then the end. */
export function planError<R extends Representation>(
  status: number,
  nowSecond: number,
  into: ResponsePlan<R>,
): void {
  begin(into, undefined)
  planStatus(undefined, status, nowSecond, into, PLAIN_CONTEXT)
}

/** The page of an error that no site has replaced: the same on every node. */
function pageOf(status: number): Uint8Array {
  let page = pages.get(status)
  if (page === undefined) {
    const title = `${status} ${reasonOf(status)}`
    page = asciiOctets(
      `<!doctype html>\n<html lang="en">\n<title>${title}</title>\n<h1>${title}</h1>\n</html>\n`,
    )
    pages.set(status, page)
  }
  return page
}

/** One page a status: bounded by their number. */
const pages = new Map<number, Uint8Array>()

export function begin<R extends Representation>(into: ResponsePlan<R>, head: RequestHead | undefined): void {
  into.bodyKind = 'none'
  into.content = undefined
  into.bodyOffset = 0
  into.bodyLength = 0
  into.octets = NO_OCTETS
  into.parts = NO_PARTS
  into.tail = NO_OCTETS
  into.close = head === undefined || !head.keepAlive
  into.sendContinue = false
}

export function connectionField(head: RequestHead | undefined, close: boolean): ConnectionField {
  if (close) return 'close'
  return head !== undefined && head.minorVersion === 0 ? 'keep-alive' : ''
}

/** Renders the head of a response that no object keeps prepared. */
function finish<R extends Representation>(
  into: ResponsePlan<R>,
  head: RequestHead | undefined,
  status: number,
  fields: string,
  nowSecond: number,
): void {
  into.status = status
  into.head = renderHead(status, fields, connectionField(head, into.close), nowSecond)
}

export function planStatus<R extends Representation>(
  head: RequestHead | undefined,
  status: number,
  nowSecond: number,
  into: ResponsePlan<R>,
  context: ResponseContext,
  moreFields = '',
): void {
  const page = context.page(status) ?? pageOf(status)
  if (head === undefined || head.method !== 'HEAD') {
    into.bodyKind = 'octets'
    into.octets = page
    into.bodyLength = page.length
  }
  let fields = `Content-Type: text/html; charset=utf-8\r\nContent-Length: ${page.length}\r\n${moreFields}${context.lines}`
  if (status === 405) fields += ALLOW
  // RFC 9110 §10.2.3 and RFC 6585 §4; a load that was refused for want of room may succeed soon.
  if (status === 503 || status === 429) fields += 'Retry-After: 1\r\n'
  finish(into, head, status, fields, nowSecond)
}

function planRedirect<R extends Representation>(
  head: RequestHead,
  path: string,
  nowSecond: number,
  into: ResponsePlan<R>,
  context: ResponseContext,
): void {
  // The path is normalised: it begins with exactly one slash, so that it can never name another host.
  planStatus(head, 301, nowSecond, into, context, `Location: ${encodePath(path)}${queryText(head)}\r\n`)
}

function planFull<R extends Representation>(
  head: RequestHead,
  content: R,
  nowSecond: number,
  into: ResponsePlan<R>,
): void {
  into.status = 200
  into.head = preparedHead(content, FULL_HEADS, head, !head.keepAlive).at(nowSecond)
  into.bodyKind = content.length === 0 ? 'none' : 'content'
  into.content = content
  into.bodyOffset = 0
  into.bodyLength = content.length
  into.octets = NO_OCTETS
  into.parts = NO_PARTS
  into.tail = NO_OCTETS
  into.close = !head.keepAlive
  into.sendContinue = false
}

/** Makes, once, the head of an object for 200 or 304 and a form of Connection. */
function preparedHead(
  content: Representation,
  first: number,
  head: RequestHead,
  close: boolean,
): HeadTemplate {
  const index = first + (close ? 1 : head.minorVersion === 0 ? 2 : 0)
  let prepared = content.heads[index]
  if (prepared === undefined) {
    while (content.heads.length < NOT_MODIFIED_HEADS + 3) content.heads.push(undefined)
    const connection = connectionField(head, close)
    prepared =
      first === FULL_HEADS
        ? new HeadTemplate(
            200,
            representationFields(content, content.mediaType, content.length, ''),
            connection,
          )
        : new HeadTemplate(304, `ETag: ${content.etag}\r\n${content.cacheFields}`, connection)
    content.heads[index] = prepared
  }
  return prepared
}

/** The fields of 200 and 206 in their one order; `range` is a whole Content-Range line or ''. */
function representationFields(
  content: Representation,
  mediaType: string,
  length: number,
  range: string,
): string {
  const encoding = content.contentEncoding === '' ? '' : `Content-Encoding: ${content.contentEncoding}\r\n`
  return (
    `Content-Type: ${mediaType}\r\n${encoding}Content-Length: ${length}\r\n${range}` +
    `Last-Modified: ${formatHttpDate(content.lastModified)}\r\nETag: ${content.etag}\r\n` +
    `Accept-Ranges: bytes\r\n${content.cacheFields}`
  )
}

/** GET and HEAD of an object: conditions first, ranges last (RFC 9110 §13.2.2). */
function planObject<R extends Representation>(
  head: RequestHead,
  content: R,
  nowSecond: number,
  into: ResponsePlan<R>,
  context: ResponseContext,
): void {
  const condition =
    (head.present & CONDITIONAL) === 0 ? 'proceed' : evaluateConditions(head, content, nowSecond)
  if (condition === 'failed') {
    planStatus(head, 412, nowSecond, into, context)
    return
  }
  if (condition === 'not-modified') {
    into.status = 304
    into.head = preparedHead(content, NOT_MODIFIED_HEADS, head, into.close).at(nowSecond)
    return
  }
  // RFC 9110 §14.2: ranges are defined for GET alone.
  if ((head.present & RANGE) !== 0 && head.method === 'GET' && rangeApplies(head, content, nowSecond)) {
    const ranges = parseRanges(field(head, RANGE) as string, content.length)
    if (ranges === 'unsatisfiable') {
      planStatus(head, 416, nowSecond, into, context, `Content-Range: bytes */${content.length}\r\n`)
      return
    }
    if (ranges !== 'ignore') {
      planRanges(head, content, ranges, nowSecond, into)
      return
    }
  }
  into.status = 200
  into.head = preparedHead(content, FULL_HEADS, head, into.close).at(nowSecond)
  if (head.method === 'HEAD' || content.length === 0) return
  into.bodyKind = 'content'
  into.content = content
  into.bodyLength = content.length
}

/**
 * 206. After If-Range the RFC would leave out fields that the client has already (§15.3.7, SHOULD NOT): they are sent
 * all the same, as nginx, Apache and Caddy do, because players rely on Content-Type.
 */
function planRanges<R extends Representation>(
  head: RequestHead,
  content: R,
  ranges: ByteRange[],
  nowSecond: number,
  into: ResponsePlan<R>,
): void {
  into.content = content
  const only = ranges[0] as ByteRange
  if (ranges.length === 1) {
    const line = `Content-Range: ${contentRange(only, content.length)}\r\n`
    into.bodyKind = 'content'
    into.bodyOffset = only.first
    into.bodyLength = only.last - only.first + 1
    finish(
      into,
      head,
      206,
      representationFields(content, content.mediaType, into.bodyLength, line),
      nowSecond,
    )
    return
  }
  const multipart = multipartOf(content, ranges)
  const type = `multipart/byteranges; boundary=${multipart.boundary}`
  into.bodyKind = 'parts'
  into.parts = multipart.parts
  into.tail = multipart.tail
  into.bodyLength = multipart.length
  finish(into, head, 206, representationFields(content, type, multipart.length, ''), nowSecond)
}
