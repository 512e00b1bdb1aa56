/**
 * A program for the client's namespace: connections of the kernel's own TCP, one in each state that a connection can be
 * shifted in, over both families. It prints one line when all stand there, goes on when a line comes in, and prints what came
 * of each. Arguments: the two hosts, the port, and the folder of the files that are served.
 */
import { once } from 'node:events'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  ACK_PORTS,
  APP_FILE,
  APP_PORT,
  FIN_PORTS,
  type FileName,
  GO_FILE,
  HEAD_FIRST,
  STATE_FILES,
} from './states.ts'

const UPLOAD_OCTETS = 960 * 1024
const UPLOAD_PIECE = 8 * 1024
const UPLOAD_EVERY_MS = 20
/** A request has its answer on the way by then. */
const ANSWERED_MS = 200
/** Everything is over by then, or never will be. */
const TIMEOUT_MS = 60_000

export interface StateReport {
  readonly name: string
  readonly family: 4 | 6
  readonly localPort: number
  /** Octets of bodies, all of which were right where `error` is empty. */
  readonly octets: number
  /** Between two arrivals of octets, while any are owed, from the time when the state was reached. */
  readonly longestGapMs: number
  readonly error: string
}

const [host4 = '', host6 = '', port = '', folder = ''] = process.argv.slice(2)
const GO = join(folder, GO_FILE)
rmSync(GO, { force: true })
const files = new Map(STATE_FILES.map(name => [name, readFileSync(join(folder, name))]))

/** One connection, and the responses that it must bring. */
class Line {
  readonly socket: Socket
  readonly #expected: FileName[] = []
  #localPort = 0
  #head = ''
  /** Octets of the body under way; -1: its head is. */
  #at = -1
  #octets = 0
  #lastAt = 0
  #longestGapMs = 0
  #measured = false
  #error = ''
  #ended = false
  #wake: () => void = () => {}

