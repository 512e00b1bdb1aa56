/** The client of a connection, for people. */
import type { Flow } from '../../clone/flow.ts'
import { formatAddress } from '../wire/address.ts'

export function addressText({ remote0, remote1, remote2, remote3 }: Flow): string {
  return formatAddress(remote0, remote1, remote2, remote3)
}

/** `host:port`, an IPv6 host in brackets. */
export function clientText(flow: Flow): string {
  const host = addressText(flow)
  return flow.family === 4 ? `${host}:${flow.remotePort}` : `[${host}]:${flow.remotePort}`
}
