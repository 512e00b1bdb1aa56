/**
 * What runs on the dispatcher's own connections: it reads the first request head, has a node chosen for it and shifts
 * the connection there, request unread. Nothing is served here but the refusal of what is no request, and 503 where
 * no node takes it.
 */
import { createResponsePlan, planError } from '../node/http/plan.ts'
import {
  createRequestHead,
  MAX_HEAD_OCTETS,
  parseRequestHead,
  type RequestHead,
} from '../node/http/request-head.ts'
import { ClientTable } from '../node/server/client-table.ts'
import { DEFAULT_LIMITS, type ServerLimits } from '../node/server/limits.ts'
import {
  type Awaited,
  awaitedAtEnd,
  createPace,
  keepPace,
  type Pace,
  type PaceLimits,
} from '../node/server/pace.ts'
import type { Application } from '../node/stack/application.ts'
import type { Connection } from '../node/stack/connection.ts'
import { MAX_SHOWN_REQUEST_CHARS } from '../node/stack/messages.ts'
import type { Content } from '../node/tcp/content.ts'
import { PEER_FIN, READABLE } from '../node/tcp/events.ts'
import type { Tcb } from '../node/tcp/tcb.ts'
import { abort, close, consume, contiguous, send, unreadOctets } from '../node/tcp/user.ts'
import type { ShiftRefusal } from '../shift/messages.ts'

/** Nodes that are asked for one request before the client gets 503. */
const MAX_TRIES = 3

interface Accepted {
  /** Nodes that it was offered to. */
  readonly offeredTo: number[]
  answered: boolean
  /** Octets of the head that the parser has seen already. */
  scanFrom: number
  readonly pace: Pace
  /** Octets that came behind the answer. */
  lingerOctets: number
  /** The table of clients in which it stands. */
  countedIn: ClientTable | undefined
  /** Its client has too many connections already. */
  readonly excess: boolean
}

export interface AcceptorHost {
  /** The path of a request with its site before it, or the status of its refusal. */
  pathOf(head: RequestHead): string | number
  /** By which name the directory knows who holds it. */
  heldAs(path: string): string
  /** The node for a path, or undefined where no node is up; `not` are those that were asked already. */
  place(path: string, not: readonly number[]): number | undefined
  /** Whether a node runs an application on this port. */
  hasApp(port: number): boolean
  /** The node for a connection to the port of an application. */
  placeApp(port: number, not: readonly number[]): number | undefined
  /** The port whose requests are read here. */
  readonly port: number
  /** Where it comes to nothing, the connection is `kept`. */
  shift(connection: Connection, to: number, now: number): void
  isShifting(connection: Connection): boolean
  /** Something was queued outside of a callback. */
  touched(connection: Connection): void
  owns(connection: Connection): boolean
  /** Wall clock in whole seconds. */
  nowSecond(): number
}

export class Acceptor implements Application {
  readonly #host: AcceptorHost
  readonly #head = createRequestHead()
  readonly #plan = createResponsePlan<never>()

  #limits: PaceLimits
  #clients: ClientTable

  constructor(host: AcceptorHost, limits: ServerLimits = DEFAULT_LIMITS) {
    this.#host = host
    this.#limits = limits.pace
    this.#clients = new ClientTable(limits.clients)
  }

  listens(port: number): boolean {
    return port === this.#host.port || this.#host.hasApp(port)
  }

  accepted(connection: Connection, now: number): void {
    const state: Accepted = {
      offeredTo: [],
      answered: false,
      scanFrom: 0,
      pace: createPace(),
      lingerOctets: 0,
      countedIn: this.#clients,
      excess: !this.#clients.opened(connection, now),
    }
    connection.state = state
  }

  /** As `Site.configure`. */
  configure(limits: ServerLimits): void {
    this.#limits = limits.pace
    this.#clients = new ClientTable(limits.clients)
  }

  advanced(connection: Connection, events: number, now: number): void {
    const state = connection.state as Accepted
    if (!this.#host.isShifting(connection)) this.#advanced(connection, state, events, now)
    this.#await(connection, state, now)
  }

  expired(connection: Connection, now: number): void {
    const state = connection.state as Accepted
    if (state.pace.deadline > now) {
      connection.applicationDeadline = state.pace.deadline
      return
    }
    // RFC 9110 §15.5.9.
    if (state.pace.awaited === 'head') this.#answer(connection, state, 408, now)
    else abort(connection.tcb)
    this.#await(connection, state, now)
  }

  #advanced(connection: Connection, state: Accepted, events: number, now: number): void {
    if (state.answered) return this.#linger(connection.tcb, state, now)
    if (this.#isApp(connection.localPort)) return this.#placeApp(connection, state, now)
    // Told at once: where a head were waited for, the limit would be none.
    if (state.excess && connection.tcb.state !== 'SYN-RECEIVED')
      return this.#answer(connection, state, 429, now)
    if ((events & READABLE) !== 0 && this.#read(connection, state, now)) return
    // A client that has said all it will say, and no request in it.
    if ((events & PEER_FIN) !== 0) {
      state.answered = true
      close(connection.tcb, now)
    }
  }

  #isApp(port: number): boolean {
    return port !== this.#host.port || this.#host.hasApp(port)
  }

  /** What the client says is the application's matter: it is placed before it says anything. */
  #placeApp(connection: Connection, state: Accepted, now: number): void {
    if (connection.tcb.state === 'SYN-RECEIVED') return
    connection.request = `port ${connection.localPort}`
    if (state.excess) return abort(connection.tcb)
    this.#shift(connection, state, undefined, now)
  }

