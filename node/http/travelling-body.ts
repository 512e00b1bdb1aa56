/** A half-read request body as plain data and back: a connection may move in the middle of an upload. */
import type { BodyPhase, RequestBody } from './request-body.ts'

const PHASES: readonly BodyPhase[] = [
  'done',
  'length',
  'chunk-size',
  'chunk-white-space',
  'chunk-extension',
  'chunk-size-lf',
  'chunk-data',
  'chunk-data-cr',
  'chunk-data-lf',
  'trailer-line',
  'trailer-name',
  'trailer-value',
  'trailer-value-lf',
  'trailer-end-lf',
  'error',
]

/** 0 for a body that is done, as nearly all are. */
export function exportBody(body: RequestBody): number | number[] {
  if (body.phase === 'done') return 0
  const { phase, remaining, sizeDigits, total, extensionOctets, trailerOctets, status } = body
  return [PHASES.indexOf(phase), remaining, sizeDigits, total, extensionOctets, trailerOctets, status]
}

/** Fills `body`, or returns false where `plain` is none. */
export function importBody(body: RequestBody, plain: unknown): boolean {
  if (plain === 0) return true
  if (!Array.isArray(plain) || plain.length !== 7 || !plain.every(isCount)) return false
  const [phase, remaining, sizeDigits, total, extensionOctets, trailerOctets, status] = plain as number[]
  const named = PHASES[phase as number]
  if (named === undefined) return false
  body.phase = named
  body.remaining = remaining as number
  body.sizeDigits = sizeDigits as number
  body.total = total as number
  body.extensionOctets = extensionOctets as number
  body.trailerOctets = trailerOctets as number
  body.status = status as number
  return true
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}
