/**
 * Filters, sorts and pages connections as a ConnectionsQuery asks, for a backend that holds them in memory.
 * Where they come from is the backend's business.
 */
import type { ConnectionReport, ConnectionsPage, ConnectionsQuery } from './api.ts'

/** 100,000 connections take about 0.1 s to sort; ties are in order of id, so that pages do not overlap. */
export function selectConnections(all: Iterable<ConnectionReport>, query: ConnectionsQuery): ConnectionsPage {
  const { limit, offset, sort, descending } = query
  const needle = query.filter.toLowerCase()
  const found: ConnectionReport[] = []
  for (const connection of all) if (needle === '' || matches(connection, needle)) found.push(connection)
  const sign = descending ? -1 : 1
  found.sort((a, b) => sign * compare(a[sort], b[sort]) || a.id - b.id)
  return { total: found.length, offset, limit, connections: found.slice(offset, offset + limit) }
}

function matches({ client, request, state, ownerName }: ConnectionReport, needle: string): boolean {
  return (
    client.includes(needle) ||
    request.toLowerCase().includes(needle) ||
    state.toLowerCase().includes(needle) ||
    ownerName.toLowerCase().includes(needle)
  )
}

/** Unknown values come first. */
function compare(a: string | number | null, b: string | number | null): number {
  if (a === b) return 0
  if (a === null) return -1
  if (b === null) return 1
  return a < b ? -1 : 1
}
