/**
 * Reads responses as strictly as RFC 9112 lets a client: what is not one is told, not repaired. Text is the octets,
 * one character each.
 */

export interface Response {
  readonly status: number
  /** By name in lower case; several lines of a name are joined by ', '. */
  readonly fields: ReadonlyMap<string, string>
  /** The field lines as they came. */
  readonly lines: readonly string[]
  readonly body: string
  /** Statuses of the interim responses before it. */
  readonly interim: readonly number[]
}

export interface Reading {
  readonly responses: readonly Response[]
  /** What is not a response where one must begin. */
  readonly fault: string | undefined
  /** Octets behind the last whole response. */
  readonly rest: string
}

const STATUS_LINE = /^HTTP\/1\.[01] (\d{3}) [\t -~\x80-\xff]*$/
const FIELD_LINE = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([\t -~\x80-\xff]*?)[ \t]*$/

type Parsed =
  | { readonly response: Response; readonly next: number }
  | 'incomplete'
  | { readonly fault: string }

/** `methods`: of the requests, in their order; without one it is GET. `ended`: nothing more will come. */
export function readResponses(text: string, methods: readonly string[], ended: boolean): Reading {
  const responses: Response[] = []
  let interim: number[] = []
  let at = 0
  while (at < text.length) {
    const parsed = parse(text, at, methods[responses.length] ?? 'GET', interim, ended)
    if (parsed === 'incomplete') break
    if ('fault' in parsed) return { responses, fault: parsed.fault, rest: text.slice(at) }
    at = parsed.next
    if (parsed.response.status >= 200) {
      responses.push(parsed.response)
      interim = []
    } else interim = [...interim, parsed.response.status]
  }
  return { responses, fault: undefined, rest: text.slice(at) }
}

function parse(
  text: string,
  start: number,
  method: string,
  interim: readonly number[],
  ended: boolean,
): Parsed {
  const headEnd = text.indexOf('\r\n\r\n', start)
  if (headEnd < 0) return 'incomplete'
  const [statusLine = '', ...lines] = text.slice(start, headEnd).split('\r\n')
  const status = Number(STATUS_LINE.exec(statusLine)?.[1])
  if (!(status >= 100 && status < 600))
    return { fault: `status line ${JSON.stringify(statusLine.slice(0, 80))}` }
  const fields = new Map<string, string>()
  for (const line of lines) {
    const match = FIELD_LINE.exec(line)
    if (match === null) return { fault: `field line ${JSON.stringify(line.slice(0, 80))}` }
    const name = (match[1] as string).toLowerCase()
    const before = fields.get(name)
    fields.set(name, before === undefined ? (match[2] as string) : `${before}, ${match[2]}`)
  }
  const body = bodyOf(text, headEnd + 4, status, fields, method, ended)
  if (typeof body !== 'object') return body
  if ('fault' in body) return body
  return { response: { status, fields, lines, body: body.text, interim }, next: body.next }
}

/** RFC 9112 §6.3. */
function bodyOf(
  text: string,
  start: number,
  status: number,
  fields: ReadonlyMap<string, string>,
  method: string,
  ended: boolean,
): { readonly text: string; readonly next: number } | 'incomplete' | { readonly fault: string } {
  const length = fields.get('content-length')
  const codings = fields.get('transfer-encoding')
  if (length !== undefined && !/^\d+$/.test(length)) return { fault: `Content-Length ${length}` }
  if (length !== undefined && codings !== undefined) return { fault: 'both a length and codings' }
  if (status < 200 || status === 204) {
    if (length !== undefined || codings !== undefined) return { fault: `${status} with a framed body` }
    return { text: '', next: start }
  }
  if (method === 'HEAD' || status === 304) return { text: '', next: start }
  if (codings !== undefined) {
    return codings.toLowerCase() === 'chunked' ? chunkedBody(text, start) : { fault: `coding ${codings}` }
  }
  if (length === undefined) return ended ? { text: text.slice(start), next: text.length } : 'incomplete'
  const end = start + Number(length)
  return end <= text.length ? { text: text.slice(start, end), next: end } : 'incomplete'
}

function chunkedBody(
  text: string,
  start: number,
): { readonly text: string; readonly next: number } | 'incomplete' | { readonly fault: string } {
  let body = ''
  let at = start
  for (;;) {
    const line = text.indexOf('\r\n', at)
    if (line < 0) return 'incomplete'
    const size = /^([0-9a-fA-F]{1,8})(?:;.*)?$/.exec(text.slice(at, line))?.[1]
    if (size === undefined)
      return { fault: `chunk size ${JSON.stringify(text.slice(at, line).slice(0, 40))}` }
    const length = Number.parseInt(size, 16)
    at = line + 2
    if (length === 0) break
    if (text.length < at + length + 2) return 'incomplete'
    if (text.slice(at + length, at + length + 2) !== '\r\n') return { fault: 'a chunk without its end' }
    body += text.slice(at, at + length)
    at += length + 2
  }
  const end = text.startsWith('\r\n', at) ? at : text.indexOf('\r\n\r\n', at) + 2
  return end < 2 ? 'incomplete' : { text: body, next: end + 2 }
}
