import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { TestNamespace, whyNoNamespace } from '../node/tun/test-namespace.ts'

/** Compiled by the set-up that runs before the tests. */
const MAIN = join(__dirname, '..', 'dist', 'dispatcher', 'main.js')

;(whyNoNamespace() === undefined ? describe : describe.skip)('gyre serve', () => {
  let namespace: TestNamespace
  let root: string

  beforeAll(() => {
    namespace = new TestNamespace()
    root = mkdtempSync(join(tmpdir(), 'gyre-serve-'))
    writeFileSync(join(root, 'index.html'), 'alone')
    // A machine of its own: some address, and a way to everywhere.
    namespace.ip('address', 'add', '10.99.7.2/24', 'dev', 'lo')
    namespace.ip('-6', 'address', 'add', 'fd99:7::2/64', 'dev', 'lo', 'nodad')
  })

  afterAll(() => {
    namespace?.remove()
    if (root !== undefined) rmSync(root, { recursive: true })
  })

  it('serves its own machine over both families until it is told to end', async () => {
    const vips = ['--vip', '10.99.8.1', '--vip6', 'fd99:8::1']
    const server = namespace.start(process.execPath, MAIN, 'serve', ...vips, '--root', root)
    const curl = ['--silent', '--retry', '40', '--retry-delay', '1', '--retry-all-errors', '--max-time', '15']
    expect(await namespace.run('curl', ...curl, 'http://10.99.8.1/')).toBe('alone')
    expect(await namespace.run('curl', ...curl, '-g', 'http://[fd99:8::1]/')).toBe('alone')
    const ended = new Promise(resolve => server.once('exit', resolve))
    server.kill('SIGTERM')
    expect(await ended).toBe(0)
    expect(namespace.ip('link', 'show')).not.toContain('tun0')
  }, 30_000)
})
