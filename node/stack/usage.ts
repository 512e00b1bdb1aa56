/** How full every table is that one owner's connections share, each beside its bound. */
import { MAX_DORMANT } from '../../shift/incoming.ts'
import { MAX_OUTGOING } from '../../shift/outgoing.ts'
import { MAX_EPOCHS } from './epochs.ts'
import type { Usage } from './limits.ts'
import type { Owner } from './owner.ts'
import type { OwnerShifts } from './owner-shifts.ts'
import { MAX_ENTRIES_PER_ITEM } from './timer-queue.ts'

/** What only the owner itself can count. */
interface Counted {
  readonly halfOpen: number
  readonly timeWait: number
  readonly heldOctets: number
  readonly timers: number
  readonly dirty: number
}

export function usageOf(owner: Owner, counted: Counted, shifts: OwnerShifts): Record<string, Usage> {
  const { limits } = owner.config
  const { halfOpen, timeWait, heldOctets, timers, dirty } = counted
  return {
    connections: { used: owner.connections, max: limits.connections },
    halfOpen: { used: halfOpen, max: limits.halfOpen },
    timeWait: { used: timeWait, max: limits.timeWait },
    heldOctets: { used: heldOctets, max: limits.heldOctets },
    carriedOctets: { used: shifts.carriedOctets, max: limits.heldOctets },
    forwards: { used: owner.forwards.size, max: limits.forwards },
    epochs: { used: owner.epochs.size, max: MAX_EPOCHS },
    timers: { used: timers, max: MAX_ENTRIES_PER_ITEM * limits.connections },
    dirty: { used: dirty, max: limits.connections },
    outgoingShifts: { used: shifts.outgoing.size, max: MAX_OUTGOING },
    incomingShifts: { used: shifts.incoming.size, max: MAX_DORMANT },
  }
}
