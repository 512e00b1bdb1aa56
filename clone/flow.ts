/**
 * A flow as it travels between owners: the client's address and port, and the port of the service. The local
 * address is the VIP of the flow's family, which every owner knows.
 */

export interface Flow {
  readonly family: 4 | 6
  readonly remote0: number
  readonly remote1: number
  readonly remote2: number
  readonly remote3: number
  readonly remotePort: number
  readonly localPort: number
}

export function exportFlow(flow: Flow): number[] {
  return flow.family === 4
    ? [4, flow.remote3, flow.remotePort, flow.localPort]
    : [6, flow.remote0, flow.remote1, flow.remote2, flow.remote3, flow.remotePort, flow.localPort]
}

const IPV4_MAPPED = 0xffff

export function importFlow(plain: unknown): Flow | undefined {
  if (!Array.isArray(plain)) return undefined
  if (plain[0] === 4 && plain.length === 4) {
    const [, remote3, remotePort, localPort] = plain
    if (!isInt32(remote3) || !isPort(remotePort) || !isPort(localPort)) return undefined
    return {
      family: 4,
      remote0: 0,
      remote1: 0,
      remote2: IPV4_MAPPED,
      remote3,
      remotePort,
      localPort,
    }
  }
  if (plain[0] === 6 && plain.length === 7) {
    const [, remote0, remote1, remote2, remote3, remotePort, localPort] = plain
    if (!isInt32(remote0) || !isInt32(remote1) || !isInt32(remote2) || !isInt32(remote3)) return undefined
    if (!isPort(remotePort) || !isPort(localPort)) return undefined
    return {
      family: 6,
      remote0,
      remote1,
      remote2,
      remote3,
      remotePort,
      localPort,
    }
  }
  return undefined
}

function isInt32(value: unknown): value is number {
  return typeof value === 'number' && (value | 0) === value
}

function isPort(value: unknown): value is number {
  return isInt32(value) && value > 0 && value < 65_536
}
