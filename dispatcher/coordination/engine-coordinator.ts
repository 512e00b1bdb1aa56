/**
 * Coordination by an engine's registers (`store.ts`): one for the lease of each owner id, one for the directory of the dispatchers.
 * It asks what the sans-IO parts want to know, and knows whether the engine answers. With the engine away everything stays as it
 * was last told.
 */
import { createIncarnation } from '../../node/control/hello.ts'
import type { CoordinationReport } from '../admin/api.ts'
import { type Answer, type Ask, DEFAULT_LEASE_TIMES, type LeaseTimes } from './asking.ts'
import type { Coordinator, Lease } from './coordinator.ts'
import {
  DIRECTORY_KEY,
  type DispatcherPlace,
  formatDirectory,
  isListed,
  parseDirectory,
  withPlace,
} from './directory.ts'
import { CoordinationError } from './errors.ts'
import { HeldLease } from './held-lease.ts'
import { leaseKey, parseHolder } from './holder.ts'
import { IdSearch } from './id-search.ts'
import { Observations } from './observations.ts'
import type { Entry, Store } from './store.ts'

/** Bits of a run's name below its time. */
const RANDOM_BITS = 22n
/** Of one process at its end, to take itself out of the directory that others write too. */
const MAX_REMOVALS = 8

export interface Participant {
  readonly role: 'dispatcher' | 'node' | 'gateway'
  readonly name: string
  readonly ownerIdBits: number
  /** host:port of its control links, of a dispatcher. */
  readonly control: string | undefined
}

export interface EngineWorld {
  /** Monotonic, in ms. */
  now(): number
  say(text: string): void
  /** The lease is known to be another's: nothing may be sent any more. */
  lost(error: CoordinationError): void
}

export class EngineCoordinator implements Coordinator {
  readonly #store: Store
  readonly #self: Participant
  readonly #world: EngineWorld
  readonly #times: LeaseTimes
  /** Of the other dispatchers. */
  readonly #seen: Observations
  readonly #pauses = new Set<() => void>()
  readonly #loops: Promise<void>[] = []
  #held: HeldLease | undefined
  #dial: ((addresses: readonly string[]) => void) | undefined
  #told = ''
  #awaySince: number | undefined
  #isClosing = false

  constructor(store: Store, self: Participant, world: EngineWorld, times = DEFAULT_LEASE_TIMES) {
    this.#store = store
    this.#self = self
    this.#world = world
    this.#times = times
    this.#seen = new Observations(4 * times.renewMs)
  }

