import { campaign } from './campaign.ts'

/** The corpus of every test run; `npm run bench -- fuzz` takes others, and millions. */
const SEED = 20_260_724
const PACKETS = 100_000

const STATES = [
  'SYN-SENT',
  'SYN-RECEIVED',
  'ESTABLISHED',
  'FIN-WAIT-1',
  'FIN-WAIT-2',
  'CLOSE-WAIT',
  'CLOSING',
  'LAST-ACK',
  'TIME-WAIT',
]

describe('a hundred thousand changed packets', () => {
  const { coverage, parsers, clusterPackets, control, failures } = campaign(PACKETS, SEED, () => {})

  it('break nothing: no throw, bounds and invariants hold, streams are whole, every end has a reason', () => {
    expect(failures.map(failure => failure.message)).toEqual([])
  })

  it.each(STATES)('reach %s', state => {
    expect(coverage.states.get(state) ?? 0).toBeGreaterThan(10)
  })

  it('reach every verdict of the packet parser and every way to end', () => {
    expect([...coverage.verdicts.keys()]).toEqual(
      expect.arrayContaining(['checksum', 'fragment', 'malformed', 'martian', 'other-protocol', 'tcp']),
    )
    for (const end of ['reset', 'timed out', 'from LAST-ACK', 'from TIME-WAIT', 'aborted'])
      expect(coverage.ends.get(end) ?? 0).toBeGreaterThan(0)
  })

  it('reach what is behind the other parsers, and the owners', () => {
    for (const verdict of [
      'head: complete',
      'ranges: ranges',
      'icmp: error',
      'message: protocol 1',
      'snapshot: taken ESTABLISHED',
    ])
      expect(parsers.get(verdict) ?? 0).toBeGreaterThan(10)
    expect(clusterPackets).toBeGreaterThan(1_500)
  })

  it('reach every protocol of the control links, and make owners take what was forged', () => {
    for (const protocol of ['shift', 'owner', 'cluster', 'variant', 'app', 'content'])
      expect(control.kinds.get(protocol) ?? 0).toBeGreaterThan(20)
    expect(control.adopted).toBeGreaterThan(20)
  })
})
