import { execFile } from 'node:child_process'
import { Worker } from 'node:worker_threads'
import { openTunDescriptors, TestNamespace, whyNoNamespace } from './test-namespace.ts'

const reason = whyNoNamespace()
const describeWithTun = reason === undefined ? describe : describe.skip

describeWithTun(
  `the native binding in the event loop${reason === undefined ? '' : ` (skipped: ${reason})`}`,
  () => {
    let namespace: TestNamespace

    beforeAll(() => {
      namespace = new TestNamespace()
    })

    afterAll(() => namespace?.remove())

    function programFor(body: string): string {
      return `
      const binding = require(${JSON.stringify(require.resolve('node-tuntap'))}).load()
      const open = (name, onBatch, onError = () => {}) => binding.open(name, {
        namespace: ${JSON.stringify(`/run/netns/${namespace.name}`)}, arena: new Uint8Array(1 << 17),
        packets: new Int32Array(256), counters: new Float64Array(14), onBatch, onError })
      const ip = (...args) => require('node:child_process').execFileSync('ip', ['-n', '${namespace.name}', ...args])
      ${body}`
    }

    function node(body: string): Promise<{ status: number | string; text: string }> {
      return new Promise(resolve => {
        execFile(
          process.execPath,
          ['--expose-gc', '-e', programFor(body)],
          { timeout: 15_000 },
          (error, stdout, stderr) => {
            resolve({ status: error?.code ?? 0, text: stdout + stderr })
          },
        )
      })
    }

    it('ends when the only device is unreferenced', async () => {
      expect(await node(`binding.unref(open('end0', () => {})); console.log('end')`)).toEqual({
        status: 0,
        text: 'end\n',
      })
    })

    it('goes on while a device is open, and ends when it is closed', async () => {
      const body = `const device = open('end1', () => {}); binding.unref(device); binding.ref(device)
      const before = Date.now(); setTimeout(() => binding.close(device), 50).unref()
      process.on('exit', () => console.log(Date.now() - before >= 50))`
      // The unreferenced timer runs only because the device keeps the loop alive.
      expect(await node(body)).toEqual({ status: 0, text: 'true\n' })
    })

    it('ends within a callback', async () => {
      const body = `open('end2', () => process.exit(7)); ip('link', 'set', 'end2', 'up')`
      expect(await node(body)).toEqual({ status: 7, text: '' })
    })

    it('reports what a callback throws as uncaught, and goes on', async () => {
      const body = `let calls = 0
      const device = open('end3', () => { calls++; throw new Error('thrown ' + calls) }, () => { throw new Error('last') })
      process.on('uncaughtException', error => {
        console.log(error.message)
        if (error.message === 'thrown 2') ip('link', 'delete', 'end3')
      })
      ip('link', 'set', 'end3', 'up')`
      const { status, text } = await node(body)
      expect(status).toBe(0)
      expect(text).toMatch(/^thrown 1\nthrown 2\n(thrown \d\n)*last\n$/)
    })

    it('frees what nobody holds any more, and nothing else', async () => {
      const body = `let calls = 0, kept = 0
      const collected = new FinalizationRegistry(() => collections++)
      let collections = 0
      const watch = value => { collected.register(value); return value }
      open('end4', () => kept++) // stays open although nobody holds it
      for (let round = 0; round < 20; round++) {
        const device = open('end5', watch(() => calls++))
        watch(binding.registerBatch(watch(new Uint8Array(9)), new Int32Array(256), new Int32Array(3069)))
        binding.close(watch(device))
      }
      let turns = 0
      const again = () => {
        gc()
        if (collections < 80 && turns++ < 500) return setTimeout(again, 2)
        ip('link', 'set', 'end4', 'up')
        setTimeout(() => { console.log(collections, kept > 0, calls); process.exit() }, 50)
      }
      again()`
      expect(await node(body)).toEqual({ status: 0, text: '80 true 0\n' })
    })

    it('refuses handles of the wrong kind', async () => {
      const body = `const device = open('end6', () => {}); binding.unref(device)
      const batch = binding.registerBatch(new Uint8Array(9), new Int32Array(256), new Int32Array(3069))
      const wrong = [() => binding.send(batch, device, 0, [], 0), () => binding.close(batch), () => binding.close({}),
        () => binding.send(device, batch, 65, [], 0), () => binding.send(device, batch), () => binding.ref(),
        () => binding.registerBatch(new Uint8Array(9), new Int32Array(255), new Int32Array(3069)),
        () => binding.open('x', {}), () => binding.open('x'.repeat(16), {}), () => binding.open()]
      for (const call of wrong) try { call(); console.log('no error', String(call)) } catch (error) {
        if (!(error instanceof TypeError)) console.log(String(call), error) }`
      expect(await node(body)).toEqual({ status: 0, text: '' })
    })

    it('closes the device of a worker that is stopped', async () => {
      const before = openTunDescriptors()
      const body = `open('work0', () => {}); require('node:worker_threads').parentPort.postMessage('open')`
      for (let round = 0; round < 3; round++) {
        const worker = new Worker(programFor(body), { eval: true })
        await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject))
        expect(namespace.ip('link', 'show', 'work0')).toContain('work0')
        await worker.terminate()
        expect(() => namespace.ip('link', 'show', 'work0')).toThrow()
      }
      expect(openTunDescriptors()).toBe(before)
    })
  },
)
