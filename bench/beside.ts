/**
 * Another service on the machines of a cluster of ours, so that both have the same wires: an address beside the VIP, by the way
 * that packets for the service take, without its steering.
 */
import type { ClusterState } from './local-cluster.ts'
import { inNamespace, run } from './process.ts'

export type Role = ClusterState['roles'][number]

export function membersOf({ roles }: ClusterState, role: string): Role[] {
  return roles.filter(one => one.role === role)
}

/** The first of them. */
export function memberOf(state: ClusterState, role: string): Role {
  const [member] = membersOf(state, role)
  if (member === undefined) throw new Error(`the cluster has no ${role}`)
  return member
}

/** Makes `to` an address of a machine. */
export async function answerAt({ namespace }: Pick<Role, 'namespace'>, to: string): Promise<void> {
  await run(...inNamespace(namespace, 'ip', ['address', 'add', `${to}/32`, 'dev', 'lo']))
}

/** From the client, by the way that it has to the VIP. */
export async function routeClient({ clientNamespace, vip }: ClusterState, to: string): Promise<void> {
  const route = await run(...inNamespace(clientNamespace, 'ip', ['-4', 'route', 'show', `${vip}/32`]))
  const via = /via (\S+)/.exec(route)?.[1]
  if (via === undefined) throw new Error('the client has no route to the service')
  await run(...inNamespace(clientNamespace, 'ip', ['route', 'add', `${to}/32`, 'via', via]))
}

/** From the client to a member's machine. */
export async function routeTo(
  state: ClusterState,
  { address }: Pick<Role, 'address'>,
  to: string,
): Promise<void> {
  await run(...inNamespace(state.gatewayNamespace, 'ip', ['route', 'add', `${to}/32`, 'via', address]))
  await routeClient(state, to)
}

/** Both: another server of a member's machine can be reached at `to`. */
export async function serveAt(state: ClusterState, member: Role, to: string): Promise<void> {
  await answerAt(member, to)
  await routeTo(state, member, to)
}
