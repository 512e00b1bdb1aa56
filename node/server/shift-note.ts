/** A message of the shift protocol in words, for the remarks of a recording. */
import { decodeShiftMessage } from '../../shift/messages.ts'
import { SHIFT_PROTOCOL } from '../stack/owner.ts'

/** Gives `note` what the envelope from owner to owner says; nothing for one of another protocol. */
export function noteShift(
  note: (text: string) => void,
  from: number,
  to: number,
  envelope: readonly unknown[],
): void {
  if (envelope[0] !== SHIFT_PROTOCOL) return
  const message = decodeShiftMessage(envelope.slice(1))
  if (message === undefined) return
  const { type, connection, epoch } = message
  const more = type === 'REFUSED' ? ` reason=${message.reason}` : ''
  note(`${type} connection=${connection} epoch=${epoch} from=${from} to=${to}${more}`)
}
