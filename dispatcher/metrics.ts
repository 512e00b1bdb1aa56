/** The metrics of a cluster: those of all its owners, told apart by a label, in the text format of Prometheus. */
import { type Metric as PrometheusMetric, Registry } from 'prom-client'
import type { Metric, MetricValue } from '../node/server/metric.ts'

export interface OwnerMetrics {
  readonly owner: string
  readonly metrics: readonly Metric[]
}

/** What two owners tell under one name stands together, as the format asks. */
export async function renderMetrics(all: readonly OwnerMetrics[]): Promise<string> {
  const merged = new Map<string, Metric & { values: MetricValue[] }>()
  for (const { owner, metrics } of all) {
    for (const { name, help, type, values } of metrics) {
      let family = merged.get(name)
      if (family === undefined) {
        family = { name, help, type, values: [] }
        merged.set(name, family)
      }
      for (const value of values) family.values.push({ ...value, labels: { owner, ...value.labels } })
    }
  }
  const registry = new Registry()
  for (const family of merged.values()) {
    // What a registry asks of a metric: it has a name, and tells its values when it is asked.
    const metric = { name: family.name, get: async () => family }
    registry.registerMetric(metric as unknown as PrometheusMetric<string>)
  }
  return registry.metrics()
}
