/** Who has an owner id: the value of its register. There is one for each id that was ever given, and it stays when it is given back. */

export interface Holder {
  /** Names the run of the process; a later holder's compares greater. */
  readonly run: string
  readonly name: string
  readonly role: 'dispatcher' | 'node'
  readonly released: boolean
}

const RUN = /^[0-9a-f]{16}$/
/** What an operator is shown of a name that somebody wrote there. */
const MAX_NAME_CHARS = 64

export function leaseKey(id: number): string {
  return `owner.${id}`
}

export function formatHolder(holder: Holder): string {
  return JSON.stringify(holder)
}

/** Undefined where it is none of ours. */
export function parseHolder(value: string): Holder | undefined {
  try {
    const { run, name, role, released } = JSON.parse(value) as Record<string, unknown>
    if (typeof run !== 'string' || !RUN.test(run) || typeof name !== 'string') return undefined
    if (role !== 'dispatcher' && role !== 'node') return undefined
    return { run, name: name.slice(0, MAX_NAME_CHARS), role, released: released === true }
  } catch {
    return undefined
  }
}
