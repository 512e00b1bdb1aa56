/** The coordinator that a role was told to use. */
import { formatEndpoint } from '../flags.ts'
import type { Endpoint, RoleOptions } from '../options.ts'
import type { Coordinator } from './coordinator.ts'
import { EmbeddedCoordinator } from './embedded.ts'
import { EngineCoordinator, type Participant } from './engine-coordinator.ts'
import { engineSecrets } from './engine-options.ts'

/** Of a process whose owner id is another's by now. */
const LOST_STATUS = 3

/** Rejects with a CoordinationError, or waits, as long as there is no engine. */
export async function openCoordinator(
  options: Pick<RoleOptions, 'cluster' | 'name' | 'ownerIdBits' | 'nats' | 'plainLinks'>,
  role: Participant['role'],
  /** Whom to dial, where there is no engine that knows. */
  dialed: readonly Endpoint[],
  control?: Endpoint,
): Promise<Coordinator> {
  const { cluster, name, ownerIdBits, nats, plainLinks = false } = options
  if (nats === undefined) return new EmbeddedCoordinator(dialed.map(formatEndpoint))
  const secrets = await engineSecrets(nats, plainLinks)
  // Here, because a role without an engine has no need of its client.
  const { NatsStore } = await import('./nats-store.ts')
  const store = await NatsStore.open(nats, secrets, cluster, `gyre ${role} ${name}`, say)
  const self = {
    role,
    name,
    ownerIdBits,
    control: control === undefined ? undefined : formatEndpoint(control),
  }
  return new EngineCoordinator(store, self, {
    now: () => performance.now(),
    say,
    // At once, and with no packet more: whoever supervises it starts another run, with an id of its own.
    lost: ({ message }) => {
      say(`${message}: this run ends`)
      process.exit(LOST_STATUS)
    },
  })
}

function say(text: string): void {
  process.stderr.write(`${text}\n`)
}
