/**
 * Connections of the kernel's own TCP that go round three nodes, A→B→C→A, up to a hundred times a second, with downloads on them
 * all the while. `CHAIN=3000` has each of them go round for about a minute, and tells the figures; `npm test` has some seconds.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { AdminClient } from '../../dispatcher/admin/client.ts'
import { type ClusterState, startProgram, withCluster } from '../local-cluster.ts'
import { limitBuffers, writeDownloads } from './drained-downloads.ts'
import { countResets, readResets } from './packet-counters.ts'
import type { Swarm } from './swarm.ts'

const asRoot = process.getuid?.() === 0 ? describe : describe.skip
const FLAGS = { name: 'gyre-tc', vip: '10.77.131.1', vip6: 'fd77:131::1', admin: '127.0.0.1:8941', nodes: 3 }
const CONNECTIONS = 3
/** Changes of owner of each connection. */
const ROUNDS = Number(process.env.CHAIN ?? 150)
const EVERY_MS = 10
const OPERATORS = 8
/** However slow the machine is, each change of owner is over by then. */
const MAX_WAIT_MS = 60_000
/** Octets a second that each client reads: nothing waits for a processor or a wire. */
const RATE = 1_000_000
/** Above the longest wait of those that nobody moves. In virtual time 50 ms are enough; here processors are waited for as well. */
const MAX_STALL_MS = 5_000

asRoot('A→B→C→A', () => {
  let root = ''
  let list = ''

  beforeAll(() => {
    root = mkdtempSync(join(tmpdir(), 'gyre-chain-'))
    list = writeDownloads(root)
  })
  afterAll(() => rmSync(root, { recursive: true, force: true }))

  /** What kept-alive clients met meanwhile. */
  async function swarmDuring(state: ClusterState, act: () => Promise<unknown>): Promise<Swarm> {
    const args = [`http://${state.vip}`, `${CONNECTIONS}`, `${2 * CONNECTIONS}`, '7', list, `${RATE}`]
    const swarm = startProgram<Swarm>(state.clientNamespace, 'swarm', ...args)
    try {
      await act()
    } finally {
      swarm.end()
    }
    return await swarm.result
  }

  /** Sends every connection round so often; returns how long that took, in ms. */
  async function goRound({ admin, token }: ClusterState): Promise<number> {
    const began = performance.now()
    let shifted = 0
    let turn = 0
    // An order is answered when its clients have answered: the next ones need not wait for that.
    const operators = Array.from({ length: OPERATORS }, async () => {
      const client = new AdminClient(admin, token)
      while (shifted < CONNECTIONS * ROUNDS) {
        const late = performance.now() - began - turn * EVERY_MS
        if (late > MAX_WAIT_MS) throw new Error(`${shifted} changes of owner so far`)
        const to = `node${1 + (turn++ % 3)}`
        if (late < 0) await new Promise(resolve => setTimeout(resolve, -late))
        shifted += (await client.shift({ connection: 'all', to })).shifted
      }
      await client.close()
    })
    await Promise.all(operators)
    return performance.now() - began
  }

  it(
    `of ${CONNECTIONS} connections ${ROUNDS} times: octets, connections and pauses are those of connections at rest`,
    async () => {
      await withCluster({ ...FLAGS, root }, async state => {
        await limitBuffers(state)
        await countResets(state.clientNamespace)
        const control = await swarmDuring(state, async () => {})
        let tookMs = 0
        const moved = await swarmDuring(state, async () => {
          tookMs = await goRound(state)
        })
        if (process.env.CHAIN !== undefined)
          process.stderr.write(`${JSON.stringify({ control, moved, tookMs })}\n`)
        for (const { errors, connects } of [control, moved])
          expect({ errors, connects }).toEqual({ errors: {}, connects: CONNECTIONS })
        expect(moved.longestWaitMs).toBeLessThan(control.longestWaitMs + MAX_STALL_MS)
        expect(await readResets(state.clientNamespace)).toBe(0)
      })
    },
    2 * MAX_WAIT_MS + ROUNDS * 100,
  )
})
