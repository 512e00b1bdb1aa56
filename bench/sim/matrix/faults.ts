/**
 * What can go wrong in a shift, and what must then become of the connection: each message of the protocol lost, or the link
 * broken under it; the source or the target dead at each step; a gateway that takes nothing; decisions at the same time.
 * A connection may be lost only with the process that owned it. That is the source up to COMMIT and the target from there
 * on; one that dies with COMMIT on the way leaves nobody who could know.
 */
import { decodeOwnerMessage } from '../../../node/stack/messages.ts'
import { OWNER_PROTOCOL, SHIFT_PROTOCOL } from '../../../node/stack/owner.ts'
import { decodeShiftMessage } from '../../../shift/messages.ts'
import { COMMIT_REPEAT_MS } from '../../../shift/outgoing.ts'
import type { Client } from '../cluster/client.ts'
import type { Cluster } from '../cluster/cluster.ts'

/** Of a broken control link. */
const LINK_BACK_MS = 20
/** The invariant of every cell: so much longer than in the unmoved run may nothing take. */
export const MAX_STALL_MS = 50
/** The client repeats what a dead owner was sent (RFC 6298), as it would have to if the network had lost it. */
const CLIENT_RTO_MS = 1_000

export interface Hop {
  /** That the hop begins. */
  readonly epoch: number
  readonly sim: Cluster
  readonly client: Client
  readonly from: number
  readonly to: number
}

export interface Kind {
  readonly timestamps: boolean
  readonly mode: 'shift' | 'clone'
  readonly atDispatcher: boolean
}

export interface Fault {
  readonly name: string
  readonly becomes: 'moved' | 'stayed' | 'lost'
  /** A process ends. */
  readonly kills: boolean
  /** More than `MAX_STALL_MS` where it is given, beyond what the control run shows. */
  readonly stallMs: number
  isPossible(kind: Kind): boolean
  /** Called just before the shift from `from` to `to`. */
  arrange(hop: Hop): void
}

const ALWAYS: Fault['isPossible'] = () => true
/** The kernel is told of a client without timestamps, by a node through the dispatcher. */
const STEERED = ({ timestamps, mode, atDispatcher }: Kind) => !timestamps && mode === 'shift' && !atDispatcher
const NOT_STEERED = (kind: Kind) => kind.timestamps || kind.mode === 'clone'

type Step = readonly [type: string, when: 'sent' | 'delivered']

/** Whether the envelope holds a message of the type; of an earlier change of owner it is not. */
function isOf([protocol, ...plain]: readonly unknown[], type: string, epoch: number): boolean {
  const message = protocol === SHIFT_PROTOCOL ? decodeShiftMessage(plain) : undefined
  if (message !== undefined) return message.type === type && message.epoch === epoch
  return protocol === OWNER_PROTOCOL && decodeOwnerMessage(plain)?.type === type
}

/** Once, when the first message of that type is sent, or delivered; false from `act` loses it. */
function atStep({ sim, epoch }: Hop, [type, when]: Step, act: () => boolean): void {
  const at = (moment: 'sent' | 'delivered', envelope: readonly unknown[]) => {
    if (moment !== when || !isOf(envelope, type, epoch)) return true
    sim.watch = undefined
    return act()
  }
  sim.watch = {
    sent: (_from, _to, envelope) => at('sent', envelope),
    delivered: (_from, _to, envelope) => void at('delivered', envelope),
  }
}

/** Once; what is repeated gets through. */
function lost(type: string, isPossible = ALWAYS, stallMs = MAX_STALL_MS): Fault {
  return {
    name: `${type} lost`,
    becomes: 'moved',
    kills: false,
    stallMs,
    isPossible,
    arrange: hop => atStep(hop, [type, 'sent'], () => false),
  }
}

function broken(type: string, becomes: Fault['becomes'], stallMs = MAX_STALL_MS): Fault {
  return {
    name: `link broken under ${type}`,
    becomes,
    kills: false,
    stallMs,
    isPossible: ALWAYS,
    arrange: hop =>
      atStep(hop, [type, 'sent'], () => {
        hop.sim.link(hop.from, hop.to).cut(LINK_BACK_MS)
        return false
      }),
  }
}

function dies(
  who: 'source' | 'target',
  step: Step,
  becomes: Fault['becomes'],
  isPossible: Fault['isPossible'] = ALWAYS,
  stallMs = MAX_STALL_MS,
): Fault {
  return {
    name: `${who} dies when ${step[0]} is ${step[1]}`,
    becomes,
    kills: true,
    stallMs,
    isPossible,
    arrange: hop =>
      atStep(hop, step, () => {
        const { sim, from, to } = hop
        // As soon as the call under way is over; what it sent is on its way then, and lost if it is a message.
        sim.world.scheduler.after(0, () => sim.kill(who === 'source' ? from : to))
        return true
      }),
  }
}

