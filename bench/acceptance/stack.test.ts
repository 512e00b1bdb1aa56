/**
 * What stands around TCP, with the kernel as the other side: a flood of SYNs, ICMP, the counters that an operator sees, and a
 * recording that others' tools read. Needs root, a built `dist` and tshark (`npm test` installs it).
 */
import { createHash, randomFillSync } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { AdminClient } from '../../dispatcher/admin/client.ts'
import { MAX_HALF_OPEN } from '../../node/stack/limits.ts'
import { type ClusterState, program, withCluster } from '../local-cluster.ts'
import { inNamespace, run } from '../process.ts'
import { shiftedDownload } from './shifted-download.ts'

const asRoot = process.getuid?.() === 0 ? describe : describe.skip
const FLOOD = 8_000
const TIMEOUT_MS = 180_000
const FILE_OCTETS = 4 * 1024 * 1024

async function dispatcherOf({ admin }: ClusterState) {
  const { owners } = await new AdminClient(admin).status()
  const dispatcher = owners.find(({ role }) => role === 'dispatcher')
  if (dispatcher === undefined) throw new Error('no dispatcher')
  return dispatcher
}

async function tshark(file: string, ...args: string[]): Promise<string[]> {
  const text = await run('tshark', ['-n', '-r', file, '-o', 'tcp.check_checksum:TRUE', ...args])
  return text.trimEnd().split('\n')
}

asRoot(`the stack and the kernel${process.getuid?.() === 0 ? '' : ' (skipped: it needs root)'}`, () => {
  let folder = ''
  const file = new Uint8Array(FILE_OCTETS)

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'gyre-stack-'))
    randomFillSync(file)
    writeFileSync(join(folder, 'large.bin'), file)
    writeFileSync(join(folder, 'small.txt'), 'small\n')
  })
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  function cluster(...more: string[]) {
    const addresses = { vip: '10.77.127.1', vip6: 'fd77:127::1', admin: '127.0.0.1:8927' }
    return { name: 'gyre-tn', ...addresses, nodes: 2, root: folder, more }
  }

  it(
    'serves clients during a flood of SYNs, by cookies, and answers ICMP as a host should',
    async () => {
      await withCluster(cluster(), async state => {
        const { vip, vip6 = '', port, clientNamespace } = state
        const inClient = (command: string, ...args: string[]) =>
          run(...inNamespace(clientNamespace, command, args))
        let full = false
        for (let round = 0; round < 5 && !full; round++) {
          await program<number>(clientNamespace, 'flood', vip, `${port}`, `${FLOOD}`)
          full = (await dispatcherOf(state)).limits.halfOpen?.used === MAX_HALF_OPEN
        }
        for (let request = 0; request < 10; request++) {
          for (const host of [vip, `[${vip6}]`]) {
            const url = `http://${host}/small.txt`
            expect(await inClient('curl', '-sS', '--fail', '--max-time', '10', '-g', url)).toBe('small\n')
          }
        }
        await inClient('ping', '-c', '2', '-i', '0.1', '-W', '20', '-s', '1400', vip)
        await inClient('ping', '-c', '2', '-i', '0.1', '-W', '20', vip6)
        // The kernel tells a connected UDP socket of the ICMP error; bash writes twice, and the second write hears it.
        const datagrams = `exec 3<>/dev/udp/${vip}/9; echo a >&3; sleep 0.3; echo b >&3`
        await expect(inClient('bash', '-c', datagrams)).rejects.toThrow(/Connection refused/)
        await expect(inClient('ping', '-c', '1', '-W', '1', '-s', '4000', vip)).rejects.toThrow()

        const { limits, nstat, device } = await dispatcherOf(state)
        expect(limits.halfOpen).toEqual({ used: MAX_HALF_OPEN, max: MAX_HALF_OPEN })
        const { TcpExt = {}, Ip = {}, Icmp = {}, Icmp6 = {}, Tcp = {} } = nstat
        expect(TcpExt.SyncookiesSent).toBeGreaterThanOrEqual(20)
        expect(TcpExt.SyncookiesRecv).toBe(20)
        expect(TcpExt.ListenDrops).toBe(0)
        expect(Tcp.PassiveOpens).toBeGreaterThan(MAX_HALF_OPEN)
        expect(Icmp).toMatchObject({ InEchos: 2, OutEchoReps: 2 })
        expect(Icmp.OutDestUnreachs).toBeGreaterThan(0)
        expect(Icmp6).toMatchObject({ InEchos: 2, OutEchoReps: 2 })
        // Nothing on the way puts fragments together.
        expect(Ip.ReasmFails).toBe(3)
        expect(device.packetsIn).toBeGreaterThan(MAX_HALF_OPEN)
      })
    },
    TIMEOUT_MS,
  )

  it(
    'records a download whole, readable by tshark, with the messages of its shifts',
    async () => {
      const more = ['--link-rate', '50mbit', '--pcap', join(folder, 'run.pcapng')]
      const { download, shifts } = await withCluster(cluster(...more), state =>
        shiftedDownload(state, 'large.bin', [1, 2]),
      )
      expect(download.sha256).toBe(createHash('sha256').update(file).digest('hex'))
      expect(shifts).toBeGreaterThan(1)

      const names = ['dispatcher', 'node1', 'node2']
      const files = names.map(name => join(folder, `run-${name}.pcapng`))
      const comments: string[] = []
      // A packet without a remark that gets through this filter is damaged.
      const filter = 'tcp.checksum.status == 0 || ip.checksum.status == 0 || _ws.malformed || frame.comment'
      const fields = ['frame.comment', 'tcp.checksum.status', '_ws.malformed'].flatMap(field => ['-e', field])
      for (const path of files) {
        for (const line of await tshark(path, '-Y', filter, '-T', 'fields', ...fields)) {
          const [remarks = '', checksum = '', malformed = ''] = line.split('\t')
          // Remarks may stand at a packet that is no TCP and has no such sum.
          expect([path, remarks, checksum || '1', malformed]).toEqual([
            path,
            expect.stringContaining('='),
            '1',
            '',
          ])
          comments.push(...remarks.split(','))
        }
      }
      for (const type of ['PREPARE', 'PREPARED', 'COMMIT', 'SHIFTED']) {
        const said = comments.filter(comment => comment.startsWith(`${type} connection=`))
        // Each is seen by who sends it and by who receives it.
        expect(said.length).toBeGreaterThanOrEqual(2 * shifts)
      }
      const merged = join(folder, 'merged.pcapng')
      await run('mergecap', ['-w', merged, ...files])
      const segments = await tshark(
        merged,
        '-Y',
        'tcp.srcport == 80',
        '-T',
        'fields',
        '-e',
        'tcp.seq',
        '-e',
        'tcp.len',
      )
      const runs = segments.map(line => line.split('\t').map(Number) as [number, number])
      runs.sort(([a], [b]) => a - b)
      // Every octet of the response is there, from the first on.
      let end = 1
      for (const [seq, length] of runs) {
        expect(seq).toBeLessThanOrEqual(end)
        end = Math.max(end, seq + length)
      }
      expect(end).toBeGreaterThan(FILE_OCTETS)
    },
    TIMEOUT_MS,
  )
})
