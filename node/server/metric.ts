/** Metrics as plain data, in the form of prom-client's `getMetricsAsJSON`, so that they travel and are put together. */

export interface MetricValue {
  readonly value: number
  readonly labels: Readonly<Record<string, string | number>>
  /** Where it is not the metric's: `…_bucket`, `…_sum`, `…_count`. */
  readonly metricName?: string
}

export interface Metric {
  readonly name: string
  readonly help: string
  readonly type: 'counter' | 'gauge' | 'histogram'
  readonly values: readonly MetricValue[]
}

export function counter(name: string, help: string, value: number): Metric {
  return { name, help, type: 'counter', values: [{ value, labels: {} }] }
}

export function gauge(name: string, help: string, value: number): Metric {
  return { name, help, type: 'gauge', values: [{ value, labels: {} }] }
}

/** One value for each key of a record, under a label. */
export function byLabel(
  type: 'counter' | 'gauge',
  name: string,
  help: string,
  label: string,
  record: Readonly<Record<string, number>>,
): Metric {
  const values = Object.entries(record).map(([key, value]) => ({ value, labels: { [label]: key } }))
  return { name, help, type, values }
}

/** `counts`: how many fell into each bucket alone, the last of them above every bound. */
export function histogram(
  name: string,
  help: string,
  bounds: readonly number[],
  counts: readonly number[],
  sum: number,
): Metric {
  let total = 0
  const buckets = counts.map((count, index): MetricValue => {
    total += count
    return { value: total, labels: { le: bounds[index] ?? '+Inf' }, metricName: `${name}_bucket` }
  })
  const values = [
    ...buckets,
    { value: sum, labels: {}, metricName: `${name}_sum` },
    { value: total, labels: {}, metricName: `${name}_count` },
  ]
  return { name, help, type: 'histogram', values }
}