  constructor(host: string, remotePort: number, localPort: number | undefined) {
    const local = localPort === undefined ? {} : { localPort }
    this.socket = connect({ host, port: remotePort, allowHalfOpen: true, ...local })
    this.socket.setNoDelay(true)
    // A socket that is closed does not know it any more.
    this.socket.once('connect', () => {
      this.#localPort = this.socket.localPort ?? 0
      this.#wake()
    })
    this.socket.on('data', octets => this.#read(octets))
    this.socket.on('end', () => {
      this.#ended = true
      this.#wake()
    })
    this.socket.on('error', error => this.#fail(error.message))
  }

  get isConnected(): boolean {
    return this.#localPort > 0
  }

  ask(name: FileName, fields = ''): void {
    this.expect(name)
    this.socket.write(requestOf(name, fields))
  }

  expect(name: FileName): void {
    // Until now nothing was owed.
    if (this.#expected.length === 0) this.#lastAt = performance.now()
    this.#expected.push(name)
  }

  /** Until every response that was asked for is here; with `end` also the end behind them. */
  async all(end = false): Promise<void> {
    await this.until(() => this.#expected.length === 0 && (!end || this.#ended))
  }

  async octets(many: number): Promise<void> {
    await this.until(() => this.#octets >= many)
  }

  async until(done: () => boolean): Promise<void> {
    while (!done() && this.#error === '') {
      await new Promise<void>(resolve => {
        this.#wake = resolve
      })
    }
  }

  measure(): void {
    this.#measured = true
    this.#lastAt = performance.now()
  }

  report(name: string, family: 4 | 6): StateReport {
    const missing = this.#expected.length > 0 ? `${this.#expected.length} responses are missing` : ''
    return {
      name,
      family,
      localPort: this.#localPort,
      octets: this.#octets,
      longestGapMs: this.#longestGapMs,
      error: this.#error || missing,
    }
  }

  #fail(error: string): void {
    this.#error ||= error
    this.#wake()
  }

  #read(octets: Buffer): void {
    const now = performance.now()
    if (this.#measured) this.#longestGapMs = Math.max(this.#longestGapMs, now - this.#lastAt)
    this.#lastAt = now
    for (let start = 0; start < octets.length && this.#error === ''; ) start = this.#readOn(octets, start)
    this.#wake()
  }

  /** Takes a head or a stretch of a body, and returns what is behind it. */
  #readOn(octets: Buffer, start: number): number {
    const name = this.#expected[0]
    if (name === undefined) {
      this.#fail('octets behind the last response')
      return octets.length
    }
    const file = files.get(name) as Buffer
    if (this.#at < 0) {
      const before = this.#head.length
      this.#head += octets.toString('latin1', start)
      const end = this.#head.indexOf('\r\n\r\n')
      if (end < 0) return octets.length
      if (!this.#head.startsWith('HTTP/1.1 200 ')) this.#fail(`response ${this.#head.slice(0, 40)}`)
      this.#head = ''
      this.#at = 0
      return start + end + 4 - before
    }
    const length = Math.min(file.length - this.#at, octets.length - start)
    if (octets.compare(file, this.#at, this.#at + length, start, start + length) !== 0) {
      this.#fail(`wrong octets of ${name} behind ${this.#at}`)
    }
    this.#at += length
    this.#octets += length
    if (this.#at === file.length) {
      this.#at = -1
      this.#expected.shift()
    }
    return start + length
  }
}

function requestOf(name: FileName, fields = ''): string {
  return `GET /${name} HTTP/1.1\r\nHost: states.test\r\n${fields}\r\n`
}

interface Case {
  /** Where a rule of the packet filter has to know it: one for each family. */
  readonly localPorts?: readonly number[]
  /** The application's; without it the site's. */
  readonly port?: number
  readonly first?: false
  begin(line: Line): Promise<void> | void
  goOn(line: Line): Promise<void> | void
}

const CLOSE = 'Connection: close\r\n'
const HALF = 25

const HALF_RECEIVED: Case = {
  begin: line => {
    line.expect('small.bin')
    line.socket.write(requestOf('small.bin').slice(0, HALF))
  },
  goOn: line => {
    line.measure()
    line.socket.write(requestOf('small.bin').slice(HALF))
  },
}

/** A request to the application, which answers when it may. */
function held(fields = ''): Case {
  return {
    port: APP_PORT,
    first: false,
    begin: async line => {
      line.ask(APP_FILE, fields)
      await sleep(ANSWERED_MS)
    },
    goOn: line => {
      line.measure()
      writeFileSync(GO, '')
    },
  }
}

const CASES: Readonly<Record<string, Case>> = {
  'SYN just accepted': {
    localPorts: ACK_PORTS,
    first: false,
    begin: line => line.until(() => line.isConnected),
    goOn: line => {
      line.measure()
      line.ask('small.bin')
    },
  },
  'accepted, request half received': {
    first: false,
    ...HALF_RECEIVED,
  },
  'idle keep-alive': {
    begin: () => {},
    goOn: line => line.ask('small.bin'),
  },
  'request half received': HALF_RECEIVED,
  'request complete': held(),
  'head sent': held(HEAD_FIRST),
  'mid-response': {
    begin: async line => {
      line.ask('large.bin')
      await line.octets(100_000)
    },
    goOn: line => line.ask('small.bin'),
  },
  'pipelined requests': {
    begin: async line => {
      for (let count = 0; count < 2; count++) for (const name of STATE_FILES) line.ask(name)
      await line.octets(100_000)
    },
    goOn: () => {},
  },
  'window closed': {
    begin: async line => {
      line.ask('large.bin')
      await line.octets(1)
      line.socket.pause()
    },
    goOn: line => {
      line.measure()
      line.socket.resume()
    },
  },
  upload: {
    begin: line => {
      line.ask('small.bin', `Content-Length: ${UPLOAD_OCTETS}\r\n`)
      void upload(line)
    },
    goOn: () => {},
  },
  'half-closed by the client': {
    begin: async line => {
      line.ask('large.bin')
      line.socket.end()
      await line.octets(100_000)
      line.socket.pause()
    },
    goOn: line => {
      line.measure()
      line.socket.resume()
      return line.all(true)
    },
  },
  'half-closed by the server': {
    begin: async line => {
      line.ask('small.bin', CLOSE)
      await line.all(true)
    },
    goOn: line => {
      line.socket.end()
    },
  },
  'FIN in flight': {
    localPorts: FIN_PORTS.slice(0, 2),
    // What comes with the FIN is kept on the way with it.
    begin: async line => {
      line.ask('small.bin', CLOSE)
      await sleep(ANSWERED_MS)
    },
    goOn: async line => {
      await line.all(true)
      line.socket.end()
    },
  },
  'the last FIN in flight': {
    localPorts: FIN_PORTS.slice(2),
    begin: async line => {
      line.ask('small.bin')
      line.socket.end()
      await sleep(ANSWERED_MS)
    },
    goOn: line => line.all(true),
  },
  'TIME-WAIT': {
    begin: async line => {
      line.ask('small.bin', CLOSE)
      await line.all(true)
      line.socket.end()
    },
    goOn: () => {},
  },
}

/** In small pieces, so that some are always under way; a request behind it shows where its end was found. */
async function upload(line: Line): Promise<void> {
  for (let sent = 0; sent < UPLOAD_OCTETS; sent += UPLOAD_PIECE) {
    line.socket.write(Buffer.alloc(UPLOAD_PIECE, 'upload'))
    await sleep(UPLOAD_EVERY_MS)
  }
  line.ask('small.bin')
}

async function reset(socket: Socket): Promise<void> {
  const closed = once(socket, 'close')
  socket.resetAndDestroy()
  await closed
}

async function begin(one: Case, line: Line): Promise<void> {
  // Until the first response is here the connection is the dispatcher's.
  if (one.first !== false) {
    line.ask('first.bin')
    await line.all()
  }
  await one.begin(line)
  line.measure()
}

const lines = Object.entries(CASES).flatMap(([name, one]) =>
  ([4, 6] as const).map((family, index) => {
    const line = new Line(family === 4 ? host4 : host6, one.port ?? Number(port), one.localPorts?.[index])
    return { name, family, one, line }
  }),
)
const reports = () => lines.map(({ name, family, line }) => line.report(name, family))
const say = (what: readonly StateReport[]) => process.stdout.write(`${JSON.stringify(what)}\n`)

setTimeout(() => {
  say(reports())
  process.exit(1)
}, TIMEOUT_MS)
await Promise.all(lines.map(({ one, line }) => begin(one, line)))
say(reports())
await new Promise(resolve => createInterface(process.stdin).once('line', resolve))
await Promise.all(
  lines.map(async ({ one, line }) => {
    await one.goOn(line)
    await line.all()
  }),
)
const last = reports()
// The next round begins at the same ports: none of them may be in TIME-WAIT then.
for (const { one, line } of lines)
  if (one.localPorts !== undefined && !line.socket.destroyed) await reset(line.socket)
// Who reads this ends the program.
say(last)
process.exit(0)
