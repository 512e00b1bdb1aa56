/**
 * Steering by the kernel of this machine: keeps nftables' maps equal to a `SteeringTable`. What the kernel holds is only
 * changed in whole transactions, and the table follows when one has succeeded; when one fails, whatever the reason
 * (somebody flushed the rules, an element is not as we thought), everything is built anew from the table in one more.
 */
import { Batch } from './batch.ts'
import { SteeringError } from './errors.ts'
import { NftCommand } from './nft-command.ts'
import {
  addFlowsText,
  deleteFlowsText,
  deleteTableText,
  type FlowElement,
  familiesOf,
  type HopElement,
  hopElementsText,
  type TableSpec,
  tableText,
} from './nft-rules.ts'
import { slotsOf } from './slots.ts'
import {
  type FlowUpdate,
  MAX_STEERED_FLOWS,
  type NextHop,
  NO_PACKETS,
  type SteeredFlow,
  type Steering,
  type SteeringCounters,
} from './steering.ts'
import {
  checkElement,
  checkFlow,
  checkOwners,
  checkRoom,
  type Element,
  hopOf,
  keyOf,
  SteeringTable,
} from './steering-table.ts'
import { Totals } from './totals.ts'

/** How often what is over is looked for, and a table that could not be built is tried again. */
const SWEEP_MS = 1000

type Change =
  /** The owners are always those that were asked for last. */
  | { readonly type: 'owners' }
  | {
      readonly type: 'flows'
      /** Whose other elements are removed: everybody's, or those that one dispatcher has set. */
      readonly all: boolean | { readonly by: number }
      readonly remove: readonly string[]
      readonly set: readonly Element[]
    }
  /** Nothing but what is due anyway. */
  | { readonly type: 'sweep' }
  /** Lets counters be read between transactions. */
  | { readonly type: 'read'; readonly done: (totals: Totals) => void }

/** A transaction in the making: what the table would be after it. */
interface Goal {
  readonly owners: ReadonlyMap<number, NextHop>
  readonly slots: readonly number[]
  /** By key; undefined: no element. Keys that are not here stay as they are. */
  readonly flows: Map<string, Element | undefined>
}

export class NftSteering implements Steering {
  readonly #spec: TableSpec
  readonly #nft: NftCommand
  readonly #batch: Batch<Change>
  readonly #table: SteeringTable
  readonly #now: () => number
  /** Counts of tables and elements that have been replaced. */
  readonly #before = new Totals()
  /** Whether the kernel's table is known to be as ours. */
  #built = false
  /** Whether the kernel's table, if there is one, was made by this process. */
  #counting = false
  /** The owners as last asked for; the table's once the kernel has them. */
  #wanted: ReadonlyMap<number, NextHop> = new Map()
  #wantedSlots: readonly number[] = []
  #sweeper: NodeJS.Timeout | undefined
  #stopped: Promise<void> | undefined

  constructor(spec: TableSpec, nft = new NftCommand(), now: () => number = () => performance.now()) {
    this.#spec = spec
    this.#nft = nft
    this.#batch = new Batch(changes => this.#apply(changes))
    this.#table = new SteeringTable(spec.ownerIdBits)
    this.#now = now
  }

  async start(): Promise<void> {
    // A dry run of the very table: no nft, no permission, no such device, a kernel without the hook.
    await this.#nft.run(['-c', '-f', '-'], tableText(this.#spec))
    this.#sweeper = setInterval(() => this.#sweep(), SWEEP_MS).unref()
  }

