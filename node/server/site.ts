/**
 * The static site on a node's connections: reads request heads, looks their objects up and queues responses by
 * reference, in order. Reading files is the loader's; where else a request might be served better, the placement's.
 */
import type { CachedObject } from '../../cache/cached-object.ts'
import { splitContentKey } from '../../cache/cached-object.ts'
import type { Prepare, ShiftRefusal } from '../../shift/messages.ts'
import { CodingPreferences } from '../http/content-coding.ts'
import { HeadMemory } from '../http/head-memory.ts'
import {
  createResponsePlan,
  plan,
  planError,
  planRefusal,
  planWithoutResource,
  type ResponsePlan,
} from '../http/plan.ts'
import { planStored } from '../http/plan-stored.ts'
import type { Found, Resource } from '../http/representation.ts'
import { beginBody, createRequestBody, discardBody, type RequestBody } from '../http/request-body.ts'
import {
  createRequestHead,
  MAX_HEAD_OCTETS,
  parseRequestHead,
  type RequestHead,
} from '../http/request-head.ts'
import { CONTINUE_OCTETS } from '../http/response-head.ts'
import { exportBody, importBody } from '../http/travelling-body.ts'
import type { OriginRequest } from '../origin/fields.ts'
import type { Application } from '../stack/application.ts'
import type { Connection } from '../stack/connection.ts'
import { MAX_SHOWN_REQUEST_CHARS } from '../stack/messages.ts'
import { ACKED, PEER_FIN, READABLE, STARVED } from '../tcp/events.ts'
import type { Tcb } from '../tcp/tcb.ts'
import {
  abort,
  close,
  consume,
  contiguous,
  send,
  starvedPlace,
  unread,
  unreadOctets,
  wake,
} from '../tcp/user.ts'
import {
  type Access,
  type AccessTrail,
  createTrail,
  entryOf,
  exportTrail,
  importTrail,
  MAX_PENDING,
  tellAccess,
} from './access-trail.ts'
import { ClientTable } from './client-table.ts'
import { addressText } from './client-text.ts'
import { DEFAULT_LIMITS, type ServerLimits } from './limits.ts'
import { isCount } from './messages.ts'
import {
  type Awaited,
  awaitedAtEnd,
  createPace,
  exportPace,
  importPace,
  keepPace,
  type Pace,
  type PaceLimits,
} from './pace.ts'
import { queueResponse, type Served } from './queue-response.ts'
import type { Resources } from './resources.ts'
import { mustStay } from './stay.ts'

/**
 * Chunks that may wait in a connection's send queue before its next pipelined request is read: bounds what one client
 * can make us queue, and the parts of one super-segment.
 */
const MAX_QUEUED_CHUNKS = 128
/** The same of octets that are kept for the client itself: far below what a send queue takes at all. */
const MAX_QUEUED_OCTETS = 262_144
/**
 * Octets in the send queue behind which the next pipelined request waits unread, where they are also twice what can be in flight:
 * nothing is sent the later for it, for the acknowledgement that makes room comes first; a request can still be placed; and
 * its response's head is no part yet of what a shift carries. Enough of it that a disk can be read meanwhile.
 */
const MAX_AHEAD_OCTETS = 1024 * 1024
/** Superseded versions kept for connections on their way here; each is held by its send queue afterwards. */
const MAX_KEPT_VERSIONS = 64

export interface SiteHost {
  readonly id: number
  owns(connection: Connection): boolean
  /** Something was queued outside of a callback. */
  touched(connection: Connection): void
  /** Moves a connection whose next request is better served elsewhere; `kept` is called when that failed. */
  shift(connection: Connection, to: number, kept: () => void): void
  /** The owner that should serve `path`, which is not in memory here; undefined or our own id for us. */
  place(path: string, placed: (owner: number | undefined) => void): void
  now(): number
  /** Wall clock in whole seconds. */
  nowSecond(): number
}

const UNACCEPTABLE: Resource<Served> = { kind: 'unacceptable' }

interface SiteState {
  readonly body: RequestBody
  /** A file is being read, or a better place asked for; nothing is read from the client meanwhile. */
  waiting: boolean
  /** Of the request that waits: an answer to an earlier wait is none to this. Not carried. */
  wait: number
  /** What was found out for the request that waits unread, so that it is not looked for twice. */
  found: Found<CachedObject> | undefined
  /** The last response is queued, and after it the end. */
  closing: boolean
  peerFinished: boolean
  scanFrom: number
  served: number
  /** `served` when the connection was last offered to a better place: for one request that is done once. Not carried. */
  offeredAt: number
  /** When it came here from another owner. Not carried. */
  arrivedAt: number
  /** What the client owes, and until when. */
  readonly pace: Pace
  /** Octets of bodies read so far. */
  bodyOctets: number
  /** Octets that came behind the end. */
  lingerOctets: number
  /** The table of clients in which it stands, and whether it is one too many. Not carried: every owner counts its own. */
  countedIn: ClientTable | undefined
  excess: boolean
  /** For the access log; undefined where there is none. */
  trail: AccessTrail | undefined
}

