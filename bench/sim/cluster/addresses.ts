/** Where owners are in the network of a simulated cluster, and flows as its gateway names them. */
import type { Flow } from '../../../clone/flow.ts'
import type { FlowKey, NextHop } from '../../../dispatcher/steering/steering.ts'
import type { Vips } from '../../../node/stack/vips.ts'
import type { Flow as TcpFlow } from '../../../node/tcp/tcb.ts'
import { formatAddress } from '../../../node/wire/address.ts'

export function hopTo(owner: number): NextHop {
  const number = 10 + owner
  return { owner, address: `10.78.0.${number}`, address6: `fd78::${number.toString(16)}` }
}

export function flowKey(flow: Flow): FlowKey {
  const { family, remote0, remote1, remote2, remote3, remotePort } = flow
  return { family, address: formatAddress(remote0, remote1, remote2, remote3), port: remotePort }
}

/** From a client’s port to the virtual address. */
export function flowTo(vips: Vips, family: 4 | 6, port: number, remotePort: number): TcpFlow {
  const vip = family === 4 ? vips.v4 : (vips.v6 ?? vips.v4)
  const local = family === 4 ? [0, 0, 0xffff, 0x0a090001] : [0xfd09 << 16, 0, 0, 1]
  return {
    family,
    local0: local[0] ?? 0,
    local1: local[1] ?? 0,
    local2: local[2] ?? 0,
    local3: local[3] ?? 0,
    localPort: port,
    remote0: vip.word0,
    remote1: vip.word1,
    remote2: vip.word2,
    remote3: vip.word3,
    remotePort,
  }
}
