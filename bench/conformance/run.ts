/** Runs one case over one connection, whatever carries it, and tells in words what is wrong. */
import { ALPHABET, type Case, type Expected, request, type Step } from './case.ts'
import { type Reading, type Response, readResponses } from './response.ts'

/** A connection to the server that is tested. */
export interface Wire {
  write(text: string): void
  /** Closes our half. */
  finish(): void
  /** What has come so far, a character an octet. */
  received(): string
  /** The server's end, in order or by a reset. */
  ended(): boolean
  wasReset(): boolean
  /** Lets time pass until `done` or for `ms`; whether it is done. */
  wait(done: () => boolean, ms: number): Promise<boolean>
}

/** For a response; generous, for machines that are busy. Cases of level `timing` wait much longer. */
const ANSWER_MS = 5_000
const TIMING_MS = 180_000
/** Between pieces, so that each is a segment of its own. */
const PIECE_MS = 30
/** A server that has not closed by then means to keep the connection. */
const CLOSE_MS = 3_000

/** Cases at once: enough not to wait for one another, few enough for one worker. */
const PARALLEL = 8

/** What is wrong, by case in the order of `cases`; each has a connection of its own. */
export async function failures(
  cases: readonly Case[],
  connect: () => Promise<Wire & { destroy(): void }>,
): Promise<ReadonlyMap<Case, string>> {
  const faults = new Map<Case, string>()
  let next = 0
  const work = async () => {
    for (let test = cases[next++]; test !== undefined; test = cases[next++]) {
      const wire = await connect()
      const fault = await runCase(test, wire)
      if (fault !== undefined) faults.set(test, fault)
      wire.destroy()
    }
  }
  await Promise.all(Array.from({ length: PARALLEL }, work))
  return new Map([...faults].sort(([a], [b]) => cases.indexOf(a) - cases.indexOf(b)))
}

/** Undefined where everything is as it must be. */
export async function runCase(test: Case, wire: Wire): Promise<string | undefined> {
  const patience = test.level === 'timing' ? TIMING_MS : ANSWER_MS
  const methods: string[] = []
  const seen: Response[] = []
  const read = () => readResponses(wire.received(), methods, wire.ended())
  for (const [index, step] of test.steps.entries()) {
    methods.push(...methodsOf(step))
    await write(step, seen, wire)
    if (test.finishes === true && index === test.steps.length - 1) wire.finish()
    const wanted = seen.length + step.expect.length
    const isThere = () => read().responses.length >= wanted || read().fault !== undefined
    await wire.wait(() => isThere() || wire.ended(), patience)
    const fault = faultOf(step, seen, read(), wire)
    if (fault !== undefined) return `step ${index + 1}: ${fault}`
  }
  if (test.closes === true) return endFault(wire, read, seen)
  if (test.closes === 'either' && wire.ended()) return undefined
  return test.finishes === true || (test.closes === 'either' && (await closesSoon(wire)))
    ? undefined
    : probeFault(wire, methods, seen)
}

function methodsOf({ methods, expect }: Step): readonly string[] {
  return expect.map((_, index) => methods?.[index] ?? 'GET')
}

async function write(step: Step, seen: readonly Response[], wire: Wire): Promise<void> {
  const { send } = step
  if (typeof send === 'string') return wire.write(send)
  if (typeof send === 'function') return wire.write(send(seen))
  for (const piece of send) {
    wire.write(piece)
    await wire.wait(() => false, PIECE_MS)
  }
}

/** Checks what has come for a step, and adds it to what was seen. */
function faultOf(step: Step, seen: Response[], reading: Reading, wire: Wire): string | undefined {
  for (const expected of step.expect) {
    const response = reading.responses[seen.length]
    if (response === undefined) {
      if (reading.fault !== undefined) return `no response: ${reading.fault}`
      const end = wire.wasReset() ? ', reset' : wire.ended() ? ', ended' : ''
      return `no response${end}; received ${JSON.stringify(reading.rest.slice(0, 200))}`
    }
    const fault = responseFault(response, expected, seen)
    if (fault !== undefined) return fault
    seen.push(response)
  }
  return undefined
}

function responseFault(
  response: Response,
  expected: Expected,
  seen: readonly Response[],
): string | undefined {
  const { status, fields, body } = response
  if (!expected.status.includes(status)) return `status ${status}, not ${expected.status.join(' or ')}`
  // RFC 9110 §6.6.1: an origin server with a clock.
  if (
    status < 500 &&
    !/^[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT$/.test(fields.get('date') ?? '')
  ) {
    return `Date ${fields.get('date')}`
  }
  for (const [name, wanted] of Object.entries(expected.fields ?? {})) {
    const value = fields.get(name)
    const fits = wanted === null ? value === undefined : value !== undefined && matches(value, wanted)
    if (!fits) return `${name}: ${value}, not ${wanted}`
  }
  if (expected.body !== undefined && !matches(body, expected.body)) {
    return `body ${JSON.stringify(body.slice(0, 120))} (${body.length} octets)`
  }
  return expected.check?.(response, seen)
}

function matches(value: string, wanted: string | RegExp): boolean {
  return typeof wanted === 'string' ? value === wanted : wanted.test(value)
}

async function closesSoon(wire: Wire): Promise<boolean> {
  return wire.wait(() => wire.ended(), 200)
}

/** RFC 9112 §9.6: the end comes, behind everything, and as an end rather than a reset. */
async function endFault(
  wire: Wire,
  read: () => Reading,
  seen: readonly Response[],
): Promise<string | undefined> {
  if (!(await wire.wait(() => wire.ended(), CLOSE_MS))) return 'the connection stays open'
  if (read().responses.length > seen.length) return 'more responses than requests'
  return wire.wasReset() ? 'a reset instead of an end' : undefined
}

/** One more request must be answered as if nothing had been before. */
async function probeFault(
  wire: Wire,
  methods: string[],
  seen: readonly Response[],
): Promise<string | undefined> {
  if (wire.ended()) return 'the connection ended'
  methods.push('GET')
  wire.write(request('GET /file.txt', 'Connection: close'))
  const read = () => readResponses(wire.received(), methods, wire.ended())
  const isThere = () => read().responses.length > seen.length || read().fault !== undefined || wire.ended()
  await wire.wait(isThere, ANSWER_MS)
  const { responses, fault, rest } = read()
  const response = responses[seen.length]
  if (response === undefined)
    return `nothing to the next request: ${fault ?? JSON.stringify(rest.slice(0, 120))}`
  if (response.status !== 200 || response.body !== ALPHABET)
    return `status ${response.status} to the next request`
  if (responses.length > seen.length + 1) return 'more responses than requests'
  return undefined
}
