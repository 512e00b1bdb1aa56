/**
 * Sizes and durations as people write them: read for flags and for the configuration file alike, and written again for
 * the table of settings. Whether a value is in range is the setting's to say.
 */

const OCTETS = {
  B: 1,
  kB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
} as const

const MILLISECONDS = { ms: 1, s: 1e3, min: 60e3, h: 3_600e3, d: 86_400e3 } as const

/** Octets of `64MiB`, `1.5GB` or `65536`; undefined where it is no size. */
export function parseOctets(text: string): number | undefined {
  const parts = /^(\d{1,15}(?:\.\d{1,3})?) ?([a-zA-Z]*)$/.exec(text)
  if (parts === null) return undefined
  const unit = parts[2] === '' ? 'B' : (parts[2] as keyof typeof OCTETS)
  return Object.hasOwn(OCTETS, unit) ? Math.round(Number(parts[1]) * OCTETS[unit]) : undefined
}

/** Milliseconds of `30s`, `1.5min` or `250ms`: a bare number would leave its unit to be guessed. */
export function parseDurationMs(text: string): number | undefined {
  const parts = /^(\d{1,9}(?:\.\d{1,3})?) ?([a-z]+)$/.exec(text)
  if (parts === null) return undefined
  const unit = parts[2] as keyof typeof MILLISECONDS
  return Object.hasOwn(MILLISECONDS, unit) ? Math.round(Number(parts[1]) * MILLISECONDS[unit]) : undefined
}

/** The shortest exact text, of those that `parseOctets` reads. */
export function formatOctets(octets: number): string {
  return shortest(octets, ['TiB', 'GiB', 'MiB', 'KiB'], OCTETS) ?? String(octets)
}

/** The shortest exact text, of those that `parseDurationMs` reads. */
export function formatDurationMs(ms: number): string {
  return shortest(ms, ['d', 'h', 'min', 's'], MILLISECONDS) ?? `${ms}ms`
}

function shortest(value: number, units: readonly string[], table: Readonly<Record<string, number>>) {
  const unit = value === 0 ? undefined : units.find(name => value % (table[name] as number) === 0)
  return unit === undefined ? undefined : `${value / (table[unit] as number)}${unit}`
}
