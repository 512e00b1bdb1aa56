/**
 * A program for the client's namespace: sends so many SYNs from addresses that nobody has (198.18.0.0/15, RFC 2544), through
 * a TUN of its own, and prints how many the kernel took. Arguments: VIP, port, how many.
 */
import { execFileSync } from 'node:child_process'
import { PacketBatch } from '../../node/tun/packet-batch.ts'
import { openTun } from '../../node/tun/tun-device.ts'
import { parseAddress } from '../../node/wire/address.ts'
import { createTcpHeader, packetHeadOctets, writeTcpPacket } from '../../node/wire/emit.ts'
import { SYN } from '../../node/wire/segment.ts'

const DEVICE = 'flood0'
const MAX_SYNS = 100_000
const NETWORK = 0xc6120000
const NETWORK_ADDRESSES = 1 << 17
/** One batch a millisecond: about 60,000 a second. */
const PAUSE_MS = 1

async function flood(vip: string, port: number, count: number): Promise<number> {
  const to = parseAddress(vip)
  if (to?.family !== 4 || !(count <= MAX_SYNS)) throw new RangeError(`${vip} ${count}`)
  const tun = openTun({ name: DEVICE })
  execFileSync('ip', ['link', 'set', DEVICE, 'up'])
  // The namespace is the test's own.
  for (const setting of ['conf.all.rp_filter=0', `conf.${DEVICE}.rp_filter=0`, 'ip_forward=1']) {
    execFileSync('sysctl', ['-qw', `net.ipv4.${setting}`])
  }
  const header = createTcpHeader()
  Object.assign(header, { dst2: to.word2, dst3: to.word3, dstPort: port, src2: to.word2, flags: SYN })
  Object.assign(header, {
    window: 64_240,
    mss: 1_460,
    windowScale: 7,
    sackPermitted: true,
    hasTimestamps: true,
  })
  const octets = packetHeadOctets(header)
  const batch = new PacketBatch(64 * 1024)
  let taken = 0
  for (let sent = 0; sent < count; ) {
    for (; sent < count && batch.fits(octets, 0); sent++) {
      header.src3 = (NETWORK + (sent % NETWORK_ADDRESSES)) | 0
      header.srcPort = 1_024 + (sent % 60_000)
      header.seq = Math.imul(sent, 0x9e3779b1)
      header.tsVal = sent
      writeTcpPacket(batch.arena, batch.view, batch.begin(octets), header)
    }
    taken += tun.send(batch)
    batch.clear()
    await new Promise(resolve => setTimeout(resolve, PAUSE_MS))
  }
  tun.close()
  return taken
}

const [vip = '', port = '', count = ''] = process.argv.slice(2)
flood(vip, Number(port), Number(count)).then(
  taken => console.log(JSON.stringify(taken)),
  error => {
    console.error(error)
    process.exitCode = 1
  },
)
