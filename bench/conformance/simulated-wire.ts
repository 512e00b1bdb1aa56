/**
 * Connections of the suite to a simulated cluster that serves real files: time is virtual, and stands still while a
 * file is read.
 */
import { DEFAULT_HTTP_SETTINGS } from '../../node/http/http-settings.ts'
import type { Resources } from '../../node/server/resources.ts'
import type { ServingSettings } from '../../node/server/settings.ts'
import { Sites } from '../../node/server/sites.ts'
import type { Client } from '../sim/cluster/client.ts'
import { Cluster } from '../sim/cluster/cluster.ts'
import { delay } from '../sim/network/delay.ts'
import { chain } from '../sim/network/element.ts'
import { segment } from '../sim/network/segment.ts'
import type { Wire } from './run.ts'

const CACHE_OCTETS = 16 * 1024 * 1024
/** Virtual ms between two looks at the outside world. */
const STEP_MS = 20
/** Of one cluster: its invariants are checked for all of them at every event, for as long as they are in TIME-WAIT. */
const MAX_CONNECTIONS = 20
/** What is left of a wait below this is rounding. */
const MIN_STEP_MS = 0.001

export class SimulatedServer {
  readonly #create: (seed: number) => Cluster
  #cluster: Cluster
  #connections = 0
  #shifts = 0
  /** Whether connections move, again and again, while they are used. */
  readonly #shifting: boolean
  readonly #loading: () => number

  private constructor(create: (seed: number) => Cluster, shifting: boolean, loading: () => number) {
    this.#create = create
    this.#cluster = create(1)
    this.#shifting = shifting
    this.#loading = loading
  }

  static async open(root: string, shifting: boolean): Promise<SimulatedServer> {
    // The files are asked about their changes in real time.
    const serving: ServingSettings = {
      sites: [{ name: '', hosts: [], root, http: DEFAULT_HTTP_SETTINGS }],
      unknownHost: 'default',
      digest: '',
    }
    const real = await Sites.open(serving, CACHE_OCTETS, () => performance.now())
    let loading = 0
    const counted = <Args extends unknown[]>(done: (...args: Args) => void) => {
      loading++
      return (...args: Args) => {
        loading--
        done(...args)
      }
    }
    const resources: Resources = {
      store: real.store,
      find: head => real.find(head, performance.now()),
      context: head => real.context(head),
      pathOf: head => real.pathOf(head),
      read: (object, offset, done) => real.read(object, offset, counted(done)),
      heldAs: path => real.heldAs(path),
      load: (path, done) => real.load(path, counted(done)),
      loadVersion: (path, etag, done, from) => real.loadVersion(path, etag, counted(done), from),
    }
    const wan = () => chain([segment(1_500), delay(3)])
    const create = (seed: number) => new Cluster({ seed, served: resources, wan })
    return new SimulatedServer(create, shifting, () => loading)
  }

  /** Changes of owner so far, the dispatcher's first one of each connection among them. */
  get shifts(): number {
    return this.#cluster.owners().reduce((sum, owner) => sum + owner.counters.adopted, this.#shifts)
  }

  connect(): Wire & { finish(): void } {
    if (++this.#connections % MAX_CONNECTIONS === 0) {
      this.#shifts = this.shifts
      this.#cluster = this.#create(this.#connections)
    }
    const client = this.#cluster.client({ raw: true })
    this.#cluster.runUntil(() => client.tcb.state === 'ESTABLISHED', 1_000)
    return {
      write: text => client.write(text),
      finish: () => client.finish(),
      received: () => client.transcript,
      ended: () => client.finished || client.ended,
      wasReset: () => client.resets > 0,
      wait: (done, ms) => this.#wait(client, done, ms),
    }
  }

  async #wait(client: Client, done: () => boolean, ms: number): Promise<boolean> {
    const sim = this.#cluster
    const until = sim.now + ms
    while (!done() && until - sim.now > MIN_STEP_MS) {
      while (this.#loading() > 0) await new Promise(resolve => setImmediate(resolve))
      const { random } = sim.world
      const step = Math.min(this.#shifting ? 1 + random.int(4) : STEP_MS, until - sim.now)
      const end = sim.now + step
      if (!sim.runUntil(done, step)) sim.run(end - sim.now)
      if (this.#shifting) sim.shift(client, 1 + random.int(sim.nodeCount))
    }
    return done()
  }
}
