import type { Tcb } from '../../../node/tcp/tcb.ts'
import { mark } from '../network/damage.ts'
import { delay } from '../network/delay.ts'
import { chain, createWorld, type Element } from '../network/element.ts'
import { cut } from '../network/loss.ts'
import { rate } from '../network/rate.ts'
import { segment } from '../network/segment.ts'
import { link } from './shared-bottleneck.ts'
import { download, PACKET_OCTETS } from './transfer.ts'

const LINK = 10e6
const RTT_MS = 50
const GOODPUT = (LINK * 1_448) / 1_500

function pair(data: Element[]) {
  const world = createWorld(1)
  const path = chain([segment(PACKET_OCTETS), ...data, delay(RTT_MS / 2)])
  const { server, client } = download(world, path, delay(RTT_MS / 2), {})
  const run = (ms: number) => {
    const before = client.received
    world.scheduler.run(world.scheduler.now + ms)
    return ((client.received - before) * 8_000) / ms
  }
  return { server, client, run }
}

describe('an outage', () => {
  // RFC 6298 §5.5: the timer doubles, so the first repetition after the outage comes within as long as it lasted, and one
  // RTO (250 ms here) more; then slow start to half of the rate before, and CUBIC above.
  it.each([1, 5, 30])(
    'of %d s: sent again within its length and an RTO, at nine tenths of the rate 3 s later',
    seconds => {
      const line = cut()
      const { client, run } = pair([rate(LINK, 62_500), line])
      expect(run(10_000)).toBeGreaterThan(0)
      line.down()
      expect(run(seconds * 1_000)).toBeLessThan((0.2 * LINK) / seconds)
      line.up()
      const before = client.received
      let waited = 0
      for (; client.received === before && waited <= 60_000; waited += 10) run(10)
      expect(waited).toBeLessThan(1_000 * seconds + 500)
      run(3_000)
      expect(run(3_000)).toBeGreaterThan(0.9 * GOODPUT)
    },
  )
})

describe('a bottleneck', () => {
  it('that halves its rate has the sender at the new one within 2 s, and back again at the old one within 10 s', () => {
    const fast = rate(LINK, 62_500)
    const slow = rate(LINK / 2, 62_500)
    let isSlow = false
    const both: Element = {
      attach(world, next) {
        const [a, b] = [fast.attach(world, next), slow.attach(world, next)]
        return packet => (isSlow ? b(packet) : a(packet))
      },
    }
    const { server, run } = pair([both])
    run(10_000)
    isSlow = true
    run(2_000)
    const before = server.config.counters.TCPTimeouts
    expect(run(5_000)).toBeGreaterThan(0.9 * (GOODPUT / 2))
    isSlow = false
    run(10_000)
    expect(run(5_000)).toBeGreaterThan(0.9 * GOODPUT)
    expect(server.config.counters.TCPTimeouts).toBe(before)
  })

  it('with a queue of a second is not overrun by slow start: HyStart++ leaves it without a loss (RFC 9406)', () => {
    const line = link(LINK, 1_000)
    const { server, run } = pair([line])
    let most = 0
    let ms = 0
    const leftSlowStart = () => {
      const { congestion, config } = server.tcb as Tcb
      return congestion.ssthresh < config.maxCwndOctets
    }
    // What fills the queue later is the window growing as CUBIC does, and as the peer lets it.
    for (; ms < 5_000 && (ms < 100 || !leftSlowStart()); ms += 10) {
      run(10)
      most = Math.max(most, line.queuedOctets)
    }
    expect(ms).toBeLessThan(5_000)
    run(5_000 - ms)
    expect(server.config.counters.TCPHystartDelayDetect).toBeGreaterThan(0)
    expect(line.lost).toBe(0)
    // Less than a quarter of the queue; slow start to its end would have filled it.
    expect((most * 8_000) / LINK).toBeLessThan(250)
    expect(run(2_000)).toBeGreaterThan(0.97 * GOODPUT)
  })

  it('that marks by ECN slows the sender down without a loss (RFC 3168)', () => {
    const line = link(LINK, 1_000)
    const marker = mark(0.005)
    const { server, run } = pair([marker, line])
    run(5_000)
    const rateWithMarks = run(20_000)
    expect(marker.marked).toBeGreaterThan(10)
    expect(server.config.counters.RetransSegs).toBe(0)
    expect(server.config.counters.TCPECNReductions).toBeGreaterThan(5)
    // RFC 9438 §5.1 for p = 0.005 in the Reno-friendly region: 17.3 segments over 50 ms.
    const reference = (Math.sqrt(1.5 / 0.005) * 1_448 * 8 * 1_000) / RTT_MS
    expect(rateWithMarks / reference).toBeGreaterThan(0.75)
    expect(rateWithMarks / reference).toBeLessThan(1.3)
  })
})
