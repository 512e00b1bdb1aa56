/**
 * Requests and what must come back: planned by the same HTTP code from the same file, without any connection in between. So
 * a difference is TCP's, or the shift's.
 */

import type { CachedObject } from '../../../cache/cached-object.ts'
import { createResponsePlan, plan } from '../../../node/http/plan.ts'
import { createRequestHead, parseRequestHead } from '../../../node/http/request-head.ts'
import type { Exchange } from './client.ts'
import { EPOCH_SECOND } from './cluster.ts'
import { objectOf } from './files.ts'

export function exchangeOf(files: ReadonlyMap<string, Uint8Array>, path: string, fields = ''): Exchange {
  const request = new TextEncoder().encode(`GET ${path} HTTP/1.1\r\nHost: gyre.test\r\n${fields}\r\n`)
  const head = createRequestHead()
  if (parseRequestHead(request, 0, request.length, head) !== 'complete')
    throw new Error(`bad request: ${path}`)
  const octets = files.get(path)
  const response = createResponsePlan<CachedObject>()
  const resource = octets === undefined ? ({ kind: 'missing' } as const) : objectOf(path, octets)
  plan(head, resource, EPOCH_SECOND, response)
  const body = response.bodyKind === 'octets' ? response.octets : bodyOf(response, octets)
  const whole = new Uint8Array(response.head.length + body.length)
  whole.set(response.head)
  whole.set(body, response.head.length)
  return { request, response: whole }
}

function bodyOf(
  response: { readonly bodyKind: string; readonly bodyOffset: number; readonly bodyLength: number },
  octets: Uint8Array | undefined,
): Uint8Array {
  if (response.bodyKind === 'none' || octets === undefined) return new Uint8Array(0)
  if (response.bodyKind !== 'content') throw new Error(`no model of a body of kind ${response.bodyKind}`)
  return octets.subarray(response.bodyOffset, response.bodyOffset + response.bodyLength)
}
