/**
 * Which fields pass, in both directions: end-to-end ones, without what concerns one connection (RFC 9110 §7.6.1), and with
 * what an intermediary has to say of itself (§7.6.3) and of the client (RFC 7239).
 */
import { acceptedCodings } from '../http/content-coding.ts'
import { CACHE_NAME } from '../http/plan-stored.ts'
import { fieldsOf, header, type RequestHead } from '../http/request-head.ts'
import { type Field, fieldValue } from '../http/stored-response.ts'

/** RFC 9110 §7.6.1, and the obsolete ones that old software still sends. */
const HOP_BY_HOP = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authenticate',
  'proxy-authorization',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])
/** What we say ourselves: nobody behind us is to believe what a client says of where it comes from. */
const OURS = new Set(['host', 'via', 'content-length', 'expect', 'forwarded', 'x-real-ip'])
/**
 * By these some origins take a request for another one than it was asked for by, and what they answer would be kept for
 * all: https://portswigger.net/research/practical-web-cache-poisoning
 */
const DISGUISES = new Set([
  'x-host',
  'x-original-host',
  'x-original-url',
  'x-rewrite-url',
  'x-http-method',
  'x-http-method-override',
  'x-method-override',
])
/** Of the client's own cache; a shared one asks for the whole, with validators of its own (RFC 9111 §4.3.1). */
const CONDITIONS = new Set(['if-match', 'if-none-match', 'if-modified-since', 'if-unmodified-since'])
/** A part is always made here of the whole. */
const PARTS = new Set(['if-range', 'range'])
/** Requests that came through so many of us go in a circle. */
const MAX_HOPS = 8

/** What a request for an origin is made of; plain, because the head that it comes from is borrowed. */
export interface OriginRequest {
  /** Name of what is asked for in the cluster: the site's name and the target. */
  readonly path: string
  /** What is asked of the origin. */
  readonly target: string
  /** The client's end-to-end fields. */
  readonly fields: readonly Field[]
  readonly client: string
  /** Its conditions are for the origin alone (RFC 9111 §4.3.2): nothing stored answers it. */
  readonly bypass: boolean
}

export function originRequest(
  head: RequestHead,
  path: string,
  target: string,
  client: string,
  bypass: boolean,
): OriginRequest {
  const fields = fieldsOf(head).filter(([name]) => name.toLowerCase() !== 'accept-encoding')
  const codings = normalised('accept-encoding', header(head, 'accept-encoding'))
  if (codings !== undefined) fields.push(['Accept-Encoding', codings])
  return { path, target, fields: endToEnd(fields), client, bypass }
}

/** Whether the request has been here so often that it can only go in a circle. */
export function isCircular({ fields }: OriginRequest): boolean {
  const via = fieldValue(fields, 'via') ?? ''
  return via.split(',').filter(hop => hop.trim().endsWith(` ${CACHE_NAME}`)).length >= MAX_HOPS
}

/** The fields of the request to the origin, but Host. */
export function requestFields(
  { fields, client, bypass }: OriginRequest,
  site: string,
  validators: readonly Field[],
): Field[] {
  const kept = fields.filter(([name]) => {
    // Behind CGI and its heirs (RFC 3875 §4.1.18) both are the same.
    const plain = name.toLowerCase().replaceAll('_', '-')
    if (OURS.has(plain) || DISGUISES.has(plain) || HOP_BY_HOP.has(plain)) return false
    if (plain.startsWith('x-forwarded-') || PARTS.has(plain)) return false
    return bypass || !CONDITIONS.has(plain)
  })
  const via = fieldValue(fields, 'via')
  const node = client.includes(':') ? `"[${client}]"` : client
  return [
    ...kept,
    ...validators,
    ['Via', `${via === undefined ? '' : `${via}, `}1.1 ${CACHE_NAME}`],
    // Nobody's, where what is in use is validated in the background.
    ...(client === '' ? [] : [['X-Forwarded-For', client] as const]),
    ['X-Forwarded-Proto', 'http'],
    // The name that the operator gave, never the client's: what is stored here is for all.
    ...(site === '' ? [] : [['X-Forwarded-Host', site] as const]),
    ['Forwarded', `${client === '' ? '' : `for=${node};`}proto=http${site === '' ? '' : `;host=${site}`}`],
  ]
}

/** End-to-end fields of a response, with Date (RFC 9110 §6.6.1), Via, and without what is said anew for each use. */
export function responseFields(raw: readonly Field[], origin: string, dateText: string): Field[] {
  const fields = endToEnd(raw)
    .filter(
      ([name]) => !['content-length', 'accept-ranges', 'cache-status', 'via'].includes(name.toLowerCase()),
    )
    .map(([name, value]): Field => {
      // The origin may not know by which name it is seen from here.
      const isOwn = name.toLowerCase() === 'location' && value.startsWith(`${origin}/`)
      return isOwn ? [name, value.slice(origin.length)] : [name, value]
    })
  if (fieldValue(fields, 'date') === undefined) fields.unshift(['Date', dateText])
  const via = fieldValue(raw, 'via')
  fields.push(['Via', `${via === undefined ? '' : `${via}, `}1.1 ${CACHE_NAME}`])
  return fields
}

function endToEnd(fields: readonly Field[]): Field[] {
  const named = (fieldValue(fields, 'connection') ?? '').split(',').map(name => name.trim().toLowerCase())
  return fields.filter(([name]) => {
    const lower = name.toLowerCase()
    return !HOP_BY_HOP.has(lower) && !named.includes(lower)
  })
}

/** RFC 9111 §3.2: the stored fields with those of a 304, which replace all of the same names. */
export function merged(stored: readonly Field[], update: readonly Field[]): Field[] {
  const fresh = update.filter(([name]) => !/^content-(encoding|length|range|type)$/i.test(name))
  const names = new Set(fresh.map(([name]) => name.toLowerCase()))
  return [...stored.filter(([name]) => !names.has(name.toLowerCase())), ...fresh]
}

/** §4.1: the values by which a response is selected, in a form that can be compared. */
export function selectingOf(request: OriginRequest, vary: readonly string[]): string {
  return vary.map(name => `${name}: ${fieldValue(request.fields, name) ?? ''}`).join('\n')
}

/** The same of a head. */
export function selectingIn(head: RequestHead, vary: readonly string[]): string {
  return vary.map(name => `${name}: ${normalised(name, header(head, name)) ?? ''}`).join('\n')
}

/** In one form, so that clients who take the same codings get the same variant. */
function normalised(name: string, value: string | undefined): string | undefined {
  return name === 'accept-encoding' && value !== undefined ? acceptedCodings(value).join(', ') : value
}

/** The names of a Vary field, each once and in order. */
export function varyNames(fields: readonly Field[]): string[] {
  const names = (fieldValue(fields, 'vary') ?? '').split(',').map(name => name.trim().toLowerCase())
  return [...new Set(names.filter(name => name !== ''))].sort()
}
