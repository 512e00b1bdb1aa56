/**
 * What the processes of a cluster have to agree on before they are linked: who has which owner id, and where the dispatchers are. What
 * comes after (who owns which connection, what nodes hold, birth records, configuration, events) goes over their links, told by
 * those who know it to every dispatcher; see ARCHITECTURE.md. Nothing on the packet path waits for a coordinator.
 */
import type { CoordinationReport } from '../admin/api.ts'

/** An owner id that is this process's for as long as it runs. */
export interface Lease {
  readonly id: number
  /** Names this run (`Hello.incarnation`): greater than that of every run that had the id before. */
  readonly run: string
  /** Whether packets may be sent under the id now; undefined: always. */
  readonly permits: ((now: number) => boolean) | undefined
  /** A dispatcher refuses our link because of a later run of the id. */
  suspect(): void
}

export interface Coordinator {
  /** Takes `id`, or any where it is undefined. Rejects with a CoordinationError. To be called once at most. */
  lease(id: number | undefined): Promise<Lease>
  /** Says whom this process has to keep control links to (host:port), once it is known, and at every change. */
  watch(dial: (addresses: readonly string[]) => void): void
  report(): CoordinationReport
  /** Gives the id back. */
  close(): Promise<void>
}
