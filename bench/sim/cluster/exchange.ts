/**
 * Requests and what must come back: planned by the same HTTP code from the same file, without any connection in between. So
 * a difference is TCP's, or the shift's.
 */

import type { CachedObject } from '../../../cache/cached-object.ts'
import { Variant } from '../../../cache/variants.ts'
import { createResponsePlan, plan, type ResponsePlan } from '../../../node/http/plan.ts'
import { createRequestHead, parseRequestHead } from '../../../node/http/request-head.ts'
import type { Exchange } from './client.ts'
import { EPOCH_SECOND } from './cluster.ts'
import { objectOf } from './files.ts'

export interface ExchangeOptions {
  readonly method?: string
  /** Field lines, each with its line end. */
  readonly fields?: string
  /** Octets of the request behind its head. */
  readonly body?: string
  /** What is served: the file of the path, in this coding. */
  readonly coding?: 'br'
  readonly host?: string
  /** The name of the site that the host has. */
  readonly site?: string
}

export function exchangeOf(
  files: ReadonlyMap<string, Uint8Array>,
  path: string,
  { method = 'GET', fields = '', body = '', coding, host = 'gyre.test', site = '' }: ExchangeOptions = {},
): Exchange {
  const text = `${method} ${path} HTTP/1.1\r\nHost: ${host}\r\n${fields}\r\n`
  const request = new TextEncoder().encode(text + body)
  const head = createRequestHead()
  if (parseRequestHead(request, 0, request.length, head) !== 'complete')
    throw new Error(`bad request: ${path}`)
  const name = site + path
  const octets = files.get(name)
  const response = createResponsePlan<CachedObject | Variant>()
  const file = octets === undefined ? undefined : objectOf(name, octets)
  const coded = coding === undefined ? undefined : files.get(`${name}.${coding}`)
  if (file === undefined) plan(head, { kind: 'missing' }, EPOCH_SECOND, response)
  else if (coding === undefined || coded === undefined) plan(head, file, EPOCH_SECOND, response)
  else plan(head, new Variant(file, coding, objectOf(`${name}.${coding}`, coded)), EPOCH_SECOND, response)
  return { request, response: Buffer.concat(octetsOf(response, coded ?? octets)) }
}

function octetsOf(response: ResponsePlan<CachedObject | Variant>, file?: Uint8Array): Uint8Array[] {
  const { head, bodyKind, bodyOffset, bodyLength, octets, parts, tail } = response
  const stretch = (offset: number, length: number) => (file as Uint8Array).subarray(offset, offset + length)
  switch (bodyKind) {
    case 'none':
      return [head]
    case 'octets':
      return [head, octets]
    case 'content':
      return [head, stretch(bodyOffset, bodyLength)]
    case 'parts':
      return [head, ...parts.flatMap(part => [part.head, stretch(part.offset, part.length)]), tail]
  }
}