export class Site implements Application {
  readonly #host: SiteHost
  readonly #resources: Resources
  readonly #head = createRequestHead()
  readonly #heads = new HeadMemory()
  readonly #plan: ResponsePlan<Served> = createResponsePlan<Served>()
  readonly #codings = new CodingPreferences()
  /** Versions that shifted connections refer to and that are not current here: kept while they are resolved. */
  readonly #versions = new Map<string, CachedObject>()
  #limits: PaceLimits
  #clients: ClientTable
  readonly #log: ((access: Access) => void) | undefined
  draining = false
  requests = 0
  /** By status. */
  readonly responses: Record<number, number> = {}
  /** Heads and bodies of responses that were begun. */
  responseOctets = 0
  /** Connections that were ended because the client took too long, by what it owed. */
  readonly expirations: Record<Awaited, number> = {
    nothing: 0,
    head: 0,
    idle: 0,
    body: 0,
    reader: 0,
    linger: 0,
  }

  constructor(
    host: SiteHost,
    resources: Resources,
    limits: ServerLimits = DEFAULT_LIMITS,
    log?: (access: Access) => void,
  ) {
    this.#log = log
    this.#host = host
    this.#resources = resources
    this.#limits = limits.pace
    this.#clients = new ClientTable(limits.clients)
  }

  /**
   * Other limits from now on. What a client was granted before stands: its time until something happens on its
   * connection, and the connection itself, which is not counted anew.
   */
  configure(limits: ServerLimits): void {
    this.#limits = limits.pace
    this.#clients = new ClientTable(limits.clients)
  }

