/** A cluster in front of an origin server on this machine: real kernels, real HTTP, and an origin that goes away. */
import { createHash, randomFillSync } from 'node:crypto'
import { createServer, type Server as HttpServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { AdminClient } from '../../dispatcher/admin/client.ts'
import { type ClusterState, program, withCluster } from '../local-cluster.ts'
import { inNamespace, run } from '../process.ts'
import type { Download } from './download.ts'

const asRoot = process.getuid?.() === 0 ? describe : describe.skip
const SIZE = 8 * 1_048_576
/** Octets a second that the client reads: long enough to move its connection often, also to nodes that must fetch the body first. */
const RATE = 3_000_000
const PERIOD_MS = 100

const large = randomFillSync(Buffer.alloc(SIZE))
const digest = createHash('sha256').update(large).digest('hex')

/** What the origin gives, by target. */
function answer(target: string, response: ServerResponse): void {
  switch (target) {
    case '/large':
      response.writeHead(200, { 'Cache-Control': 'max-age=600', ETag: '"large"' }).end(large)
      return
    case '/mine':
      response.writeHead(200, { 'Cache-Control': 'private', 'Set-Cookie': 'a=b' }).end(large)
      return
    case '/short':
      response.writeHead(200, { 'Cache-Control': 'max-age=1' }).end('short')
      return
    case '/strict':
      response.writeHead(200, { 'Cache-Control': 'max-age=1, must-revalidate' }).end('strict')
      return
    case '/cut':
      response.writeHead(200, { 'Content-Length': 1_000_000 })
      response.write(Buffer.alloc(500_000))
      setTimeout(() => response.destroy(), 200)
      return
    default:
      response.writeHead(404).end('no such thing')
  }
}

asRoot('a cluster in front of an origin', () => {
  const asked: string[] = []
  let origin: HttpServer

  beforeAll(async () => {
    origin = createServer((request, response) => {
      asked.push(request.url ?? '')
      answer(request.url ?? '', response)
    })
    await new Promise<void>(resolve => origin.listen(0, '127.0.0.1', resolve))
  })

  function stop(): void {
    origin.closeAllConnections()
    origin.close()
  }
  afterAll(stop)

  /** The head and the body's digest of a response, by a kernel's TCP. */
  async function get(state: ClusterState, target: string, ...flags: string[]) {
    const command = `{ curl -sS -D - --max-time 30 ${flags.join(' ')} -o >(sha256sum >&2) http://${state.vip}${target}; } 2>&1; sleep 0.1`
    const text = await run(...inNamespace(state.clientNamespace, 'bash', ['-c', command]), 40_000)
    return {
      text,
      status: Number(/^HTTP\/1\.1 (\d{3})/m.exec(text)?.[1]),
      sha256: /^([0-9a-f]{64})/m.exec(text)?.[1],
    }
  }

  /** A slow download whose connection changes its owner all the time. */
  async function shifted(state: ClusterState, target: string): Promise<{ sha256: string; shifts: number }> {
    const client = new AdminClient(state.admin, state.token)
    let running = true
    let shifts = 0
    const shifting = (async () => {
      for (let turn = 0; running; turn++) {
        shifts += (await client.shift({ connection: 'all', to: `${1 + (turn % 3)}` })).shifted
        await new Promise(resolve => setTimeout(resolve, PERIOD_MS))
      }
    })()
    try {
      const url = `http://${state.vip}${target}`
      const { sha256 } = await program<Download>(state.clientNamespace, 'download', url, `${RATE}`)
      return { sha256, shifts }
    } finally {
      running = false
      await shifting
    }
  }

  it('gives the same octets wherever a connection goes, and stale ones rather than none', async () => {
    const { port } = origin.address() as AddressInfo
    const flags = {
      name: 'gyre-to',
      vip: '10.77.125.1',
      vip6: 'fd77:125::1',
      admin: '127.0.0.1:8925',
      nodes: 3,
    }
    await withCluster({ ...flags, more: ['--origin', `http://127.0.0.1:${port}`] }, async state => {
      // Unmoved: whoever gets a request that waits for the origin would ask it again.
      expect((await get(state, '/large')).sha256).toBe(digest)
      const cached = await shifted(state, '/large')
      expect(cached.sha256).toBe(digest)
      expect(cached.shifts).toBeGreaterThan(5)
      const own = await shifted(state, '/mine')
      expect(own.sha256).toBe(digest)
      expect(own.shifts).toBeGreaterThan(5)
      expect((await get(state, '/short')).status).toBe(200)
      expect((await get(state, '/strict')).status).toBe(200)
      expect((await get(state, '/cut')).status).toBe(502)
      expect((await get(state, '/none')).status).toBe(404)
      expect((await get(state, '/large', '-X', 'POST')).status).toBe(405)
      expect(asked.filter(target => target === '/large')).toHaveLength(1)
      stop()
      await new Promise(resolve => setTimeout(resolve, 2_000))
      expect(await get(state, '/large')).toMatchObject({ status: 200, sha256: digest })
      const stale = await get(state, '/short')
      expect(stale.status).toBe(200)
      expect(stale.text).toMatch(/^Cache-Status: gyre; hit; fwd=stale/m)
      expect(stale.text).toMatch(/^Age: [2-9]/m)
      expect((await get(state, '/strict')).status).toBe(502)
      expect((await get(state, '/mine')).status).toBe(502)
      const { owners } = await new AdminClient(state.admin, state.token).status()
      const sum = (name: string) => owners.reduce((total, owner) => total + (owner.origin[name] ?? 0), 0)
      expect(sum('peerFills')).toBeGreaterThan(0)
      expect(sum('stale')).toBeGreaterThan(0)
      expect(sum('errors')).toBeGreaterThan(2)
    })
  }, 120_000)
})
