/**
 * A program for the client's namespace: one attack at a steady rate, through a TUN of its own, until its standard input ends. It says
 * "ready" with its first packets, and at the end what the kernel took of it. Arguments: the attack, the target as JSON, packets a second.
 */
import { execFileSync } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { PacketBatch } from '../../node/tun/packet-batch.ts'
import { openTun, type TunDevice } from '../../node/tun/tun-device.ts'
import { Told } from '../acceptance/told.ts'
import { SPOOFED, type Spoofed, SpoofedPackets, type Target } from './attacks.ts'
import { OWN, type Own, OwnConnections } from './own-connections.ts'

const DEVICE = 'flood0'
const ARENA_OCTETS = 128 * 1024
/** Of one's own. */
const CONNECTIONS = 32
const OPEN_MS = 50_000
/** What a pause of this process leaves undone is not made up for beyond this. */
const MAX_BEHIND_MS = 20

export interface AttackerTarget extends Target {
  readonly own: number
  readonly ownText: string
  readonly path: string
}

export interface Attacked {
  readonly packets: number
  readonly seconds: number
}

/** Gives the next packets, at most so many. */
type Source = (most: number) => PacketBatch

/** Written before, so that the machine's time goes into sending: so many different packets, again and again. */
const WRITTEN_PACKETS = 65_536
/** Enough for 64 packets of any kind. */
const WRITTEN_ARENA_OCTETS = 64 * 128

function spoofed(kind: Spoofed, target: Target): Source {
  const packets = new SpoofedPackets(kind, target)
  const batches: PacketBatch[] = []
  for (let number = 0; number < WRITTEN_PACKETS; ) {
    const batch = new PacketBatch(WRITTEN_ARENA_OCTETS)
    while (packets.write(batch, number)) number++
    batches.push(batch)
  }
  let next = 0
  return () => batches[next++ % batches.length] as PacketBatch
}

function owned(connections: OwnConnections): Source {
  const batch = new PacketBatch(ARENA_OCTETS)
  let number = 0
  return most => {
    batch.clear()
    while (batch.count < most && connections.write(batch, number)) number++
    return batch
  }
}

async function attack(kind: string, target: AttackerTarget, rate: number): Promise<Attacked> {
  const told = new Told()
  const tun = openTun({ name: DEVICE })
  tun.onError = error => {
    throw error
  }
  execFileSync('ip', ['link', 'set', DEVICE, 'txqueuelen', '10000', 'up'])
  execFileSync('ip', ['route', 'replace', `${target.ownText}/32`, 'dev', DEVICE])
  // The namespace is the benchmark's own, and forges its own host's address too.
  for (const setting of [
    'conf.all.rp_filter=0',
    `conf.${DEVICE}.rp_filter=0`,
    'ip_forward=1',
    `conf.${DEVICE}.accept_local=1`,
  ]) {
    execFileSync('sysctl', ['-qw', `net.ipv4.${setting}`])
  }
  const own = (OWN as readonly string[]).includes(kind) ? await openOwn(kind as Own, target, tun) : undefined
  if (own === undefined && !(SPOOFED as readonly string[]).includes(kind)) throw new RangeError(kind)
  const source = own === undefined ? spoofed(kind as Spoofed, target) : owned(own)
  process.stdout.write('ready\n')
  const attacked = await send(tun, source, rate, told)
  if (own !== undefined) {
    const batch = new PacketBatch(ARENA_OCTETS)
    own.reset(batch)
    tun.send(batch)
  }
  tun.close()
  return attacked
}

/** Resolves when the server answers on all of them. */
async function openOwn(
  kind: Own,
  { own, vip, port, path }: AttackerTarget,
  tun: TunDevice,
): Promise<OwnConnections> {
  const connections = new OwnConnections(kind, CONNECTIONS, own, vip, port, path)
  const out = new PacketBatch(ARENA_OCTETS)
  tun.onReceive = batch => {
    connections.receive(batch, out)
    tun.send(out)
    out.clear()
  }
  const opening = new PacketBatch(ARENA_OCTETS)
  for (const until = performance.now() + OPEN_MS; connections.established < CONNECTIONS; ) {
    if (performance.now() > until)
      throw new Error(`${connections.established} of ${CONNECTIONS} connections stand`)
    connections.open(opening)
    tun.send(opening)
    opening.clear()
    await sleep(200)
  }
  return connections
}

async function send(tun: TunDevice, source: Source, rate: number, told: Told): Promise<Attacked> {
  const began = performance.now()
  let packets = 0
  let due = 0
  for (let last = began; !told.isOver; ) {
    const now = performance.now()
    due = Math.min(due + ((now - last) * rate) / 1_000, (rate * MAX_BEHIND_MS) / 1_000)
    last = now
    while (due >= 1) {
      const batch = source(due)
      packets += tun.send(batch)
      due -= batch.count
    }
    await sleep(1)
  }
  return { packets, seconds: (performance.now() - began) / 1_000 }
}

const [kind = '', target = '{}', rate = '0'] = process.argv.slice(2)
const attacked = await attack(kind, JSON.parse(target) as AttackerTarget, Number(rate))
process.stdout.write(`${JSON.stringify(attacked)}\n`)
process.exit(0)
