import type { Flow } from '../clone/flow.ts'
import { DORMANT_MS, type IncomingHost, IncomingShifts, PREPARED_REPEAT_MS } from './incoming.ts'
import { type Commit, MAX_NEEDS, type Prepare, type ShiftMessage, type ShiftRefusal } from './messages.ts'
import {
  COMMIT_GIVE_UP_MS,
  COMMIT_REPEAT_MS,
  DEFAULT_PREPARE_TIMEOUT_MS,
  type OutgoingHost,
  OutgoingShifts,
  PREPARE_REPEAT_MS,
  type ShiftResult,
} from './outgoing.ts'

const FLOW: Flow = {
  family: 4,
  remote0: 0,
  remote1: 0,
  remote2: 0xffff,
  remote3: 9,
  remotePort: 4_000,
  localPort: 80,
}
const SOURCE = 1
const TARGET = 2

/** The source's tables, as small as they can be: one connection and what happened to it. */
function source(needs: () => readonly string[] = () => ['/a'], steering = false) {
  const sent: ShiftMessage[] = []
  const state = {
    owned: true,
    frozen: false,
    up: true,
    steerings: 0,
    reclaimed: () => {},
    hastened: [] as boolean[],
  }
  const host: OutgoingHost = {
    send: (_to, message) => {
      if (state.up) sent.push(message)
      return state.up
    },
    movable: () => undefined,
    requirements: () => (state.owned ? { needs: needs(), octets: 0 } : undefined),
    needsSteering: () => steering,
    steer: () => {
      state.steerings++
    },
    unsteer: () => {
      state.steerings--
    },
    freeze: () => {
      state.frozen = true
      return ['snapshot']
    },
    thaw: () => {
      state.frozen = false
    },
    hasten: () => {
      state.hastened.push(state.owned)
    },
    release: () => {
      state.owned = false
    },
    reclaim: () => {
      state.owned = true
      state.frozen = false
      state.reclaimed()
    },
  }
  const results: ShiftResult[] = []
  const shifts = new OutgoingShifts(host)
  const start = (epoch: number, now = 0, unprepared = false) =>
    shifts.start(7, epoch, FLOW, TARGET, now, result => results.push(result), unprepared)
  return { shifts, sent, state, results, start }
}

function target(admits: () => ShiftRefusal | undefined = () => undefined) {
  const sent: ShiftMessage[] = []
  const fetched: Prepare[] = []
  const state = {
    known: -1,
    refusedEpoch: -1,
    adopted: 0,
    prepared: undefined as boolean | undefined,
    dormant: 0,
    refusal: undefined as ShiftRefusal | undefined,
  }
  const host: IncomingHost = {
    send: (_to, message) => sent.push(message) > 0,
    knownEpoch: () => state.known,
    refused: (_connection, epoch) => epoch === state.refusedEpoch,
    admits,
    fetch: prepare => fetched.push(prepare),
    dormant: () => {
      state.dormant++
    },
    drop: () => {
      state.dormant--
    },
    adopt: (commit, _from, _now, prepared) => {
      state.known = commit.epoch
      state.prepared = prepared
      if (state.refusal !== undefined) state.refusedEpoch = commit.epoch
      else state.adopted++
      return state.refusal
    },
  }
  return { shifts: new IncomingShifts(host), sent, fetched, state }
}

const prepare = (epoch: number, needs: readonly string[] = ['/a'], round = 1): Prepare => ({
  type: 'PREPARE',
  connection: 7,
  epoch,
  flow: FLOW,
  needs,
  octets: 0,
  round,
})
const commit = (epoch: number): Commit => ({ type: 'COMMIT', connection: 7, epoch, flow: FLOW, snapshot: [] })
const prepared = (epoch: number, round = 1) => ({ type: 'PREPARED', connection: 7, epoch, round }) as const
const shifted = (epoch: number) => ({ type: 'SHIFTED', connection: 7, epoch, confirmed: true }) as const
const types = (messages: readonly ShiftMessage[]) => messages.map(({ type }) => type)

