/** The example applications, each watched by a stock client over the kernel's TCP, while their nodes are upgraded. */
import { AdminClient } from '../../dispatcher/admin/client.ts'
import { gyre, REPOSITORY, startProgram, withCluster } from '../local-cluster.ts'
import type { Chat } from './chat-clients.ts'
import type { Count } from './counter-client.ts'
import type { Echoed } from './echo-client.ts'

const asRoot = process.getuid?.() === 0 ? describe : describe.skip
const FLAGS = { name: 'gyre-te', vip: '10.77.123.1', vip6: 'fd77:123::1', admin: '127.0.0.1:8923', nodes: 3 }
const APP = `${REPOSITORY}/dist/bench/acceptance/examples-app.js`
const [LEAST_WORDS, LEAST_EVENTS, LEAST_OCTETS] = [1_000, 50, 1_000_000]
const MAX_WAIT_MS = 60_000
/** Members of rooms, a counter and two uploads. */
const CONNECTIONS = 3 * 4 + 3

asRoot('the examples', () => {
  it('go on, whole, while every node is upgraded and an operator shuffles them', async () => {
    await withCluster({ ...FLAGS, root: `${REPOSITORY}/www/site`, more: ['--app', APP] }, async state => {
      const { name, vip, vip6, clientNamespace } = state
      const start = <Result>(client: string, ...args: (string | number)[]) =>
        startProgram<Result>(clientNamespace, client, ...args.map(String))
      const chatting = start<Chat>('chat-clients', `ws://${vip}:9003`, 3, 4, LEAST_WORDS)
      const counting = start<Count>('counter-client', `http://${vip}:9002/?every=100`, LEAST_EVENTS)
      const echoing = [vip, vip6 as string].map(address =>
        start<Echoed>('echo-client', address, 9001, LEAST_OCTETS),
      )
      const started = [chatting, counting, ...echoing]
      const admin = new AdminClient(state.admin)
      const held = async () => (await admin.status()).owners.map(({ connections }) => connections)
      // Until everybody is there, and nobody is left at the dispatcher.
      for (let waited = 0; waited < MAX_WAIT_MS; waited += 100) {
        const [atDispatcher, ...atNodes] = await held()
        if (atDispatcher === 0 && atNodes.reduce((sum, more) => sum + more, 0) === CONNECTIONS) break
        await new Promise(resolve => setTimeout(resolve, 100))
      }
      expect((await held())[0]).toBe(0)
      for (const to of ['node1', 'node2', 'node3']) await gyre(['shift', '--all', '--to', to, '--name', name])
      expect(await gyre(['upgrade', '--name', name], 60_000)).toMatch(
        /^3 nodes upgraded, \d+ connections moved\n$/,
      )
      for (const { end } of started) end()
      const [chat, count] = await Promise.all([chatting.result, counting.result])
      const echoes = await Promise.all(echoing.map(({ result }) => result))
      expect(chat).toMatchObject({ missed: 0, misplaced: 0, lost: 0 })
      expect(chat.heard).toBe(4 * chat.said)
      expect(chat.said).toBeGreaterThanOrEqual(LEAST_WORDS)
      expect(count.error).toBe('')
      expect(count.ids).toEqual(count.ids.map((_, index) => index + 1))
      expect(count.ids.length).toBeGreaterThanOrEqual(LEAST_EVENTS)
      expect(new Set(count.nodes).size).toBe(3)
      for (const { octets, sent, received, lastLine, error } of echoes) {
        expect({ received, lastLine, error }).toEqual({
          received: sent,
          lastLine: `\n${octets} octets, CRC-32 ${sent}\n`,
          error: '',
        })
        expect(octets).toBeGreaterThanOrEqual(LEAST_OCTETS)
      }
    })
  }, 120_000)
})
