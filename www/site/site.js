// Adds one thing to try.html: fetch the sample over and over, check every digest, and show the largest gap.
// SHA-256 (FIPS 180-4) is written out because a page served over plain HTTP has no crypto.subtle.

const RUN_MS = 20_000
const SLICE_MS = 100
const FILE = 'downloads/gyre-sample.bin'
const MIB = 1024 * 1024

const primes = []
for (let n = 2; primes.length < 64; n++) if (primes.every(p => n % p !== 0)) primes.push(n)
const fraction = x => Math.floor((x - Math.floor(x)) * 2 ** 32)
const K = Int32Array.from(primes, p => fraction(Math.cbrt(p)))
const H = Int32Array.from(primes.slice(0, 8), p => fraction(Math.sqrt(p)))

function block(h, w, view, at) {
  for (let i = 0; i < 16; i++) w[i] = view.getInt32(at + 4 * i)
  for (let i = 16; i < 64; i++) {
    const x = w[i - 15]
    const y = w[i - 2]
    const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3)
    const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10)
    w[i] = (w[i - 16] + s0 + w[i - 7] + s1) | 0
  }
  let [a, b, c, d, e, f, g, z] = h
  for (let i = 0; i < 64; i++) {
    const s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7))
    const t1 = (z + s1 + ((e & f) ^ (~e & g)) + K[i] + w[i]) | 0
    const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10))
    const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0
    z = g
    g = f
    f = e
    e = (d + t1) | 0
    d = c
    c = b
    b = a
    a = (t1 + t2) | 0
  }
  h[0] += a
  h[1] += b
  h[2] += c
  h[3] += d
  h[4] += e
  h[5] += f
  h[6] += g
  h[7] += z
}

function sha256(bytes) {
  const whole = bytes.length - (bytes.length % 64)
  const tail = new Uint8Array(bytes.length % 64 < 56 ? 64 : 128)
  tail.set(bytes.subarray(whole))
  tail[bytes.length - whole] = 0x80
  new DataView(tail.buffer).setBigUint64(tail.length - 8, BigInt(bytes.length) * 8n)
  const h = H.slice()
  const w = new Int32Array(64)
  for (const part of [bytes.subarray(0, whole), tail]) {
    const view = new DataView(part.buffer, part.byteOffset, part.length)
    for (let at = 0; at < part.length; at += 64) block(h, w, view, at)
  }
  return Array.from(h, x => (x >>> 0).toString(16).padStart(8, '0')).join('')
}

const element = id => document.getElementById(`watch-${id}`)
const panel = document.getElementById('watch')

async function fetchOnce(signal, seen) {
  const response = await fetch(FILE, { cache: 'no-store', signal })
  if (!response.ok || !response.body) throw new Error(`status ${response.status}`)
  const parts = []
  let length = 0
  let last = performance.now()
  for (const reader = response.body.getReader(); ; ) {
    const { done, value } = await reader.read()
    const now = performance.now()
    seen(done ? 0 : value.length, length > 0 ? now - last : 0)
    last = now
    if (done) break
    parts.push(value)
    length += value.length
  }
  const bytes = new Uint8Array(length)
  let at = 0
  for (const part of parts) {
    bytes.set(part, at)
    at += part.length
  }
  return sha256(bytes)
}

function show(run) {
  for (const name of ['files', 'right', 'failures']) element(name).textContent = run[name]
  element('mib').textContent = (run.octets / MIB).toFixed(0)
  element('gap').textContent = run.gapMs.toFixed(1)
  let sum = 0
  const points = run.slices.map((octets, i) => {
    sum += octets
    return `L${i} ${(98 - (94 * sum) / Math.max(run.octets, 1)).toFixed(1)}`
  })
  element('line').setAttribute('d', `M0 100${points.join('')}V102H0Z`)
}

async function watch() {
  const expected = (await (await fetch(`${FILE}.sha256`)).text()).split(' ')[0]
  const run = { files: 0, right: 0, failures: 0, octets: 0, gapMs: 0, slices: [0] }
  const start = performance.now()
  const stop = AbortSignal.timeout(RUN_MS)
  const timer = setInterval(() => show(run), SLICE_MS)
  const seen = (octets, gapMs) => {
    const slice = Math.floor((performance.now() - start) / SLICE_MS)
    while (run.slices.length <= slice) run.slices.push(0)
    run.slices[slice] += octets
    run.octets += octets
    run.gapMs = Math.max(run.gapMs, gapMs)
  }
  while (!stop.aborted) {
    try {
      const digest = await fetchOnce(stop, seen)
      run.files++
      if (digest === expected) run.right++
    } catch {
      if (stop.aborted) break
      run.failures++
      await new Promise(resolve => setTimeout(resolve, 250))
    }
  }
  clearInterval(timer)
  show(run)
  return run
}

if (panel && 'ReadableStream' in window && 'timeout' in AbortSignal) {
  panel.hidden = false
  const button = element('start')
  button.addEventListener('click', async () => {
    button.disabled = true
    element('state').textContent = 'Fetching. Now shift its connections.'
    try {
      const run = await watch()
      const fine = run.files > 0 && run.right === run.files && run.failures === 0
      element('state').textContent = fine
        ? `${run.files} files, every digest right. The browser noticed nothing.`
        : `${run.right} of ${run.files} digests right, ${run.failures} failures.`
    } catch (error) {
      element('state').textContent = `Could not start: ${error.message}`
    }
    button.disabled = false
  })
}