const DRAINING: Fault = {
  name: 'target drains, REFUSED lost',
  becomes: 'stayed',
  kills: false,
  // It may be its COMMIT that is refused, and comes once more.
  stallMs: COMMIT_REPEAT_MS + MAX_STALL_MS,
  isPossible: ALWAYS,
  arrange: hop => {
    hop.sim.node(hop.to).site.draining = true
    atStep(hop, ['REFUSED', 'sent'], () => false)
  },
}

const GATEWAY: Fault = {
  name: 'gateway unreachable',
  becomes: 'stayed',
  kills: false,
  stallMs: MAX_STALL_MS,
  isPossible: STEERED,
  arrange: ({ sim }) => {
    sim.gatewayUp = false
  },
}

const AT_ONCE: Fault = {
  name: 'both ends decide at once',
  becomes: 'moved',
  kills: false,
  stallMs: MAX_STALL_MS,
  isPossible: ({ atDispatcher }) => !atDispatcher,
  arrange: hop => {
    const { sim, client, from } = hop
    const source = sim.ownerOf(client)
    atStep(hop, ['COMMIT', 'delivered'], () => {
      sim.shift(client, from)
      // The former owner, which has not heard of it, decides once more what is no longer its to decide.
      if (source !== undefined) sim.decideFor(source, ((from + 1) % sim.nodeCount) + 1)
      return true
    })
  },
}

export const NO_FAULT: Fault = {
  name: 'nothing goes wrong',
  becomes: 'moved',
  kills: false,
  stallMs: MAX_STALL_MS,
  isPossible: ALWAYS,
  arrange: () => {},
}

/** The dispatcher's own end ends what it relays. */
const NOT_ITS_RELAY = ({ mode, atDispatcher }: Kind) => mode === 'shift' || !atDispatcher

export const FAULTS: readonly Fault[] = [
  NO_FAULT,
  lost('PREPARE'),
  lost('PREPARED'),
  lost('COMMIT'),
  lost('SHIFTED'),
  lost('STEER', STEERED),
  lost('STEERED', STEERED),
  lost('OWNED'),
  lost('CLOSED'),
  DRAINING,
  broken('PREPARE', 'stayed'),
  broken('PREPARED', 'stayed'),
  broken('COMMIT', 'moved', LINK_BACK_MS + MAX_STALL_MS),
  broken('SHIFTED', 'moved'),
  dies('source', ['PREPARE', 'sent'], 'lost'),
  dies('source', ['PREPARED', 'sent'], 'lost'),
  dies('source', ['STEER', 'sent'], 'lost', STEERED),
  dies('source', ['COMMIT', 'sent'], 'lost'),
  dies('source', ['COMMIT', 'delivered'], 'moved', NOT_ITS_RELAY, CLIENT_RTO_MS),
  dies('source', ['SHIFTED', 'delivered'], 'moved', NOT_ITS_RELAY),
  dies('target', ['PREPARE', 'sent'], 'stayed'),
  dies('target', ['PREPARED', 'sent'], 'stayed'),
  dies('target', ['PREPARED', 'delivered'], 'stayed', STEERED, CLIENT_RTO_MS),
  dies('target', ['STEERED', 'sent'], 'stayed', STEERED, CLIENT_RTO_MS),
  dies('target', ['COMMIT', 'sent'], 'lost'),
  dies('target', ['COMMIT', 'delivered'], 'lost'),
  dies('target', ['SHIFTED', 'sent'], 'lost', NOT_STEERED),
  GATEWAY,
  AT_ONCE,
]

/** How much longer than the control run a cell may take. */
export function stallOf({ fault, target, timestamps, mode }: StallOf): number {
  // Packets are on their way to who was an owner before, and died.
  if (fault.kills && target.hopsBefore > 0) return CLIENT_RTO_MS
  // No clone waits for a COMMIT that is the first message, and asks for it. Its source must leave the client time for the answer,
  // and a client may keep an acknowledgement back for 40 ms and longer: a repetition within 50 ms would double most COMMITs, for a
  // loss that no link shows as long as it stands.
  if (fault.name === 'COMMIT lost' && target.hopsBefore > 0) return COMMIT_REPEAT_MS + MAX_STALL_MS
  // The gateway sends them to the target already, which cannot pass them back.
  const isSteeredBefore = !timestamps && mode === 'shift' && fault.name === 'link broken under COMMIT'
  return isSteeredBefore ? CLIENT_RTO_MS : fault.stallMs
}

interface StallOf {
  readonly fault: Fault
  readonly target: { readonly hopsBefore: number }
  readonly timestamps: boolean
  readonly mode: 'shift' | 'clone'
}