describe('the source', () => {
  it('goes PREPARE, COMMIT, done', () => {
    const { shifts, sent, state, results, start } = source()
    start(1)
    expect(state).toMatchObject({ owned: true, frozen: false })
    shifts.receive(TARGET, prepared(1), 1)
    expect(state).toMatchObject({ owned: false, frozen: true })
    shifts.receive(TARGET, shifted(1), 3)
    expect(types(sent)).toEqual(['PREPARE', 'COMMIT'])
    expect(results).toEqual([{ ok: true, confirmed: true, ms: 3, preparedMs: 1, pauseMs: 2 }])
    expect(shifts.size).toBe(0)
  })

  it.each([
    ['of another epoch', TARGET, prepared(2)],
    ['of another target', 3, prepared(1)],
    ['for another connection', TARGET, { ...prepared(1), connection: 8 }],
    ['too early', TARGET, shifted(1)],
  ])('ignores an answer %s', (_name, from, message) => {
    const { shifts, sent, results, start } = source()
    start(1)
    shifts.receive(from, message, 1)
    expect(types(sent)).toEqual(['PREPARE'])
    expect(results).toEqual([])
  })

  it('gives up before COMMIT as if nothing had happened: refusal, time-out, link down, connection gone', () => {
    const refusals: ShiftRefusal[] = []
    for (const end of ['refused', 'timeout', 'down', 'closed'] as const) {
      const { shifts, state, results, start } = source()
      start(1)
      if (end === 'refused') {
        shifts.receive(
          TARGET,
          { type: 'REFUSED', connection: 7, epoch: 1, reason: 'DRAINING', stage: 'PREPARE' },
          1,
        )
      } else if (end === 'timeout') shifts.expire(5_000)
      else if (end === 'down') shifts.peerDown(TARGET, 1)
      else shifts.withdraw(7, 'CLOSED', 1)
      expect(state).toMatchObject({ owned: true, frozen: false })
      const result = results[0]
      if (result?.ok === false) refusals.push(result.reason)
      shifts.receive(TARGET, prepared(1), 6_000)
      expect(state.owned).toBe(true)
    }
    expect(refusals).toEqual(['DRAINING', 'TIMEOUT', 'TARGET_DOWN', 'CLOSED'])
  })

  it('thaws when COMMIT surely was not sent', () => {
    const { shifts, state, results, start } = source()
    start(1)
    state.up = false
    shifts.receive(TARGET, prepared(1), 1)
    expect(state).toMatchObject({ owned: true, frozen: false })
    expect(results).toEqual([{ ok: false, reason: 'TARGET_DOWN' }])
  })

  it('repeats COMMIT until it is answered, and not for ever', () => {
    const { shifts, sent, results, start } = source()
    start(1)
    shifts.receive(TARGET, prepared(1), 0)
    shifts.expire(COMMIT_REPEAT_MS)
    shifts.expire(COMMIT_REPEAT_MS * 2)
    expect(types(sent)).toEqual(['PREPARE', 'COMMIT', 'COMMIT'])
    shifts.peerDown(TARGET, 600)
    shifts.peerUp(TARGET, false, 0)
    expect(types(sent)).toEqual(['PREPARE', 'COMMIT', 'COMMIT', 'COMMIT'])
    for (let now = 600; now <= 2 * COMMIT_GIVE_UP_MS; now += 100) shifts.expire(now)
    expect(results).toEqual([{ ok: false, reason: 'TARGET_DOWN' }])
    expect(sent.length).toBeLessThan(12)
  })

  it('never repeats COMMIT to a successor of the process it was meant for', () => {
    const { shifts, sent, results, start } = source()
    start(1)
    shifts.receive(TARGET, prepared(1), 0)
    shifts.peerDown(TARGET, 1)
    shifts.peerUp(TARGET, true, 0)
    expect(types(sent)).toEqual(['PREPARE', 'COMMIT'])
    expect(results).toEqual([{ ok: false, reason: 'TARGET_DOWN' }])
  })

  it('takes the connection back when COMMIT is refused', () => {
    const { shifts, state, results, start } = source()
    start(1)
    shifts.receive(TARGET, prepared(1), 0)
    shifts.receive(
      TARGET,
      { type: 'REFUSED', connection: 7, epoch: 1, reason: 'BAD_SNAPSHOT', stage: 'COMMIT' },
      1,
    )
    expect(state).toMatchObject({ owned: true, frozen: false })
    expect(results).toEqual([{ ok: false, reason: 'BAD_SNAPSHOT' }])
  })

  it('lets the connection go elsewhere as soon as it is back', () => {
    const { shifts, sent, state, results, start } = source()
    start(1, 0, true)
    shifts.commit(0)
    state.reclaimed = () => start(2)
    shifts.receive(
      TARGET,
      { type: 'REFUSED', connection: 7, epoch: 1, reason: 'DRAINING', stage: 'COMMIT' },
      1,
    )
    expect(types(sent)).toEqual(['COMMIT', 'PREPARE'])
    expect(results).toEqual([{ ok: false, reason: 'DRAINING' }])
    expect(shifts.has(7)).toBe(true)
  })

  it('does not take the refusal of a doubled PREPARE for one of its COMMIT', () => {
    const { shifts, state, results, start } = source()
    start(1)
    shifts.receive(TARGET, prepared(1), 0)
    const late = { type: 'REFUSED', connection: 7, epoch: 1, reason: 'DRAINING', stage: 'PREPARE' } as const
    shifts.receive(TARGET, late, 1)
    expect(state.owned).toBe(false)
    expect(results).toEqual([])
  })

  it('asks again when the connection has begun another object meanwhile, but not for ever', () => {
    let round = 0
    const { shifts, sent, results, start } = source(() => [`/${round}`])
    start(1)
    for (round = 1; round < 10; round++) shifts.receive(TARGET, prepared(1, round), round)
    expect(types(sent)).toEqual(['PREPARE', 'PREPARE', 'PREPARE', 'PREPARE', 'ABORT'])
    expect(results).toEqual([{ ok: false, reason: 'CHANGED' }])
  })

  it('has the kernel steer first where the client echoes no id, and aborts when it cannot', () => {
    for (const ok of [true, false]) {
      const { shifts, sent, state, results, start } = source(undefined, true)
      start(1)
      shifts.receive(TARGET, prepared(1), 0)
      expect(state).toMatchObject({ steerings: 1, frozen: false })
      expect(types(sent)).toEqual(['PREPARE'])
      shifts.steered(7, 1, ok, 1)
      expect(types(sent)).toEqual(['PREPARE', ok ? 'COMMIT' : 'ABORT'])
      expect(results).toEqual(ok ? [] : [{ ok: false, reason: 'STEERING' }])
      // Whatever the gateway has done of it is undone.
      expect(state.steerings).toBe(ok ? 1 : 0)
    }
  })

  it('repeats PREPARE, and the word to the gateway, until they are answered or it is too late', () => {
    const { shifts, sent, state, results, start } = source(undefined, true)
    start(1)
    shifts.expire(PREPARE_REPEAT_MS - 1)
    expect(types(sent)).toEqual(['PREPARE'])
    shifts.expire(PREPARE_REPEAT_MS)
    expect(types(sent)).toEqual(['PREPARE', 'PREPARE'])
    shifts.receive(TARGET, prepared(1), 30)
    for (let now = 40; now <= 2 * DEFAULT_PREPARE_TIMEOUT_MS; now += 10) shifts.expire(now)
    expect(types(sent)).toEqual(['PREPARE', 'PREPARE', 'ABORT'])
    // Each was undone by one; they are one element.
    expect(state.steerings).toBeGreaterThan(3)
    expect(results).toEqual([{ ok: false, reason: 'TIMEOUT' }])
  })

  it('repeats COMMIT for a target that goes on saying PREPARED, and takes no PREPARED of an earlier round', () => {
    let need = '/a'
    const { shifts, sent, start } = source(() => [need])
    start(1)
    need = '/b'
    shifts.receive(TARGET, prepared(1), 1)
    shifts.receive(TARGET, prepared(1), 2)
    expect(types(sent)).toEqual(['PREPARE', 'PREPARE'])
    shifts.receive(TARGET, prepared(1, 2), 3)
    shifts.receive(TARGET, prepared(1, 2), 23)
    expect(types(sent)).toEqual(['PREPARE', 'PREPARE', 'COMMIT', 'COMMIT'])
  })

  it('asks for no more contents than a PREPARE may name', () => {
    let needs = Array.from({ length: MAX_NEEDS + 1 }, (_, index) => `/${index}`)
    const { shifts, sent, results, start } = source(() => needs)
    start(1)
    expect([sent, shifts.size]).toEqual([[], 0])
    needs = needs.slice(1)
    start(2)
    needs = [...needs, '/more']
    shifts.receive(TARGET, prepared(2), 1)
    expect(types(sent)).toEqual(['PREPARE', 'ABORT'])
    expect(results).toEqual([
      { ok: false, reason: 'NOT_NOW' },
      { ok: false, reason: 'CHANGED' },
    ])
  })

  it('moves a connection to one place at a time', () => {
    const { shifts, results, start } = source()
    start(1)
    start(2)
    expect(results).toEqual([{ ok: false, reason: 'ALREADY_SHIFTING' }])
    expect(shifts.size).toBe(1)
  })
})

