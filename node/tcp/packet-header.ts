/** The header of the packet that carries a segment: what whoever writes one takes from the segment and from its flow. */
import type { TcpHeader } from '../wire/emit.ts'
import type { Flow } from './tcb.ts'
import type { Transmission } from './transmission.ts'

/** Everything but addresses and ports. On the packet path: no copy of what is not used. */
export function setFields(header: TcpHeader, out: Transmission): void {
  header.ecn = out.ecn
  header.dscp = out.dscp
  header.ttl = out.ttl
  header.seq = out.seq
  header.ack = out.ack
  header.flags = out.flags
  header.window = out.window
  header.hasTimestamps = out.hasTimestamps
  header.tsVal = out.tsVal
  header.tsEcr = out.tsEcr
  header.mss = out.mss
  header.windowScale = out.windowScale
  header.sackPermitted = out.sackPermitted
  header.sackCount = out.sackCount
  for (let edge = 0; edge < 2 * out.sackCount; edge++) header.sackEdges[edge] = out.sackEdges[edge] as number
  header.payloadLength = out.payloadLength
  header.segmentSize = out.segmentSize
}

/** From our end of the flow to the other. */
export function setAddresses(header: TcpHeader, flow: Flow): void {
  header.family = flow.family
  header.src0 = flow.local0
  header.src1 = flow.local1
  header.src2 = flow.local2
  header.src3 = flow.local3
  header.dst0 = flow.remote0
  header.dst1 = flow.remote1
  header.dst2 = flow.remote2
  header.dst3 = flow.remote3
  header.srcPort = flow.localPort
  header.dstPort = flow.remotePort
}
