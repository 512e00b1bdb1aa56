/** The example applications, each watched by a stock client over the kernel's TCP, while their nodes are upgraded. */
import { AdminClient } from '../../dispatcher/admin/client.ts'
import { gyre, program, REPOSITORY, withCluster } from '../local-cluster.ts'
import type { Chat } from './chat-clients.ts'
import type { Count } from './counter-client.ts'
import type { Echoed } from './echo-client.ts'

const asRoot = process.getuid?.() === 0 ? describe : describe.skip
const FLAGS = { name: 'gyre-te', vip: '10.77.123.1', vip6: 'fd77:123::1', admin: '127.0.0.1:8923', nodes: 3 }
const APP = `${REPOSITORY}/dist/bench/acceptance/examples-app.js`
const SECONDS = 12
/** Members of rooms, a counter and two uploads. */
const CONNECTIONS = 3 * 4 + 3

asRoot('the examples', () => {
  it('go on, whole, while every node is upgraded and an operator shuffles them', async () => {
    await withCluster({ ...FLAGS, root: `${REPOSITORY}/www/site`, more: ['--app', APP] }, async state => {
      const { name, vip, vip6, clientNamespace } = state
      const run = <Result>(client: string, ...args: string[]) =>
        program<Result>(clientNamespace, client, ...args, `${SECONDS}`)
      const clients = Promise.all([
        run<Chat>('chat-clients', `ws://${vip}:9003`, '3', '4'),
        run<Count>('counter-client', `http://${vip}:9002/?every=100`),
        run<Echoed>('echo-client', vip, '9001'),
        run<Echoed>('echo-client', vip6 as string, '9001'),
      ])
      const admin = new AdminClient(state.admin)
      const held = async () => (await admin.status()).owners.map(({ connections }) => connections)
      // Until everybody is there, and nobody is left at the dispatcher.
      for (let waited = 0; waited < 10_000; waited += 100) {
        const [atDispatcher, ...atNodes] = await held()
        if (atDispatcher === 0 && atNodes.reduce((sum, more) => sum + more, 0) === CONNECTIONS) break
        await new Promise(resolve => setTimeout(resolve, 100))
      }
      expect((await held())[0]).toBe(0)
      for (const to of ['node1', 'node2', 'node3']) await gyre(['shift', '--all', '--to', to, '--name', name])
      expect(await gyre(['upgrade', '--name', name], 60_000)).toMatch(
        /^3 nodes upgraded, \d+ connections moved\n$/,
      )
      const [chat, count, ...echoes] = await clients
      expect(chat).toMatchObject({ missed: 0, misplaced: 0, lost: 0 })
      expect(chat.heard).toBe(4 * chat.said)
      expect(chat.said).toBeGreaterThan(1_000)
      expect(count.error).toBe('')
      expect(count.ids).toEqual(count.ids.map((_, index) => index + 1))
      expect(count.ids.length).toBeGreaterThan(50)
      expect(new Set(count.nodes).size).toBe(3)
      for (const { octets, sent, received, lastLine, error } of echoes) {
        expect({ received, lastLine, error }).toEqual({
          received: sent,
          lastLine: `\n${octets} octets, CRC-32 ${sent}\n`,
          error: '',
        })
        expect(octets).toBeGreaterThan(1_000_000)
      }
    })
  }, 120_000)
})