describe('the target', () => {
  it('answers PREPARED when it has everything, and adopts at COMMIT', () => {
    const { shifts, sent, fetched, state } = target()
    shifts.receive(SOURCE, prepare(1), 0)
    expect(sent).toEqual([])
    shifts.checked(fetched[0] as Prepare, undefined)
    shifts.receive(SOURCE, commit(1), 1)
    expect(types(sent)).toEqual(['PREPARED'])
    expect(state.adopted).toBe(1)
    expect(shifts.size).toBe(0)
  })

  it('says PREPARED again while no COMMIT comes, and not before it is', () => {
    const { shifts, sent, fetched } = target()
    shifts.receive(SOURCE, prepare(1), 0)
    shifts.expire(PREPARED_REPEAT_MS)
    expect(sent).toEqual([])
    shifts.checked(fetched[0] as Prepare, undefined)
    for (let now = PREPARED_REPEAT_MS; now < DORMANT_MS; now++) shifts.expire(now)
    expect(new Set(types(sent))).toEqual(new Set(['PREPARED']))
    expect(sent.length).toBeGreaterThan(5)
    expect(sent.length).toBeLessThan(12)
  })

  it('is not disturbed by a second copy of any message', () => {
    const { shifts, sent, fetched, state } = target()
    shifts.receive(SOURCE, prepare(1), 0)
    shifts.receive(SOURCE, prepare(1), 0)
    expect(fetched).toHaveLength(1)
    shifts.checked(fetched[0] as Prepare, undefined)
    shifts.receive(SOURCE, prepare(1), 0)
    shifts.receive(SOURCE, commit(1), 1)
    shifts.receive(SOURCE, commit(1), 2)
    shifts.receive(SOURCE, prepare(1), 3)
    expect(types(sent)).toEqual(['PREPARED', 'PREPARED', 'SHIFTED'])
    expect(state.adopted).toBe(1)
  })

  it('adopts at COMMIT although its clone has timed out, or PREPARE never came', () => {
    const { shifts, state } = target()
    shifts.receive(SOURCE, prepare(1), 0)
    shifts.expire(DORMANT_MS)
    expect(shifts.size).toBe(0)
    expect(state.dormant).toBe(0)
    shifts.receive(SOURCE, commit(1), DORMANT_MS + 1)
    expect(state.adopted).toBe(1)
  })

  it('ignores what an older epoch says', () => {
    const { shifts, sent, fetched, state } = target()
    shifts.receive(SOURCE, prepare(5), 0)
    shifts.receive(SOURCE, prepare(4), 0)
    shifts.receive(SOURCE, { type: 'ABORT', connection: 7, epoch: 4 }, 0)
    shifts.checked(fetched[0] as Prepare, undefined)
    shifts.receive(SOURCE, commit(5), 1)
    shifts.receive(SOURCE, commit(3), 2)
    expect(types(sent)).toEqual(['PREPARED', 'SHIFTED'])
    expect(state.adopted).toBe(1)
  })

  it('says the same about a refused COMMIT however often it comes', () => {
    const { shifts, sent, state } = target()
    state.refusal = 'BAD_SNAPSHOT'
    shifts.receive(SOURCE, commit(1), 0)
    shifts.receive(SOURCE, commit(1), 1)
    expect(types(sent)).toEqual(['REFUSED', 'REFUSED'])
    expect(state.adopted).toBe(0)
  })

  it('refuses with the reason, and drops what was aborted', () => {
    const full = target(() => 'NO_MEMORY')
    full.shifts.receive(SOURCE, prepare(1), 0)
    expect(full.sent).toMatchObject([{ type: 'REFUSED', reason: 'NO_MEMORY' }])
    const { shifts, sent, fetched, state } = target()
    shifts.receive(SOURCE, prepare(1), 0)
    shifts.receive(SOURCE, { type: 'ABORT', connection: 7, epoch: 1 }, 0)
    shifts.checked(fetched[0] as Prepare, undefined)
    expect(sent).toEqual([])
    expect(state.dormant).toBe(0)
    shifts.receive(SOURCE, prepare(2), 0)
    shifts.checked(fetched[1] as Prepare, 'NO_OBJECT')
    expect(sent).toMatchObject([{ type: 'REFUSED', reason: 'NO_OBJECT' }])
    expect(shifts.size).toBe(0)
  })
})

