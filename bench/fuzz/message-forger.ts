/**
 * Forged messages of the protocols on control links: what was really said before, with other connections, epochs and flows in
 * it, values changed, octets changed, or said once more. For a peer that has been taken over: it knows the forms.
 */
import { exportFlow } from '../../clone/flow.ts'
import { pack, unpackEach } from '../../node/control/codec.ts'
import type { Connection, Forward } from '../../node/stack/connection.ts'
import { OWNER_PROTOCOL, SHIFT_PROTOCOL } from '../../node/stack/owner.ts'
import type { Random } from '../sim/network/random.ts'
import { mutateOctets, mutateValue } from './octet-mutator.ts'

export type Envelope = readonly unknown[]

/** How much of a message is another than it was. */
const SHARES = [0, 0.002, 0.01, 0.05]
/** Where a message of the shift protocol, and of an owner, has its flow, behind the two numbers of connection and epoch. */
const FLOW_AT = 4
const MAX_EPOCH = Number.MAX_SAFE_INTEGER

/** The messages that arrive where `envelope` was changed and sent: none where the octets are none any more. */
export function forge(
  envelope: Envelope,
  known: readonly (Connection | Forward)[],
  random: Random,
): readonly unknown[] {
  const aimed = random.chance(0.6) ? aim(envelope, known, random) : envelope
  const octets = pack(mutateValue(aimed, random, random.pick(SHARES)))
  if (octets === undefined) return []
  const sent = random.chance(0.15) ? mutateOctets(octets, octets, random) : octets
  const messages: unknown[] = []
  unpackEach(sent, message => {
    messages.push(message)
    return true
  })
  return messages
}

/** The same message about a connection that there is. */
function aim(envelope: Envelope, known: readonly (Connection | Forward)[], random: Random): Envelope {
  const [protocol, tag] = envelope
  if (known.length === 0 || (protocol !== SHIFT_PROTOCOL && protocol !== OWNER_PROTOCOL)) return envelope
  const copy = [...envelope]
  const subject = random.pick(known)
  const other = random.pick(known)
  const epoch = random.pick([0, subject.epoch, subject.epoch + 1, subject.epoch + 2, MAX_EPOCH])
  if (protocol === OWNER_PROTOCOL && (tag === 2 || tag === 3)) {
    copy[2] = [[subject.id, epoch, exportFlow(random.chance(0.7) ? subject : other), true, 'GET /']]
    return copy
  }
  if (protocol === OWNER_PROTOCOL && (tag === 0 || tag === 1)) return copy
  copy[2] = subject.id
  copy[3] = epoch
  if (Array.isArray(copy[FLOW_AT]) && random.chance(0.5)) {
    copy[FLOW_AT] = exportFlow(random.chance(0.6) ? subject : other)
  }
  return copy
}
