/**
 * Response heads, octet for octet the same on every node: fixed order of fields, no field that depends on the
 * machine, the second of Date passed in. Which fields a response has is decided in plan.ts.
 */
import { DATE_OCTETS, dateOctets, formatHttpDate } from './date.ts'
import { asciiOctets } from './grammar.ts'

/** RFC 9110 §15; the phrases have no meaning to clients (RFC 9112 §4). */
const REASONS: Readonly<Record<number, string>> = {
  200: 'OK',
  201: 'Created',
  202: 'Accepted',
  203: 'Non-Authoritative Information',
  204: 'No Content',
  206: 'Partial Content',
  300: 'Multiple Choices',
  301: 'Moved Permanently',
  302: 'Found',
  303: 'See Other',
  304: 'Not Modified',
  307: 'Temporary Redirect',
  308: 'Permanent Redirect',
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  406: 'Not Acceptable',
  408: 'Request Timeout',
  409: 'Conflict',
  410: 'Gone',
  412: 'Precondition Failed',
  413: 'Content Too Large',
  414: 'URI Too Long',
  416: 'Range Not Satisfiable',
  417: 'Expectation Failed',
  421: 'Misdirected Request',
  422: 'Unprocessable Content',
  429: 'Too Many Requests',
  431: 'Request Header Fields Too Large',
  500: 'Internal Server Error',
  501: 'Not Implemented',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
  504: 'Gateway Timeout',
  505: 'HTTP Version Not Supported',
}

export function reasonOf(status: number): string {
  return REASONS[status] ?? 'Unknown'
}

/** What the head says of the connection's future: nothing, `close`, or `keep-alive` to a client that speaks HTTP/1.0. */
export type ConnectionField = '' | 'close' | 'keep-alive'

/** The interim response to Expect (RFC 9110 §15.2.1); it has no fields and is shared: never write into it. */
export const CONTINUE_OCTETS = asciiOctets('HTTP/1.1 100 Continue\r\n\r\n')

function beforeDate(status: number): string {
  return `HTTP/1.1 ${status} ${reasonOf(status)}\r\nServer: gyre\r\nDate: `
}

/** `fields`: whole field lines, each with its line end, in their final order. */
function afterDate(fields: string, connection: ConnectionField): string {
  return `\r\n${fields}${connection === '' ? '' : `Connection: ${connection}\r\n`}\r\n`
}

/** A head that is used once. */
export function renderHead(
  status: number,
  fields: string,
  connection: ConnectionField,
  second: number,
): Uint8Array {
  return asciiOctets(beforeDate(status) + formatHttpDate(second) + afterDate(fields, connection))
}

const DATE_PLACE = '-'.repeat(DATE_OCTETS)

/**
 * A head all of whose octets but those of Date are fixed. Heads once handed out are never written again, because
 * send queues refer to them until they are acknowledged: every new second gets octets of its own.
 */
export class HeadTemplate {
  readonly #octets: Uint8Array
  readonly #dateAt: number
  #second = Number.NaN
  #rendered: Uint8Array

  constructor(status: number, fields: string, connection: ConnectionField) {
    const before = beforeDate(status)
    this.#octets = asciiOctets(before + DATE_PLACE + afterDate(fields, connection))
    this.#dateAt = before.length
    this.#rendered = this.#octets
  }

  /** The head for a second since the epoch: the same octets again for the same second. */
  at(second: number): Uint8Array {
    if (second === this.#second) return this.#rendered
    const octets = this.#octets.slice()
    octets.set(dateOctets(second), this.#dateAt)
    this.#rendered = octets
    this.#second = second
    return octets
  }
}