describe('a shift without PREPARE', () => {
  it('begins with COMMIT, which leaves when the owner is done with what it was about', () => {
    const { shifts, sent, state, results, start } = source()
    start(1, 0, true)
    expect(sent).toEqual([])
    expect(state).toMatchObject({ owned: true, frozen: false })
    expect(shifts.commits).toBe(true)
    shifts.commit(0)
    expect(sent.map(({ type }) => type)).toEqual(['COMMIT'])
    expect(state).toMatchObject({ owned: false, frozen: true })
    expect(shifts.commits).toBe(false)
    shifts.receive(TARGET, { type: 'SHIFTED', connection: 7, epoch: 1, confirmed: true }, 3)
    expect(results).toEqual([{ ok: true, confirmed: true, ms: 3, preparedMs: 0, pauseMs: 3 }])
  })

  it('leaves at once where it is alone, before its release; with others in one frame', () => {
    const { shifts, state, start } = source()
    start(1, 0, true)
    shifts.commit(0)
    expect(state.hastened).toEqual([true])
    const many = source()
    many.start(1, 0, true)
    many.shifts.start(8, 1, FLOW, TARGET, 0, () => {}, true)
    many.shifts.commit(0)
    expect(many.sent.map(({ type }) => type)).toEqual(['COMMIT', 'ABORT'])
    expect(many.state.hastened).toEqual([])
  })

  it('is given back by a refusal, and may be tried again with PREPARE', () => {
    const { shifts, sent, state, results, start } = source()
    start(1, 0, true)
    shifts.commit(0)
    const refused = { type: 'REFUSED', connection: 7, epoch: 1, reason: 'NO_OBJECT' } as const
    shifts.receive(TARGET, { ...refused, stage: 'PREPARE' }, 1)
    expect(state.owned).toBe(false)
    shifts.receive(TARGET, { ...refused, stage: 'COMMIT' }, 1)
    expect(state).toMatchObject({ owned: true, frozen: false })
    expect(results).toEqual([{ ok: false, reason: 'NO_OBJECT' }])
    start(2, 1)
    expect(sent.at(-1)?.type).toBe('PREPARE')
  })

  it('does not happen where the connection ends, or the target is gone, before COMMIT', () => {
    for (const end of [
      (shifts: OutgoingShifts) => shifts.withdraw(7, 'CLOSED', 0),
      (shifts: OutgoingShifts) => shifts.peerDown(TARGET, 0),
    ]) {
      const { shifts, sent, results, start } = source()
      start(1, 0, true)
      end(shifts)
      shifts.commit(0)
      expect(sent.map(({ type }) => type)).toEqual(['ABORT'])
      expect(results).toMatchObject([{ ok: false }])
    }
  })

  it('asks after all where the connection needs more when COMMIT is to leave', () => {
    let needs = ['/a']
    const { shifts, sent, start } = source(() => needs)
    start(1, 0, true)
    needs = ['/a', '/b']
    shifts.commit(0)
    expect(sent).toMatchObject([{ type: 'PREPARE', needs: ['/a', '/b'] }])
  })

  it('reaches a target that is told that nothing was prepared', () => {
    const { shifts, state } = target()
    shifts.receive(SOURCE, commit(1), 0)
    expect(state).toMatchObject({ adopted: 1, prepared: false })
    const asked = target()
    asked.shifts.receive(SOURCE, prepare(1), 0)
    asked.shifts.checked(asked.fetched[0] as Prepare, undefined)
    asked.shifts.receive(SOURCE, commit(1), 1)
    expect(asked.state).toMatchObject({ adopted: 1, prepared: true })
  })
})