  accepted(connection: Connection, now: number): void {
    const state = createSiteState()
    connection.state = state
    if (this.#log !== undefined) state.trail = createTrail(this.#host.id)
    this.#count(connection, state, now)
  }

  advanced(connection: Connection, events: number, now: number): void {
    const state = connection.state as SiteState
    if ((events & PEER_FIN) !== 0) state.peerFinished = true
    if ((events & ACKED) !== 0) tellAccess(state.trail, connection, false, now, this.#log)
    if ((events & (READABLE | ACKED | PEER_FIN)) !== 0) this.#read(connection, state, now)
    if ((events & STARVED) !== 0) this.#feed(connection)
    this.#await(connection, state, now)
    if (state.closing && connection.tcb.state === 'TIME-WAIT') connection.state = FINISHED
  }

  expired(connection: Connection, now: number): void {
    const state = connection.state as SiteState
    const { awaited, deadline } = state.pace
    if (deadline > now) {
      connection.applicationDeadline = deadline
      return
    }
    if (awaited === 'reader' && connection.tcb.snd.starved) {
      // It waits for our disk, not we for it.
      state.pace.deadline = now + this.#limits.readerMs
      connection.applicationDeadline = state.pace.deadline
      return
    }
    this.expirations[awaited]++
    switch (awaited) {
      case 'head':
        this.#fail(connection, state, 408, now)
        break
      case 'idle':
      case 'body':
        // RFC 9112 §9.5: no response without a request; and the one to a request whose body lags is sent already.
        this.#end(connection, state, now)
        break
      default:
        // It reads nothing, so it will not read why either: whatever is kept for it is freed now.
        abort(connection.tcb)
    }
    this.#await(connection, state, now)
  }

  released(connection: Connection, now: number): void {
    const state = connection.state as SiteState
    this.#uncount(connection, state)
    // What a connection that was given away still owes, its new owner tells.
    if (!connection.frozen) tellAccess(state.trail, connection, true, now, this.#log)
  }

  /** TIME-WAIT is ours alone, and takes nothing that a client should be made to spare. */
  #uncount(connection: Connection, state: SiteState): void {
    state.countedIn?.closed(connection)
    state.countedIn = undefined
  }

  #count(connection: Connection, state: SiteState, now: number): void {
    if (state.countedIn !== undefined) return
    state.countedIn = this.#clients
    state.excess = !this.#clients.opened(connection, now)
  }

  /** Sets the deadline for what the client owes now. */
  #await(connection: Connection, state: SiteState, now: number): void {
    const { tcb } = connection
    const awaited = awaitedOf(tcb, state)
    const progress = awaited === 'body' ? state.bodyOctets : tcb.sendQueue.released
    connection.applicationDeadline = keepPace(state.pace, awaited, progress, this.#limits, now)
    if (tcb.state === 'TIME-WAIT') this.#uncount(connection, state)
  }

  /** The request that waits or is half received stays in the receive queue; what is found for it is found again. */
  exportState(connection: Connection, now: number): unknown {
    const { body, closing, peerFinished, served, pace, lingerOctets, trail } = connection.state as SiteState
    const { released } = connection.tcb.sendQueue
    const told = trail === undefined ? null : exportTrail(trail, released, now)
    return [closing, peerFinished, served, exportBody(body), exportPace(pace, now), lingerOctets, told]
  }

  importState(connection: Connection, plain: unknown, now: number): boolean {
    const state = createSiteState()
    connection.state = state
    // The dispatcher gives connections away before anything was served.
    if (plain === null) return this.#importTrail(connection, state, null, now)
    if (!Array.isArray(plain) || plain.length !== 7) return false
    const [closing, peerFinished, served, discarding, pace, lingerOctets, told] = plain
    if (typeof closing !== 'boolean' || typeof peerFinished !== 'boolean' || !isCount(served)) return false
    if (!isCount(lingerOctets)) return false
    state.closing = closing
    state.peerFinished = peerFinished
    state.served = served
    state.lingerOctets = lingerOctets
    if (!this.#importTrail(connection, state, told, now)) return false
    return importBody(state.body, discarding) && importPace(state.pace, pace, now)
  }

  #importTrail(connection: Connection, state: SiteState, plain: unknown, now: number): boolean {
    if (this.#log === undefined) return true
    state.trail = importTrail(plain, this.#host.id, connection.tcb.sendQueue.released, now)
    return state.trail !== undefined
  }

  resumed(connection: Connection, now: number): void {
    const state = connection.state as SiteState
    this.#count(connection, state, now)
    state.arrivedAt = now
    state.waiting = false
    state.found = undefined
    // What a connection waited for that comes back from a refused shift was not heard of meanwhile.
    wake(connection.tcb)
    // The former owner may have been told while the connection was on its way.
    if (connection.tcb.state === 'CLOSE-WAIT') state.peerFinished = true
    this.#read(connection, state, now)
    this.#await(connection, state, now)
  }

  /** Responses begun on a connection. */
  served(connection: Connection): number {
    return (connection.state as SiteState).served
  }

  admits(_prepare: Prepare): ShiftRefusal | undefined {
    return this.draining ? 'DRAINING' : undefined
  }

  fetch(keys: readonly string[], done: (refusal: ShiftRefusal | undefined) => void, from: number): void {
    // A stream is asked for even if it is known: its file may be another one by now.
    const missing = keys.filter(
      key => this.resolve(key)?.stream !== undefined || this.resolve(key) === undefined,
    )
    if (missing.length === 0) return done(undefined)
    let waiting = missing.length
    let refusal: ShiftRefusal | undefined
    for (const key of missing) {
      const loaded = (object: CachedObject | undefined) => {
        if (object === undefined) refusal = 'NO_OBJECT'
        else this.#keepVersion(object)
        if (--waiting === 0) done(refusal)
      }
      const split = splitContentKey(key)
      if (split === undefined) loaded(undefined)
      else this.#resources.loadVersion(split.path, split.etag, loaded, from)
    }
  }

  resolve(key: string): CachedObject | undefined {
    const split = splitContentKey(key)
    if (split === undefined) return undefined
    const current = this.#resources.store.peek(split.path)?.object
    return current?.key === key ? current : this.#versions.get(key)
  }

  /** The octets that are to be sent next have to be read; the rest of the connection goes on meanwhile. */
  #feed(connection: Connection): void {
    const { tcb } = connection
    const place = starvedPlace(tcb)
    const done = (ok: boolean) => {
      if (!this.#host.owns(connection)) return
      if (ok) wake(tcb)
      // What was promised cannot be sent: the client learns it from the end, for padding would be a lie.
      else abort(tcb)
      this.#host.touched(connection)
    }
    if (place === undefined) done(true)
    else this.#resources.read(place.content as CachedObject, place.offset, done)
  }

  /** Only between PREPARED and COMMIT: afterwards the send queue itself holds the object. */
  #keepVersion(object: CachedObject): void {
    if (this.#resources.store.peek(object.path)?.object === object) return
    if (this.#versions.size >= MAX_KEPT_VERSIONS) {
      for (const oldest of this.#versions.keys()) {
        this.#versions.delete(oldest)
        break
      }
    }
    this.#versions.set(object.key, object)
  }

  #read(connection: Connection, state: SiteState, now: number): void {
    if (state.closing) {
      // Octets behind the last request have no meaning; left unread they would close the window on the client, and
      // a reset for them could overtake the response (RFC 9112 §9.6).
      const { tcb } = connection
      state.lingerOctets += unreadOctets(tcb)
      consume(tcb, unreadOctets(tcb), now)
      if (state.lingerOctets > this.#limits.lingerOctets) abort(tcb)
      return
    }
    while (!state.waiting && !state.closing) {
      // The next acknowledgement comes back here.
      if (queuedChunks(connection.tcb) >= MAX_QUEUED_CHUNKS) return
      if (connection.tcb.sendQueue.ownedOctets >= MAX_QUEUED_OCTETS) return
      if (state.body.phase === 'done' && isFarAhead(connection.tcb)) return
      if (state.trail !== undefined && state.trail.pending.length >= MAX_PENDING) return
      if (!this.#readOne(connection, state, now)) break
    }
    // Half-closed by the client: what it asked for is answered, then we are done as well.
    if (state.peerFinished && !state.waiting && !state.closing) this.#end(connection, state, now)
  }

  /** Reads one request, or a stretch of a body; false when there are too few octets for either. */
  #readOne(connection: Connection, state: SiteState, now: number): boolean {
    const { tcb } = connection
    if (unreadOctets(tcb) === 0) return false
    if (state.body.phase !== 'done') {
      const { octets, start, length } = unread(tcb)
      const discarded = discardBody(state.body, octets, start, start + length)
      state.bodyOctets += discarded
      consume(tcb, discarded, now)
      // Its request has been answered: another response would be taken for that to the next one.
      if (bodyFailed(state.body)) this.#end(connection, state, now)
      return true
    }
    const run = contiguous(tcb, MAX_HEAD_OCTETS)
    const known = this.#heads.find(run.octets, run.start, run.start + run.length)
    if (known !== undefined) {
      state.scanFrom = 0
      this.#serve(connection, state, known, now)
      return true
    }
    const head = this.#head
    head.scanFrom = state.scanFrom
    const verdict = parseRequestHead(run.octets, run.start, run.start + run.length, head)
    if (verdict === 'incomplete') {
      state.scanFrom = head.scanFrom
      return false
    }
    state.scanFrom = 0
    if (verdict === 'complete') {
      this.#heads.note(head)
      this.#serve(connection, state, head, now)
    } else this.#fail(connection, state, verdict, now)
    return true
  }

  #serve(connection: Connection, state: SiteState, head: RequestHead, now: number): void {
    // What waited has been counted already.
    if (state.excess || (state.found === undefined && !this.#clients.requested(connection, now))) {
      planRefusal(head, this.#host.nowSecond(), this.#plan, this.#resources.context(head), state.excess)
      return this.#send(connection, state, head, now)
    }
    const found = state.found ?? this.#resources.find(head, now)
    state.found = undefined
    if (found !== undefined) return this.#respond(connection, state, head, found, now)
    if (planWithoutResource(head, this.#host.nowSecond(), this.#plan, this.#resources.context(head))) {
      return this.#send(connection, state, head, now)
    }
    // Known not to be refused: `find` has an answer to every path that is none.
    const path = this.#resources.pathOf(head) as string
    connection.request = `${head.method} ${path}`.slice(0, MAX_SHOWN_REQUEST_CHARS)
    const request = this.#resources.originRequest?.(head, path, addressText(connection))
    this.#find(connection, state, path, request)
  }

  /** The request stays unread until its file is here, so that it is still the client's if the connection moves. */
  #find(connection: Connection, state: SiteState, path: string, request: OriginRequest | undefined): void {
    state.waiting = true
    const wait = ++state.wait
    // Moved meanwhile, the new owner has the request, unread, and looks for itself; so does `resumed` where it came back.
    const waits = () =>
      this.#host.owns(connection) && connection.state === state && state.waiting && state.wait === wait
    const load = () => this.#resources.load(path, loaded, request)
    const loaded = (resource: Found<CachedObject>) => {
      if (!waits()) return
      state.found = resource
      state.waiting = false
      const now = this.#host.now()
      this.#read(connection, state, now)
      this.#await(connection, state, now)
      this.#host.touched(connection)
    }
    // The first request was placed here by the dispatcher.
    if (state.served === 0 || mustStay(connection, state.arrivedAt, this.#host.now())) return load()
    // It came back from there: whoever refused it would refuse it again.
    if (state.offeredAt === state.served) return load()
    this.#host.place(this.#resources.heldAs(path), owner => {
      if (!waits()) return
      if (owner === undefined || owner === this.#host.id) return load()
      state.offeredAt = state.served
      this.#host.shift(connection, owner, () => {
        if (waits()) load()
      })
    })
  }

  #respond(
    connection: Connection,
    state: SiteState,
    head: RequestHead,
    resource: Found<CachedObject>,
    now: number,
  ): void {
    const context = this.#resources.context(head)
    const second = this.#host.nowSecond()
    if (resource.kind === 'response') planStored(head, resource, second, this.#plan, context)
    else plan(head, this.#selected(head, resource), second, this.#plan, context)
    if (resource.kind === 'object') {
      connection.method = head.method
      connection.path = resource.path
    }
    this.#send(connection, state, head, now)
  }

  /** RFC 9110 §12.1: of the representations of a resource, the one that the client likes best. */
  #selected(head: RequestHead, resource: Resource<CachedObject>): Resource<Served> {
    if (resource.kind !== 'object' || resource.variants === undefined) return resource
    return resource.variants.select(this.#codings.of(head), this.#resources.store) ?? UNACCEPTABLE
  }

  /** Queues the planned response and takes its request out of the receive queue. */
  #send(connection: Connection, state: SiteState, head: RequestHead, now: number): void {
    const { tcb } = connection
    const entry = state.trail && entryOf(head, this.#host.nowSecond(), now)
    beginBody(state.body, head)
    consume(tcb, head.headLength, now)
    if (this.#plan.sendContinue) send(tcb, CONTINUE_OCTETS, now)
    queueResponse(tcb, this.#plan, now)
    state.served++
    this.#answered(tcb, state, entry)
    if (this.#plan.close) this.#end(connection, state, now)
  }

  /** What the client sent is no request: it hears so, and what follows has no known meaning. */
  #fail(connection: Connection, state: SiteState, status: number, now: number): void {
    const { tcb } = connection
    planError(status, this.#host.nowSecond(), this.#plan)
    consume(tcb, unreadOctets(tcb), now)
    queueResponse(tcb, this.#plan, now)
    this.#answered(tcb, state, state.trail && entryOf(undefined, this.#host.nowSecond(), now))
    this.#end(connection, state, now)
  }

  /** A response is queued whole. */
  #answered(tcb: Tcb, state: SiteState, entry: ReturnType<typeof entryOf> | undefined): void {
    const { status, head, bodyLength, bodyKind } = this.#plan
    const octets = head.length + (bodyKind === 'none' ? 0 : bodyLength)
    this.requests++
    this.responses[status] = (this.responses[status] ?? 0) + 1
    this.responseOctets += octets
    if (entry === undefined) return
    const end = tcb.sendQueue.released + tcb.sendQueue.octets
    state.trail?.pending.push({ ...entry, status, headOctets: head.length, octets, end })
  }

  #end(connection: Connection, state: SiteState, now: number): void {
    state.closing = true
    close(connection.tcb, now)
  }
}

/** One debt at a time: a client takes what it asked for before its next request is waited for. */
function awaitedOf(tcb: Tcb, state: SiteState): Awaited {
  if (tcb.state === 'SYN-RECEIVED') return 'nothing'
  if (state.closing) return awaitedAtEnd(tcb)
  if (tcb.sendQueue.octets > 0) return 'reader'
  if (state.waiting) return 'nothing'
  if (state.body.phase !== 'done') return 'body'
  return state.served === 0 || unreadOctets(tcb) > 0 ? 'head' : 'idle'
}

/** References in the send queue. */
function queuedChunks(tcb: Tcb): number {
  return tcb.sendQueue.tail - tcb.sendQueue.head
}

function isFarAhead({ sendQueue, congestion }: Tcb): boolean {
  return sendQueue.octets > Math.max(MAX_AHEAD_OCTETS, 2 * congestion.cwnd)
}

/** What is left of a connection in TIME-WAIT, the same for all of them: there are more of these than of all others. */
const FINISHED: SiteState = { ...createSiteState(), closing: true, peerFinished: true, served: 1 }

function createSiteState(): SiteState {
  return {
    body: createRequestBody(),
    waiting: false,
    wait: 0,
    found: undefined,
    closing: false,
    peerFinished: false,
    scanFrom: 0,
    served: 0,
    offeredAt: 0,
    arrivedAt: Number.NEGATIVE_INFINITY,
    pace: createPace(),
    bodyOctets: 0,
    lingerOctets: 0,
    countedIn: undefined,
    excess: false,
    trail: undefined,
  }
}

function bodyFailed(body: RequestBody): boolean {
  return body.phase === 'error'
}
