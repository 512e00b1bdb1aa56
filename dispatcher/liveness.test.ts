import { type AddressInfo, createServer } from 'node:net'
import type { LinkError } from '../node/control/errors.ts'
import { Liveness, type LivenessHost, reach } from './liveness.ts'
import { DEFAULT_LIVENESS, type LivenessSettings, livenessFault } from './liveness-settings.ts'

/** A link that is silent for `silentMs`, and a node that accepts connections or not; rounds of looks. */
function stand(silentMs: number, isThere: boolean | 'later', settings: LivenessSettings = DEFAULT_LIVENESS) {
  const closed: string[] = []
  const link = {
    silentMs,
    close: (reason?: LinkError) => void closed.push(reason?.code ?? ''),
  }
  let now = 0
  let asked = 0
  let answer: (isThere: boolean) => void = () => {}
  const host: LivenessHost = {
    links: () => [{ link, address: '10.0.0.1:7700' }],
    reach: (_address, _ms, answered) => {
      asked++
      answer = answered
      if (isThere !== 'later') answered(isThere)
    },
    now: () => now,
  }
  const liveness = new Liveness(host, settings)
  const look = (rounds: number, everyMs = settings.pingMs) => {
    for (let round = 0; round < rounds; round++) {
      now += everyMs
      liveness.look()
    }
  }
  return { link, closed, look, asked: () => asked, answer: (yes: boolean) => answer(yes) }
}

describe('a node', () => {
  it('that is heard is asked nothing', () => {
    const { look, asked } = stand(200, false)
    look(20)
    expect(asked()).toBe(0)
  })

  it('that is silent and accepts no connection is given up', () => {
    const { look, closed } = stand(300, false)
    look(1)
    expect(closed).toEqual(['PEER_SILENT'])
  })

  it('that is silent and accepts one is only busy, and asked again after a while', () => {
    const { look, closed, asked } = stand(300, true)
    look(11)
    expect([closed, asked()]).toEqual([[], 3])
  })

  it('that speaks while it is asked is kept, and asked once at a time', () => {
    const { look, closed, link, asked, answer } = stand(300, 'later')
    look(5)
    expect(asked()).toBe(1)
    link.silentMs = 0
    answer(false)
    expect(closed).toEqual([])
  })

  it('is not blamed for our own sleep', () => {
    const { look, asked } = stand(5_000, false)
    look(3, 2 * DEFAULT_LIVENESS.pingMs + 1)
    expect(asked()).toBe(0)
  })

  it('is suspected after as long as the settings say', () => {
    const settings = { ...DEFAULT_LIVENESS, pingMs: 500, suspectAfterMs: 2_000 }
    const patient = stand(1_999, false, settings)
    patient.look(4)
    expect(patient.asked()).toBe(0)
    const late = stand(2_000, false, settings)
    late.look(1)
    expect(late.closed).toEqual(['PEER_SILENT'])
  })
})

it.each([
  [{}, true],
  [{ ping: 150 }, true],
  [{ ping: 151 }, false],
  [{ suspectAfter: 199 }, false],
  [{ ping: 20, suspectAfter: 40 }, true],
])('%j can hold: %s', (flags, fits) => {
  expect(livenessFault(flags) === undefined).toBe(fits)
})

it('whoever listens is there, also before the process has accepted; a closed port is not', async () => {
  const server = createServer()
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const ask = () => new Promise<boolean>(resolve => reach(`127.0.0.1:${port}`, 20_000, resolve))
  expect(await ask()).toBe(true)
  await new Promise(resolve => server.close(resolve))
  expect(await ask()).toBe(false)
})

it.each(['10.0.0.1', '10.0.0.1:99999', 'a b:80'])('of "%s" nothing is said', address => {
  const answers: boolean[] = []
  reach(address, 20_000, isThere => answers.push(isThere))
  expect(answers).toEqual([true])
})