  async lease(id: number | undefined): Promise<Lease> {
    const { role, name, ownerIdBits } = this.#self
    if (role === 'gateway') throw new TypeError('a gateway owns nothing')
    const search = new IdSearch({ role, name, id, ownerIdBits, run: nextRun }, this.#now(), this.#times)
    while (search.taken === undefined) {
      await this.#turn(search)
      if (this.#isClosing) throw new CoordinationError('CLOSED', 'ended before it had an owner id')
      if (search.refusal !== undefined) throw new CoordinationError('OWNER_ID_IN_USE', search.refusal)
    }
    const held = new HeldLease(search.taken, { role, name }, this.#times)
    this.#held = held
    this.#loops.push(this.#keep(held))
    return {
      id: held.id,
      run: held.run,
      permits: now => held.permits(now),
      suspect: () => {
        held.suspect(this.#now())
        this.#wake()
      },
    }
  }

  watch(dial: (addresses: readonly string[]) => void): void {
    this.#dial = dial
    this.#loops.push(this.#keepDirectory())
  }

  report(): CoordinationReport {
    const since = this.#awaySince
    return { engine: 'nats', awayMs: since === undefined ? null : Math.round(this.#now() - since) }
  }

  async close(): Promise<void> {
    this.#isClosing = true
    this.#held?.release(this.#now())
    this.#wake()
    await Promise.all(this.#loops)
    await this.#leaveDirectory()
    await this.#store.close()
  }

  async #keep(held: HeldLease): Promise<void> {
    while (!held.isOver) await this.#turn(held)
    if (held.loss !== undefined) this.#world.lost(new CoordinationError('LEASE_LOST', held.loss))
  }

  async #turn(machine: Pick<HeldLease, 'next' | 'answered'>): Promise<void> {
    const ask = machine.next(this.#now())
    if (typeof ask === 'number') return this.#pause(ask)
    const answer = await this.#answer(ask)
    machine.answered(ask, answer, this.#now())
  }

  async #answer({ key, write }: Ask): Promise<Answer> {
    try {
      if (write === undefined) return await this.#get(key)
      return await this.#set(key, write.value, write.revision)
    } catch {
      return 'away'
    }
  }

  async #keepDirectory(): Promise<void> {
    while (!this.#isClosing) {
      try {
        this.#tell(await this.#directory())
      } catch {
        this.#seen.interrupted()
      }
      await this.#pause(this.#now() + this.#times.renewMs)
    }
  }

  /** As it is now, with ourselves in it, and without those who have left it without a word. */
  async #directory(): Promise<readonly DispatcherPlace[]> {
    const entry = await this.#get(DIRECTORY_KEY)
    const listed = entry === undefined ? [] : parseDirectory(entry.value)
    const own = this.#place
    if (own === undefined) return listed
    const living = await this.#living(listed.filter(({ id }) => id !== own.id))
    const wanted = withPlace(living, own)
    const isSame = isListed(listed, own) && wanted.length === listed.length
    // Where another was faster, the next turn sees to it.
    if (!isSame) await this.#set(DIRECTORY_KEY, formatDirectory(wanted), entry?.revision ?? 0)
    return wanted
  }

  get #place(): DispatcherPlace | undefined {
    const { role, control } = this.#self
    if (role !== 'dispatcher' || control === undefined || this.#held === undefined) return undefined
    return { id: this.#held.id, run: this.#held.run, address: control }
  }

  async #living(others: readonly DispatcherPlace[]): Promise<DispatcherPlace[]> {
    const living: DispatcherPlace[] = []
    for (const other of others) if (await this.#lives(other)) living.push(other)
    return living
  }

  /** One that is only cut off from the engine is linked all the same, with those who know it. */
  async #lives({ id, run }: DispatcherPlace): Promise<boolean> {
    const key = leaseKey(id)
    const askedAt = this.#now()
    const entry = await this.#get(key)
    const holder = entry === undefined ? undefined : parseHolder(entry.value)
    if (holder !== undefined && (holder.run !== run || holder.released)) return false
    return this.#seen.note(key, entry?.revision ?? 0, askedAt, this.#now()) < 2 * this.#times.leaseMs
  }

  /** Nobody is said to be there in a storage that was lost: what is known stays. */
  #tell(places: readonly DispatcherPlace[]): void {
    const own = this.#held?.id
    const isDispatcher = this.#self.role === 'dispatcher'
    // Of two dispatchers the one with the higher id dials, so that they have one link.
    const dialed = isDispatcher ? places.filter(({ id }) => own !== undefined && id < own) : places
    const addresses = dialed.map(({ address }) => address).sort()
    if (places.length === 0 || `${addresses}` === this.#told) return
    this.#told = `${addresses}`
    this.#dial?.(addresses)
  }

  async #leaveDirectory(): Promise<void> {
    const own = this.#place
    if (own === undefined || this.#awaySince !== undefined) return
    try {
      for (let tries = 0; tries < MAX_REMOVALS; tries++) {
        const entry = await this.#get(DIRECTORY_KEY)
        if (entry === undefined) return
        const others = parseDirectory(entry.value).filter(({ run }) => run !== own.run)
        if ((await this.#set(DIRECTORY_KEY, formatDirectory(others), entry.revision)) !== undefined) return
      }
    } catch {
      // The others take it out, as if it had died.
    }
  }

  #get(key: string): Promise<Entry | undefined> {
    return this.#noted(this.#store.get(key))
  }

  #set(key: string, value: string, revision: number): Promise<number | undefined> {
    return this.#noted(this.#store.set(key, value, revision))
  }

  async #noted<T>(asked: Promise<T>): Promise<T> {
    try {
      const answer = await asked
      if (this.#awaySince !== undefined) this.#world.say('the engine answers again')
      this.#awaySince = undefined
      return answer
    } catch (error) {
      if (this.#awaySince === undefined && !this.#isClosing) {
        const why = error instanceof Error ? error.message : String(error)
        this.#world.say(`the engine does not answer (${why}); all goes on as it is`)
      }
      this.#awaySince ??= this.#now()
      throw error
    }
  }

  #now(): number {
    return this.#world.now()
  }

  #pause(until: number): Promise<void> {
    return new Promise(resolve => {
      const done = () => {
        clearTimeout(timer)
        this.#pauses.delete(done)
        resolve()
      }
      const timer = setTimeout(done, Math.max(0, Math.ceil(until - this.#now())))
      this.#pauses.add(done)
    })
  }

  #wake(): void {
    for (const done of [...this.#pauses]) done()
  }
}

/** Wall clocks may step, so the run before is looked at too. */
function nextRun(after: string | undefined): string {
  const afterMs = after === undefined ? 0 : Number(BigInt(`0x${after}`) >> RANDOM_BITS)
  return createIncarnation(Math.max(Date.now(), afterMs + 1), Math.random)
}
