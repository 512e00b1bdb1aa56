/**
 * Takes a variant from the node that has it, a piece at a time: what was asked for last names the next piece, so the
 * other side keeps no state. Sans-IO: `took` says what to ask for next, or that all is there.
 */
import { MAX_MADE_OCTETS } from './made-limits.ts'
import type { VariantMessage } from './variant-messages.ts'

type Piece = Extract<VariantMessage, { type: 'PIECE' }>

export class VariantDownload {
  /** Of the variant; '' until the first piece has come, where any is welcome. */
  tag: string
  /** Of the file that it was made of. */
  fileTag = ''
  offset = 0
  octets: Uint8Array | undefined = undefined

  constructor(tag: string) {
    this.tag = tag
  }

  /** 'foreign': no piece of what was asked for, as when a node was started anew in between. */
  took(piece: Piece): 'more' | 'whole' | 'foreign' {
    const { total, tag, octets } = piece
    if (tag === '' || (this.tag !== '' && tag !== this.tag) || total > MAX_MADE_OCTETS) return 'foreign'
    if (octets.length === 0 || (this.octets !== undefined && this.octets.length !== total)) return 'foreign'
    if (this.offset + octets.length > total) return 'foreign'
    this.octets ??= new Uint8Array(total)
    this.octets.set(octets, this.offset)
    this.offset += octets.length
    this.tag = tag
    this.fileTag = piece.fileTag
    return this.offset === total ? 'whole' : 'more'
  }
}
