/**
 * The access log of an owner: one line a request, combined or JSON, written away from the packet path. What is not yet
 * written is bounded; beyond it lines are dropped and counted, so that a slow or full disk costs lines and not requests.
 */
import { openSync } from 'node:fs'
import sonicBoom from 'sonic-boom'
import type { Access } from './access-trail.ts'
import { addressText, clientText } from './client-text.ts'

/** A CommonJS module whose names Node.js does not find by itself. */
const { SonicBoom } = sonicBoom

export const ACCESS_LOG_FORMATS = ['off', 'combined', 'json'] as const

export interface AccessLogSettings {
  readonly format: (typeof ACCESS_LOG_FORMATS)[number]
  /** '-' is standard output. `{name}` in it is the name of the owner. */
  readonly file: string
  /** Text that waits to be written, at most. */
  readonly bufferOctets: number
}

export const DEFAULT_ACCESS_LOG: AccessLogSettings = {
  format: 'off',
  file: '-',
  bufferOctets: 4 * 1024 * 1024,
}

/** Requests that wait to be made lines: at 100,000 a second, what is collected between two writes ten times over. */
export const MAX_WAITING = 65_536
const FORMAT_MS = 50
/** Standard output's descriptor. */
const OUTPUT = 1
/** Readable by the group, as the logs of other servers are. */
const MODE = 0o640

export interface AccessLogCounters {
  /** Lines that there was room for. */
  written: number
  dropped: number
  /** Writes that failed; their lines are tried again while there is room for them. */
  errors: number
}

export class AccessLog {
  readonly counters: AccessLogCounters = { written: 0, dropped: 0, errors: 0 }
  readonly #format: (access: Access) => string
  readonly #settings: AccessLogSettings
  readonly #warn: (error: Error) => void
  #out: InstanceType<typeof SonicBoom>
  #waiting: Access[] = []
  #timer: NodeJS.Timeout | undefined
  #failing = false

  private constructor(settings: AccessLogSettings, warn: (error: Error) => void) {
    this.#format = settings.format === 'json' ? jsonLine : combinedLine
    this.#settings = settings
    this.#warn = warn
    this.#out = this.#open()
  }

  /** Undefined for 'off'. Throws the system's error where the file cannot be opened. */
  static open(
    settings: AccessLogSettings,
    name: string,
    warn: (error: Error) => void,
  ): AccessLog | undefined {
    if (settings.format === 'off') return undefined
    return new AccessLog({ ...settings, file: settings.file.replaceAll('{name}', name) }, warn)
  }

  #open(): InstanceType<typeof SonicBoom> {
    const { file, bufferOctets: maxLength } = this.#settings
    // Opened for appending, so that a file that is copied and truncated goes on at its new end.
    const fd = file === '-' ? OUTPUT : openSync(file, 'a', MODE)
    const out = new SonicBoom({ fd, maxLength, sync: false })
    out.on('drop', () => {
      this.counters.dropped++
    })
    out.on('write', () => {
      this.#failing = false
    })
    out.on('error', error => this.#failed(error))
    return out
  }

  /** On the packet path: nothing but a place in a list. */
  add(access: Access): void {
    if (this.#waiting.length >= MAX_WAITING) {
      this.counters.dropped++
      return
    }
    this.#waiting.push(access)
    this.#timer ??= setTimeout(() => this.#write(), FORMAT_MS)
  }

  /** Closes the file and opens what has its name now: after logrotate has renamed it. What waits goes to the old one. */
  reopen(): void {
    if (this.#settings.file === '-') return
    this.#write()
    const before = this.#out
    try {
      this.#out = this.#open()
    } catch (error) {
      return this.#failed(error as Error)
    }
    // A disk that takes nothing would keep it, and its descriptor, for ever.
    if (this.#failing) before.destroy()
    else before.end()
    this.#failing = false
  }

  /** Writes what waits, as far as that is possible at once. */
  close(): void {
    this.#write()
    try {
      this.#out.flushSync()
    } catch (error) {
      this.#failed(error as Error)
    }
    this.#out.destroy()
  }

  #write(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    const waiting = this.#waiting
    this.#waiting = []
    for (const access of waiting) {
      const dropped = this.counters.dropped
      this.#out.write(this.#format(access))
      if (this.counters.dropped === dropped) this.counters.written++
    }
    // Full, it takes no line that would have it try again by itself.
    if (this.#failing) this.#out.flush()
  }

  #failed(error: Error): void {
    this.counters.errors++
    // Said once for each time of trouble, not for each line.
    if (!this.#failing) this.#warn(error)
    this.#failing = true
  }
}

/** `host - - [time] "request" status octets "referer" "agent"`, and after it what the combined format has no place for. */
export function combinedLine({ entry, sentOctets, durationMs, shifts, owners, flow }: Access): string {
  const { second, line, host, referer, agent, status, headOctets } = entry
  const body = Math.max(0, sentOctets - headOctets)
  return (
    `${addressText(flow)} - - [${clfTime(second)}] ` +
    `"${escaped(line)}" ${status} ${body} "${escaped(referer)}" "${escaped(agent)}" ` +
    `"${escaped(host)}" ${durationMs.toFixed(3)} ${shifts} ${owners.join(',')}\n`
  )
}

export function jsonLine({ entry, sentOctets, durationMs, shifts, owners, flow }: Access): string {
  const { second, line, host, referer, agent, status, headOctets, octets } = entry
  const text = JSON.stringify({
    time: new Date(second * 1000).toISOString(),
    client: clientText(flow),
    host,
    request: line,
    status,
    bodyOctets: Math.max(0, sentOctets - headOctets),
    sentOctets,
    complete: sentOctets === octets,
    durationMs: Math.round(durationMs * 1000) / 1000,
    referer,
    agent,
    shifts,
    owners,
  })
  // JSON lets these stand, but they end a line for some readers, or are none of ASCII's.
  const ascii = text.replace(
    /[\x7f-\uffff]/g,
    character => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
  return `${ascii}\n`
}

const ZERO_PAD = 2
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

/** `24/Nov/2026:06:13:48 +0000`: the same on every machine of a cluster. */
function clfTime(second: number): string {
  const date = new Date(second * 1000)
  const two = (value: number) => String(value).padStart(ZERO_PAD, '0')
  const day = `${two(date.getUTCDate())}/${MONTHS[date.getUTCMonth()]}/${date.getUTCFullYear()}`
  return `${day}:${two(date.getUTCHours())}:${two(date.getUTCMinutes())}:${two(date.getUTCSeconds())} +0000`
}

/** As nginx and Apache do it: whatever is not plain ASCII, a quote or a backslash becomes `\xHH`. */
function escaped(text: string): string {
  if (text === '') return '-'
  return text.replace(
    /[^ !#-[\]-~]/g,
    character => `\\x${(character.charCodeAt(0) & 0xff).toString(16).toUpperCase().padStart(2, '0')}`,
  )
}
