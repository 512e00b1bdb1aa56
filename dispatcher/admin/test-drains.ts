/** The part of a test's cluster that is about draining: a node with three connections, two of which move at once. */
import type { DrainReport, DrainRequest } from './api.ts'
import { AdminError } from './errors.ts'

function reportOf(state: DrainReport['state']): DrainReport {
  const left = state === 'drained' ? 0 : 1
  const remaining = state === 'expired' ? [{ connection: 9, code: 'TIMEOUT' }] : []
  return { node: 1, state, total: 3, left, shifted: 3 - left, elapsedMs: 12, remaining }
}

export class TestDrains {
  readonly drains: DrainRequest[] = []
  #report: DrainReport | undefined = undefined

  /** Its third connection never leaves node3, and the others' at the second look. */
  async drain(request: DrainRequest): Promise<DrainReport> {
    this.drains.push(request)
    if (request.node === 'node9') throw new AdminError('UNKNOWN_OWNER', 'there is no node node9')
    this.#report = reportOf(request.node === 'node3' ? 'expired' : 'draining')
    return this.#report
  }

  async drained(node: string): Promise<DrainReport> {
    if (this.#report === undefined) throw new AdminError('NOT_DRAINING', `${node} does not drain`)
    if (this.#report.state === 'draining') this.#report = reportOf('drained')
    return this.#report
  }

  async undrain(node: string): Promise<DrainReport> {
    const report = await this.drained(node)
    this.#report = undefined
    return { ...report, state: 'cancelled' }
  }
}
