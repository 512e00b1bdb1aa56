/** Ends the cluster of a name on this machine, and removes what is left of one that did not end by itself. */
import { UpError } from './errors.ts'
import { removeLeftovers } from './leftovers.ts'
import { ended, isAlive, signal } from './processes.ts'
import { StateFolder } from './state.ts'

/** Roles get three seconds to end, and 200 namespaces take some more. */
const STOP_TIMEOUT_MS = 30_000

/** `stopped`: it ran; `cleaned`: only leftovers were there; `nothing`: not even those. Rejects with an UpError. */
export async function down(name: string, runFolder?: string): Promise<'stopped' | 'cleaned' | 'nothing'> {
  if (process.getuid?.() !== 0)
    throw new UpError('NOT_ROOT', 'only root can remove a cluster; run it with sudo')
  const folder = new StateFolder(name, runFolder)
  const state = folder.read()
  const ran = state !== undefined && isAlive(state.supervisor)
  if (ran) {
    signal(state.supervisor, 'SIGTERM')
    if (!(await ended(state.supervisor, STOP_TIMEOUT_MS))) {
      signal(state.supervisor, 'SIGKILL')
      await ended(state.supervisor, STOP_TIMEOUT_MS)
    }
  }
  const left = await removeLeftovers(folder, name)
  if (ran) return 'stopped'
  return left ? 'cleaned' : 'nothing'
}
