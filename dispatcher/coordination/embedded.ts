/**
 * Coordination without an engine, for one machine and small clusters: ids and the dispatchers' addresses are what each process was
 * told at its start, and who is there is what the dispatchers hold in memory (`members.ts`), by their links.
 */
import { createIncarnation } from '../../node/control/hello.ts'
import type { CoordinationReport } from '../admin/api.ts'
import type { Coordinator, Lease } from './coordinator.ts'

export class EmbeddedCoordinator implements Coordinator {
  readonly #dialed: readonly string[]

  constructor(dialed: readonly string[]) {
    this.#dialed = dialed
  }

  async lease(id: number | undefined): Promise<Lease> {
    if (id === undefined) throw new TypeError('without an engine every process is told its owner id')
    const run = createIncarnation(Date.now(), Math.random)
    return { id, run, permits: undefined, suspect: () => {} }
  }

  watch(dial: (addresses: readonly string[]) => void): void {
    dial(this.#dialed)
  }

  report(): CoordinationReport {
    return { engine: 'embedded', awayMs: null }
  }

  async close(): Promise<void> {}
}
