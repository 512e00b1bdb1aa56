/**
 * What a node, or another dispatcher, says of itself in its hello. Any member may say anything, and one with other settings than ours does so in good
 * faith; what it says goes on to all gateways and nodes, so that one wrong address would be everybody's.
 */
import { LinkError } from '../node/control/errors.ts'
import type { Hello } from '../node/control/hello.ts'
import { parsePeerAddress } from '../node/control/peer-address.ts'
import type { Introduced } from './members.ts'
import { checkOwners } from './steering/steering-table.ts'

/** Tags `host:port` of a node's control links among its capabilities. */
const CONTROL = 'control='

/** The peer, or why it cannot be one of ours. */
export function introduced(hello: Hello, ownerIdBits: number): Introduced | LinkError {
  const { role, ownerId, name, incarnation, addresses, capabilities } = hello
  // Nobody dials a dispatcher by what it says here.
  const isDispatcher = role === 'dispatcher'
  const tagged = capabilities.find(capability => capability.startsWith(CONTROL))?.slice(CONTROL.length)
  const control = isDispatcher ? '' : tagged
  const [address, address6] = addresses
  if ((role !== 'node' && !isDispatcher) || control === undefined || address === undefined) {
    return new LinkError('HELLO_INVALID', `a ${role} without the addresses of a node`)
  }
  // Every other node dials what this one says.
  if (!isDispatcher && parsePeerAddress(control) === undefined) {
    return new LinkError('HELLO_INVALID', `${name} cannot be a node here: nobody could dial ${control}`)
  }
  try {
    checkOwners([{ owner: ownerId, address, address6 }], ownerIdBits)
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    return new LinkError('HELLO_INVALID', `${name} cannot be a ${role} here: ${why}`, cause)
  }
  return { id: ownerId, name, address, address6, control, incarnation }
}
