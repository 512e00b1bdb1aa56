/**
 * Initial sequence numbers (RFC 6528) and timestamp offsets (RFC 7323 §5.4) as pure functions of the flow and a
 * key. The key belongs to the cluster, so that whoever accepts the next connection of the same flow continues
 * above the last one. Hashed with SipHash-2-4, which Linux uses for the same purpose.
 */
import type { Flow } from './tcb.ts'

/** At least 16 octets, of which the first 16 are the key; at random, the same for the whole cluster, and secret. */
export type HashKey = Uint8Array

/** The ISN clock advances every 4 µs (RFC 9293 §3.4.1, MUST-8). */
const ISN_TICKS_PER_MS = 250

/** Words of state: v0 to v3, each low then high. One hash runs at a time, and none is interrupted. */
const v = new Int32Array(8)

function addTo(a: number, b: number): void {
  const low = ((v[a] as number) >>> 0) + ((v[b] as number) >>> 0)
  v[a + 1] = ((v[a + 1] as number) + (v[b + 1] as number) + (low > 0xffffffff ? 1 : 0)) | 0
  v[a] = low | 0
}

/** Rotates the 64-bit word at `a` left by `bits` (below 32) and xors `b` into it. */
function rotateXor(a: number, bits: number, b: number): void {
  const low = v[a] as number
  const high = v[a + 1] as number
  v[a] = ((low << bits) | (high >>> (32 - bits))) ^ (v[b] as number)
  v[a + 1] = ((high << bits) | (low >>> (32 - bits))) ^ (v[b + 1] as number)
}

function swapHalves(a: number): void {
  const low = v[a] as number
  v[a] = v[a + 1] as number
  v[a + 1] = low
}

function round(): void {
  addTo(0, 2)
  rotateXor(2, 13, 0)
  swapHalves(0)
  addTo(4, 6)
  rotateXor(6, 16, 4)
  addTo(0, 6)
  rotateXor(6, 21, 0)
  addTo(4, 2)
  rotateXor(2, 17, 4)
  swapHalves(4)
}

function compress(low: number, high: number): void {
  v[6] = (v[6] as number) ^ low
  v[7] = (v[7] as number) ^ high
  round()
  round()
  v[0] = (v[0] as number) ^ low
  v[1] = (v[1] as number) ^ high
}

function word(key: HashKey, at: number): number {
  const low = (key[at] as number) | ((key[at + 1] as number) << 8)
  return low | ((key[at + 2] as number) << 16) | ((key[at + 3] as number) << 24)
}

function begin(key: HashKey): void {
  const k0 = word(key, 0)
  const k1 = word(key, 4)
  const k2 = word(key, 8)
  const k3 = word(key, 12)
  v[0] = k0 ^ 0x70736575
  v[1] = k1 ^ 0x736f6d65
  v[2] = k2 ^ 0x6e646f6d
  v[3] = k3 ^ 0x646f7261
  v[4] = k0 ^ 0x6e657261
  v[5] = k1 ^ 0x6c796765
  v[6] = k2 ^ 0x79746573
  v[7] = k3 ^ 0x74656462
}

/** The low 32 bits of the hash of what was compressed since `begin`; `octets` is how long that was. */
function finish(octets: number): number {
  compress(0, octets << 24)
  v[4] = (v[4] as number) ^ 0xff
  for (let count = 0; count < 4; count++) round()
  return (v[0] as number) ^ (v[2] as number) ^ (v[4] as number) ^ (v[6] as number)
}

/** Keyed hash of words, an even number of them; int32. */
export function hashWords(key: HashKey, words: readonly number[]): number {
  begin(key)
  for (let at = 0; at < words.length; at += 2) compress(words[at] as number, words[at + 1] as number)
  return finish((words.length * 4) & 0xff)
}

/** Keyed hash of a flow with one more word; int32. */
export function hashFlow(key: HashKey, flow: Flow, extra: number): number {
  begin(key)
  compress(flow.local0, flow.local1)
  compress(flow.local2, flow.local3)
  compress(flow.remote0, flow.remote1)
  compress(flow.remote2, flow.remote3)
  compress((flow.localPort << 16) | flow.remotePort, extra)
  return finish(40)
}

/** What keeps the uses of one key apart. */
const FOR_ISN = 1
const FOR_TIMESTAMP = 2

/** The ISN for a new connection: `wallMs` is the time of day in ms, so that all machines' clocks agree. */
export function initialSequenceNumber(key: HashKey, flow: Flow, wallMs: number): number {
  return (Math.floor(wallMs * ISN_TICKS_PER_MS) + hashFlow(key, flow, FOR_ISN)) | 0
}

/**
 * The offset of the connection's tick, for `acceptSyn` and `connect`. `now` is the clock that the TCP core is
 * given and `wallMs` the time of day: ticks of successive connections of a flow grow whichever machine has them.
 */
export function timestampOffset(
  key: HashKey,
  flow: Flow,
  ownerIdBits: number,
  wallMs: number,
  now: number,
): number {
  const tickMs = 1 << ownerIdBits
  return (hashFlow(key, flow, FOR_TIMESTAMP) + Math.floor(wallMs / tickMs) - Math.floor(now / tickMs)) | 0
}
