/** Where a process listens for links, as it says itself: `host:port`, an IPv6 host in brackets. */
export interface PeerAddress {
  readonly host: string
  readonly port: number
}

const PEER_ADDRESS = /^(?:\[([0-9a-f:.]+)\]|([\w.-]+)):(\d{1,5})$/i
const MAX_PORT = 65_535

/** Undefined for what nobody could dial. */
export function parsePeerAddress(text: string): PeerAddress | undefined {
  const [, v6, name, digits] = PEER_ADDRESS.exec(text) ?? []
  const host = v6 ?? name
  const port = Number(digits)
  return host === undefined || port === 0 || port > MAX_PORT ? undefined : { host, port }
}
