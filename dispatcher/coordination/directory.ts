/**
 * The dispatchers there are, in one register that each of them keeps itself in: by it nodes and gateways, and the dispatchers among
 * themselves, know whom to dial. It changes when dispatchers come and go, and is read again and again, as a register's loss is told to
 * nobody.
 */
import { MAX_OWNER_ID } from '../../node/control/hello.ts'
import { parsePeerAddress } from '../../node/control/peer-address.ts'

export const DIRECTORY_KEY = 'dispatchers'
/** Of those that are read: somebody else may have written it. */
const MAX_LISTED = 64

export interface DispatcherPlace {
  readonly id: number
  readonly run: string
  /** host:port of its control links. */
  readonly address: string
}

export function formatDirectory(places: readonly DispatcherPlace[]): string {
  return JSON.stringify(places)
}

/** What of it can be dialed. */
export function parseDirectory(value: string): DispatcherPlace[] {
  let listed: unknown
  try {
    listed = JSON.parse(value)
  } catch {
    return []
  }
  return Array.isArray(listed) ? listed.slice(0, MAX_LISTED).flatMap(readPlace) : []
}

function readPlace(value: unknown): DispatcherPlace[] {
  if (typeof value !== 'object' || value === null) return []
  const { id, run, address } = value as Record<string, unknown>
  const isId = Number.isInteger(id) && (id as number) >= 0 && (id as number) <= MAX_OWNER_ID
  if (!isId || typeof run !== 'string' || typeof address !== 'string') return []
  return parsePeerAddress(address) === undefined ? [] : [{ id: id as number, run, address }]
}

/** With `own` in the place of what was there of its id or its address; by id. */
export function withPlace(places: readonly DispatcherPlace[], own: DispatcherPlace): DispatcherPlace[] {
  const others = places.filter(({ id, address }) => id !== own.id && address !== own.address)
  return [...others, own].sort((a, b) => a.id - b.id)
}

export function isListed(places: readonly DispatcherPlace[], own: DispatcherPlace): boolean {
  return places.some(({ id, run, address }) => id === own.id && run === own.run && address === own.address)
}
