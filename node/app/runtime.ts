/**
 * What a node offers to the applications that run in its process. It stands under a well-known symbol, so that an
 * application finds it from whichever copy of the package it imports.
 */
import type { AppListener } from './app-connections.ts'

export interface OwnerName {
  readonly id: number
  readonly name: string
}

export interface Runtime {
  /** Owner id of this node. */
  readonly id: number
  readonly vip: string
  readonly vip6: string | undefined
  /** Every node of the cluster, this one included. */
  owners(): readonly OwnerName[]
  /** False where the port is taken. */
  open(listener: AppListener): boolean
  close(listener: AppListener): void
  /** Sends octets to the listeners of this port on another node; false when they were surely not sent. */
  tell(port: number, to: number, octets: Uint8Array): boolean
}

const KEY = Symbol.for('gyre.runtime')

export function currentRuntime(): Runtime | undefined {
  return (globalThis as Record<symbol, unknown>)[KEY] as Runtime | undefined
}

export function provideRuntime(runtime: Runtime): void {
  ;(globalThis as Record<symbol, unknown>)[KEY] = runtime
}
