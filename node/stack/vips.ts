/** The virtual addresses that every owner answers from: one for each family, and the ports served on them. */
import { type Address, parseAddress } from '../wire/address.ts'
import type { Segment } from '../wire/segment.ts'

export class Vips {
  readonly v4: Address
  readonly v6: Address | undefined
  readonly port: number

  constructor(v4: Address, v6: Address | undefined, port: number) {
    this.v4 = v4
    this.v6 = v6
    this.port = port
  }

  /** Throws a RangeError that names the bad value. */
  static parse(v4: string, v6: string | undefined, port: number): Vips {
    const address4 = parseAddress(v4)
    if (address4?.family !== 4) throw new RangeError(`not an IPv4 address: ${v4}`)
    const address6 = v6 === undefined ? undefined : parseAddress(v6)
    if (v6 !== undefined && address6?.family !== 6) throw new RangeError(`not an IPv6 address: ${v6}`)
    return new Vips(address4, address6, port)
  }

  isTo({ family, dst0, dst1, dst2, dst3 }: Segment): boolean {
    return this.has(family, dst0, dst1, dst2, dst3)
  }

  /** No packet comes from our own addresses: whoever says so would have us answer ourselves. */
  isFrom({ family, src0, src1, src2, src3 }: Segment): boolean {
    return this.has(family, src0, src1, src2, src3)
  }

  has(family: 4 | 6, word0: number, word1: number, word2: number, word3: number): boolean {
    const vip = family === 4 ? this.v4 : this.v6
    return (
      vip !== undefined &&
      vip.word3 === word3 &&
      vip.word2 === word2 &&
      vip.word1 === word1 &&
      vip.word0 === word0
    )
  }
}