  async setOwners(owners: readonly NextHop[], dispatchers: readonly number[] = []): Promise<void> {
    const checked = checkOwners(owners, this.#spec.ownerIdBits)
    this.#wanted = checked
    this.#wantedSlots = this.#spec.spreads === true ? slotsOf(dispatchers) : []
    await this.#add({ type: 'owners' }, checked.size + this.#wantedSlots.length + 1)
  }

  async updateFlows(update: FlowUpdate): Promise<void> {
    const { remove, set } = this.#check(update)
    await this.#add({ type: 'flows', all: false, remove, set }, remove.length + set.length)
  }

  async replaceFlows(flows: readonly SteeredFlow[], by?: number): Promise<void> {
    const { set } = this.#check({ set: flows, remove: [] })
    const all = by === undefined ? true : { by }
    await this.#add({ type: 'flows', all, remove: [], set }, set.length + 1)
  }

  async counters(): Promise<SteeringCounters> {
    if (this.#table.owners.size === 0 && !this.#built) return NO_PACKETS
    let totals: Totals | undefined
    const done = (read: Totals) => {
      totals = read
    }
    await this.#add({ type: 'read', done }, 1)
    return totals?.counters() ?? NO_PACKETS
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop()
    return this.#stopped
  }

  async #stop(): Promise<void> {
    clearInterval(this.#sweeper)
    await this.#batch.close(new SteeringError('STEERING_STOPPED', 'steering was stopped'))
    try {
      await this.#nft.transact(deleteTableText(this.#spec.table))
    } finally {
      this.#nft.close()
    }
  }

  #add(change: Change, weight: number): Promise<void> {
    if (this.#stopped === undefined) return this.#batch.add(change, weight)
    return Promise.reject(new SteeringError('STEERING_STOPPED', 'steering was stopped'))
  }

  #check(update: FlowUpdate): { remove: string[]; set: Element[] } {
    const now = this.#now()
    checkRoom(update.set.length)
    return {
      remove: update.remove.map(flow => keyOf(checkFlow(flow))),
      set: update.set.map(flow => {
        const element = checkElement(flow, now)
        if (hopOf(this.#wanted.get(flow.owner), flow.family) === undefined) {
          throw new SteeringError('UNKNOWN_OWNER', `no owner ${flow.owner} that takes IPv${flow.family}`)
        }
        return element
      }),
    }
  }

  #sweep(): void {
    const idle = this.#built || this.#wanted.size === 0
    if (idle && this.#table.expired(this.#now()).length === 0) return
    // What fails now is tried again at the next sweep; until then the kernel forgets by itself.
    this.#add({ type: 'sweep' }, 1).catch(() => {})
  }

  /** One batch of changes, in order, as one transaction. */
  async #apply(changes: readonly Change[]): Promise<void> {
    const goal = this.#goalOf(changes)
    if (this.#built) {
      try {
        await this.#update(goal)
      } catch {
        this.#built = false
      }
    }
    if (!this.#built && changes.some(({ type }) => type !== 'read')) {
      await this.#rebuild(goal)
    }
    this.#commit(goal)
    for (const change of changes) if (change.type === 'read') change.done(await this.#read())
  }

  #goalOf(changes: readonly Change[]): Goal {
    const goal: Goal = { owners: this.#wanted, slots: this.#wantedSlots, flows: new Map() }
    for (const key of this.#table.expired(this.#now())) goal.flows.set(key, undefined)
    for (const change of changes) {
      if (change.type !== 'flows') continue
      const { all } = change
      if (all !== false) {
        const isReplaced = ({ by }: Element) => all === true || by === all.by
        for (const [key, element] of goal.flows) {
          if (element !== undefined && isReplaced(element)) goal.flows.delete(key)
        }
        for (const element of this.#table.elements()) {
          if (isReplaced(element) && !goal.flows.has(element.key)) goal.flows.set(element.key, undefined)
        }
      }
      for (const key of change.remove) goal.flows.set(key, undefined)
      for (const element of change.set) goal.flows.set(element.key, element)
    }
    this.#followOwners(goal)
    this.#checkSize(goal)
    return goal
  }

  /** Elements hold the owner's address: those of a changed owner are written again, those of none are removed. */
  #followOwners(goal: Goal): void {
    if (goal.owners !== this.#table.owners) {
      for (const element of this.#table.elements()) {
        const before = hopOf(this.#table.owners.get(element.owner), element.family)
        const after = hopOf(goal.owners.get(element.owner), element.family)
        if (before !== after && !goal.flows.has(element.key)) goal.flows.set(element.key, element)
      }
    }
    for (const [key, element] of goal.flows) {
      if (element === undefined) continue
      if (hopOf(goal.owners.get(element.owner), element.family) === undefined) goal.flows.set(key, undefined)
    }
  }

  #checkSize(goal: Goal): void {
    let size = this.#table.size
    for (const [key, element] of goal.flows) {
      size += (element === undefined ? 0 : 1) - (this.#table.get(key) === undefined ? 0 : 1)
    }
    if (size <= MAX_STEERED_FLOWS) return
    throw new SteeringError('STEERING_FULL', `more than ${MAX_STEERED_FLOWS} steered flows`)
  }

  async #update(goal: Goal): Promise<void> {
    const { owners, slots } = this.#table
    const isSame = this.#spec.kind === 'relay' || (goal.owners === owners && goal.slots === slots)
    const [gone, come] = isSame
      ? [[], []]
      : changes(ownerElements(this.#spec, owners), ownerElements(this.#spec, goal.owners))
    const [left, taken] = isSame
      ? [[], []]
      : changes(slotElements(this.#spec, this.#table), slotElements(this.#spec, goal))
    const stale: Element[] = []
    const fresh: FlowElement[] = []
    for (const [key, element] of goal.flows) {
      const present = this.#table.get(key)
      if (present !== undefined) stale.push(present)
      if (element !== undefined) fresh.push(withHop(element, goal.owners))
    }
    const text =
      hopElementsText(this.#spec, 'delete', 'owners', gone) +
      hopElementsText(this.#spec, 'add', 'owners', come) +
      hopElementsText(this.#spec, 'delete', 'slots', left) +
      hopElementsText(this.#spec, 'add', 'slots', taken) +
      deleteFlowsText(this.#spec, stale) +
      addFlowsText(this.#spec, fresh, this.#now())
    if (text === '') return
    // Their counts go with them.
    const lost = gone.length > 0 ? await this.#list() : undefined
    await this.#nft.transact(text)
    if (lost !== undefined) this.#before.addOwners(lost, new Set(gone.map(({ key }) => key)))
  }

  async #rebuild(goal: Goal): Promise<void> {
    // Where the table is gone, its counts are too; those of an earlier process are none of ours.
    const lost = this.#counting ? await this.#list().catch(() => new Totals()) : new Totals()
    await this.#nft.transact(this.#wholeText(goal))
    this.#before.add(lost)
    this.#built = true
    this.#counting = true
  }

  #wholeText(goal: Goal): string {
    const { kind } = this.#spec
    const flows: FlowElement[] = []
    for (const element of this.#table.elements()) {
      if (!goal.flows.has(element.key)) flows.push(withHop(element, goal.owners))
    }
    for (const element of goal.flows.values()) {
      if (element !== undefined) flows.push(withHop(element, goal.owners))
    }
    const owners = kind === 'relay' ? [] : [...ownerElements(this.#spec, goal.owners).values()]
    const slots = [...slotElements(this.#spec, goal).values()]
    return (
      tableText(this.#spec) +
      hopElementsText(this.#spec, 'add', 'owners', owners) +
      hopElementsText(this.#spec, 'add', 'slots', slots) +
      addFlowsText(this.#spec, flows, this.#now())
    )
  }

  #commit(goal: Goal): void {
    this.#table.setOwners(goal.owners, goal.slots)
    for (const [key, element] of goal.flows) {
      if (element === undefined) this.#table.remove(key)
      else this.#table.set(element)
    }
  }

  async #read(): Promise<Totals> {
    const totals = new Totals()
    totals.add(this.#before)
    try {
      totals.add(await this.#list())
    } catch (error) {
      // Somebody removed the table: it is built again at the next sweep.
      this.#built = false
      throw error
    }
    return totals
  }

  /** The kernel's own counts. Only the small objects are listed, never the flows. */
  async #list(): Promise<Totals> {
    const { table, kind } = this.#spec
    const listings = [await this.#nft.run(['-j', 'list', 'counters', 'table', 'netdev', table])]
    if (kind !== 'relay') {
      for (const family of familiesOf(this.#spec)) {
        listings.push(await this.#nft.run(['-j', 'list', 'map', 'netdev', table, `owners${family}`]))
      }
    }
    const totals = new Totals()
    for (const listing of listings) totals.parse(listing)
    return totals
  }
}

function withHop(element: Element, owners: ReadonlyMap<number, NextHop>): FlowElement {
  const hop = hopOf(owners.get(element.owner), element.family)
  if (hop === undefined) throw new Error(`element of an unknown owner ${element.owner}`)
  return { ...element, hop }
}

function ownerElements(spec: TableSpec, owners: ReadonlyMap<number, NextHop>): Map<string, HopElement> {
  return hopElements(spec, [...owners])
}

function slotElements(
  spec: TableSpec,
  { owners, slots }: Pick<SteeringTable, 'owners' | 'slots'>,
): Map<string, HopElement> {
  if (spec.spreads !== true) return new Map()
  return hopElements(
    spec,
    slots.map((owner, slot) => [slot, owners.get(owner)]),
  )
}

/** By family and key; where there is no address of a family, there is no element. */
function hopElements(
  spec: TableSpec,
  hops: readonly (readonly [number, NextHop | undefined])[],
): Map<string, HopElement> {
  const elements = new Map<string, HopElement>()
  for (const [key, next] of hops) {
    for (const family of familiesOf(spec)) {
      const hop = hopOf(next, family)
      if (hop !== undefined) elements.set(`${family} ${key}`, { family, key, hop })
    }
  }
  return elements
}

/** What is to be deleted of the one to make it the other, and what is to be added then. */
function changes(
  before: ReadonlyMap<string, HopElement>,
  after: ReadonlyMap<string, HopElement>,
): readonly [HopElement[], HopElement[]] {
  const differs =
    (other: ReadonlyMap<string, HopElement>) =>
    ([key, element]: [string, HopElement]) =>
      other.get(key)?.hop !== element.hop
  return [
    [...before].filter(differs(after)).map(([, element]) => element),
    [...after].filter(differs(before)).map(([, element]) => element),
  ]
}
