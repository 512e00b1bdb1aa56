/**
 * Another service on the machines of a cluster of ours, so that both have the same wires: an address beside the VIP, which the
 * gateway brings to the dispatcher's machine, or wherever a benchmark steers it.
 */
import type { ClusterState } from './local-cluster.ts'
import { inNamespace, run } from './process.ts'

export type Role = ClusterState['roles'][number]

export function membersOf(state: ClusterState, role: string): Role[] {
  return state.roles.filter(one => one.role === role)
}

export function dispatcherOf(state: ClusterState): Role {
  const [dispatcher] = membersOf(state, 'dispatcher')
  if (dispatcher === undefined) throw new Error('the cluster has no dispatcher')
  return dispatcher
}

/** From the client, by the way that it has to the VIP. */
export async function routeClient({ clientNamespace, vip }: ClusterState, to: string): Promise<void> {
  const route = await run(...inNamespace(clientNamespace, 'ip', ['-4', 'route', 'show', `${vip}/32`]))
  const via = /via (\S+)/.exec(route)?.[1]
  if (via === undefined) throw new Error('the client has no route to the service')
  await run(...inNamespace(clientNamespace, 'ip', ['route', 'add', `${to}/32`, 'via', via]))
}

/** Makes `to` an address of the dispatcher's machine, where a proxy is to answer. */
export async function serveAtDispatcher(state: ClusterState, to: string): Promise<void> {
  const { namespace, address } = dispatcherOf(state)
  await run(...inNamespace(namespace, 'ip', ['address', 'add', `${to}/32`, 'dev', 'lo']))
  await run(...inNamespace(state.gatewayNamespace, 'ip', ['route', 'add', `${to}/32`, 'via', address]))
}
