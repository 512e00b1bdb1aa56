/**
 * What one owner tells a scrape, made from counters that are there anyway: nothing of it is on the packet path. What it
 * tells of its process comes from prom-client, and is measured from the first scrape on.
 */
import { collectDefaultMetrics, Registry } from 'prom-client'
import { SHIFT_BOUNDS_MS } from '../stack/counters.ts'
import type { Watching } from './file-changes.ts'
import { byLabel, counter, gauge, histogram, type Metric } from './metric.ts'
import type { OperatorHost } from './operator.ts'

let processRegistry: Registry | undefined

export async function ownerMetrics(host: OperatorHost): Promise<Metric[]> {
  if (processRegistry === undefined) {
    processRegistry = new Registry()
    collectDefaultMetrics({ register: processRegistry })
  }
  const all = (await processRegistry.getMetricsAsJSON()) as unknown as Metric[]
  // Some gauges are called as only counters may be: promtool refuses them.
  const ofProcess = all.filter(({ name, type }) => type === 'counter' || !name.endsWith('_total'))
  return [...servingMetrics(host), ...stackMetrics(host), ...ofProcess]
}

function servingMetrics(host: OperatorHost): Metric[] {
  const { responses, octets } = host.served()
  const classes: Record<string, number> = {}
  for (const [status, count] of Object.entries(responses)) {
    const name = `${status[0]}xx`
    classes[name] = (classes[name] ?? 0) + count
  }
  const { store } = host
  const { made } = host
  const log = host.logged()
  const origin = host.origin()
  const watching = host.watching?.()
  return [
    byLabel('counter', 'gyre_http_responses_total', 'Responses begun, by class of status.', 'class', classes),
    counter('gyre_http_response_octets_total', 'Octets of the responses begun, heads and bodies.', octets),
    ...(store === undefined
      ? []
      : [
          counter('gyre_cache_hits_total', 'Look-ups that found an object in memory.', store.counters.hits),
          counter('gyre_cache_misses_total', 'Look-ups that did not.', store.counters.misses),
          counter('gyre_cache_evictions_total', 'Objects that made room for others.', store.counters.evicted),
          gauge(
            'gyre_cache_octets',
            'Octets that the cache holds, with what its records cost.',
            store.usedOctets,
          ),
          gauge('gyre_cache_objects', 'Objects that the cache holds.', store.count),
        ]),
    ...(made === undefined
      ? []
      : [
          byLabel(
            'counter',
            'gyre_variants_total',
            'Compressed variants: made here, fetched from another node, not worth it, not to be had.',
            'result',
            { made: made.made, fetched: made.fetched, declined: made.declined, failed: made.failed },
          ),
          counter('gyre_variants_file_octets_total', 'Octets of files compressed here.', made.fileOctets),
          counter('gyre_variants_octets_total', 'Octets that came of them.', made.codedOctets),
        ]),
    ...(watching === undefined ? [] : watchMetrics(watching)),
    ...(origin === undefined
      ? []
      : [
          byLabel(
            'counter',
            'gyre_origin_responses_total',
            'Responses of sites in front of origin servers, by how they came about.',
            'result',
            { ...origin },
          ),
        ]),
    ...(log === undefined
      ? []
      : [
          counter('gyre_access_log_lines_total', 'Lines that there was room for.', log.written),
          counter(
            'gyre_access_log_dropped_total',
            'Lines dropped, the disk being slow or full.',
            log.dropped,
          ),
          counter('gyre_access_log_errors_total', 'Writes that failed.', log.errors),
        ]),
  ]
}

function watchMetrics({ directories, events, noticed, rounds, failed }: Watching): Metric[] {
  return [
    gauge('gyre_watched_directories', 'Directories watched for files that change.', directories),
    counter('gyre_watch_events_total', 'Notices of the kernel about watched directories.', events),
    counter('gyre_watch_noticed_total', 'Those about something that is in the cache.', noticed),
    counter('gyre_watch_rounds_total', 'Times that files were looked at for such notices.', rounds),
    counter('gyre_watch_failures_total', 'Watches that were not to be had, or were lost.', failed),
  ]
}

function stackMetrics({ owner }: OperatorHost): Metric[] {
  const { counters, config } = owner
  const states: Record<string, number> = {}
  for (const entry of owner.byId.values()) {
    if (entry.kind === 'connection') states[entry.tcb.state] = (states[entry.tcb.state] ?? 0) + 1
  }
  const { shiftMs } = counters
  const shifts = { shifted: counters.shifted, ...counters.aborted }
  return [
    byLabel('gauge', 'gyre_connections', 'Connections owned, by state of RFC 9293.', 'state', states),
    gauge('gyre_forwards', 'Flows of other owners whose packets are passed on.', owner.forwards.size),
    gauge('gyre_shifts_under_way', 'Shifts from here that are not yet over.', owner.shifting.size),
    counter('gyre_accepted_total', 'Connections accepted by a handshake here.', counters.accepted),
    counter('gyre_adopted_total', 'Connections taken over from another owner.', counters.adopted),
    counter('gyre_forwarded_packets_total', 'Packets passed to another owner.', counters.forwardedPackets),
    byLabel('counter', 'gyre_shifts_total', 'Shifts from here, by result.', 'result', shifts),
    histogram(
      'gyre_shift_duration_seconds',
      'From the order to shift to the word that the target owns the connection.',
      SHIFT_BOUNDS_MS.map(ms => ms / 1_000),
      shiftMs.counts,
      shiftMs.sum / 1_000,
    ),
    byLabel('counter', 'gyre_tcp_total', 'Counters of TCP, by their names in nstat.', 'name', {
      ...config.tcp.counters,
      ...counters.listen,
      ...counters.memory,
    }),
    byLabel(
      'counter',
      'gyre_discarded_packets_total',
      'Packets dropped unread, by reason.',
      'reason',
      counters.discarded,
    ),
  ]
}