  /** What follows the answer is thrown away, so that no reset for it overtakes the answer (RFC 9112 §9.6). */
  #linger(tcb: Tcb, state: Accepted, now: number): void {
    state.lingerOctets += unreadOctets(tcb)
    consume(tcb, unreadOctets(tcb), now)
    if (state.lingerOctets > this.#limits.lingerOctets) abort(tcb)
  }

  #await(connection: Connection, state: Accepted, now: number): void {
    const { tcb } = connection
    const awaited = this.#awaited(connection, state)
    connection.applicationDeadline = keepPace(state.pace, awaited, tcb.sendQueue.released, this.#limits, now)
    // TIME-WAIT is ours alone, and takes nothing that a client should be made to spare.
    if (tcb.state === 'TIME-WAIT') this.released(connection)
  }

  #awaited(connection: Connection, { answered }: Accepted): Awaited {
    const { tcb } = connection
    if (tcb.state === 'SYN-RECEIVED' || this.#host.isShifting(connection)) return 'nothing'
    return answered ? awaitedAtEnd(tcb) : 'head'
  }

  /** Ended, or placed: from then on it is counted where it is owned. */
  released(connection: Connection): void {
    const state = connection.state as Accepted
    state.countedIn?.closed(connection)
    state.countedIn = undefined
  }

  exportState(): unknown {
    return null
  }

  /** Connections never come back to the dispatcher: it holds no files. */
  importState(): boolean {
    return false
  }

  /** Back from a node that refused it: `kept` follows. */
  resumed(): void {}

  /** It is read anew, and offered to another node. */
  kept(connection: Connection, now: number): void {
    if (this.#host.owns(connection)) this.advanced(connection, READABLE, now)
  }

  admits(): ShiftRefusal {
    return 'NOT_SHIFTABLE'
  }

  fetch(_keys: readonly string[], done: (refusal: ShiftRefusal) => void): void {
    done('NOT_SHIFTABLE')
  }

  resolve(): Content | undefined {
    return undefined
  }

  /** Whether the head was complete, or beyond repair. */
  #read(connection: Connection, state: Accepted, now: number): boolean {
    const run = contiguous(connection.tcb, MAX_HEAD_OCTETS)
    const head = this.#head
    head.scanFrom = state.scanFrom
    const verdict = parseRequestHead(run.octets, run.start, run.start + run.length, head)
    if (verdict === 'incomplete') {
      state.scanFrom = head.scanFrom
      return false
    }
    if (verdict !== 'complete') {
      this.#answer(connection, state, verdict, now)
      return true
    }
    const path = this.#host.pathOf(head)
    connection.request = shownRequest(head.method, path)
    // A path that is none is answered by whichever node is next, as any other request.
    this.#shift(connection, state, typeof path === 'string' ? this.#host.heldAs(path) : '/', now)
    return true
  }

  /** `path`: undefined for an application's connection. */
  #shift(connection: Connection, state: Accepted, path: string | undefined, now: number): void {
    const to = this.#place(connection.localPort, path, state.offeredTo)
    if (to === undefined) {
      if (path === undefined) abort(connection.tcb)
      else this.#answer(connection, state, 503, now)
      this.#await(connection, state, now)
      return this.#host.touched(connection)
    }
    state.offeredTo.push(to)
    this.#host.shift(connection, to, now)
  }

  #place(port: number, path: string | undefined, not: readonly number[]): number | undefined {
    if (not.length >= MAX_TRIES) return undefined
    return path === undefined ? this.#host.placeApp(port, not) : this.#host.place(path, not)
  }

  #answer(connection: Connection, state: Accepted, status: number, now: number): void {
    state.answered = true
    const { tcb } = connection
    const plan = this.#plan
    planError(status, this.#host.nowSecond(), plan)
    consume(tcb, unreadOctets(tcb), now)
    send(tcb, plan.head, now)
    if (plan.bodyKind === 'octets') send(tcb, plan.octets, now)
    close(tcb, now)
  }
}

function shownRequest(method: string, path: string | number): string {
  return `${method} ${typeof path === 'string' ? path : '(bad path)'}`.slice(0, MAX_SHOWN_REQUEST_CHARS)
}
