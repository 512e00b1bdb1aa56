/**
 * What a cluster left behind that did not end by itself: a supervisor that was killed leaves its state file, its network
 * and perhaps processes. Nothing of a cluster that runs is touched.
 */
import { UpError } from './errors.ts'
import { namespacesNamed, processesIn, removeNetwork } from './namespaces.ts'
import { isAlive, terminate } from './processes.ts'
import type { StateFolder } from './state.ts'
import { hostDevice } from './topology.ts'

/** Their supervisor is gone, so they are ending already. */
const GRACE_MS = 500

/** Returns whether there was anything. Throws an UpError of code NAME_IN_USE where the cluster runs. */
export async function removeLeftovers(folder: StateFolder, name: string): Promise<boolean> {
  const state = folder.read()
  if (state !== undefined && isAlive(state.supervisor)) {
    const { pid } = state.supervisor
    throw new UpError(
      'NAME_IN_USE',
      `a cluster named ${name} runs already (pid ${pid}); choose another --name`,
    )
  }
  if (!folder.discard(state)) throw new UpError('NAME_IN_USE', `a cluster named ${name} was started just now`)
  const namespaces = new Set([...(state?.namespaces ?? []), ...(await namespacesNamed(name))])
  if (state === undefined) {
    if (namespaces.size === 0) return false
    await checkEmpty([...namespaces])
  }
  await Promise.all((state?.roles ?? []).map(role => terminate(role, GRACE_MS)))
  await removeNetwork(state?.hostDevice || hostDevice(name), [...namespaces])
  return true
}

/** Without a state file we only have names to go by, so what somebody uses is not ours to remove. */
async function checkEmpty(namespaces: readonly string[]): Promise<void> {
  for (const namespace of namespaces) {
    const [pid] = await processesIn(namespace)
    if (pid === undefined) continue
    throw new UpError(
      'NAME_IN_USE',
      `the namespace ${namespace} is in use by process ${pid}; choose another --name`,
    )
  }
}
