import { execFile } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Compiled by the set-up that runs before the tests. */
const MAIN = join(__dirname, '..', 'dist', 'dispatcher', 'main.js')

interface Ended {
  readonly status: number
  readonly out: string
  readonly said: string
}

function gyre(...args: string[]): Promise<Ended> {
  return new Promise(resolve => {
    execFile(process.execPath, [MAIN, ...args], { timeout: 60_000 }, (error, out, said) => {
      resolve({ status: typeof error?.code === 'number' ? error.code : error === null ? 0 : -1, out, said })
    })
  })
}

it('is compiled', () => {
  expect(existsSync(MAIN)).toBe(true)
})

const ROLE = ['--address', '10.78.0.2', '--listen', '10.78.0.2:7700', '--lan', 'eth0']
const LINK = ['--dispatcher', 'ws://10.78.0.2:7700']

it.each([
  ['up --nodes 0'],
  ['up --nodes 201'],
  ['up --nodes three'],
  ['up --vip 10.77.0'],
  ['up --vip 10.78.0.9 --name t-flags'],
  ['up --vip6 fe80::1'],
  ['up --port 65536'],
  ['up --admin 8077'],
  ['up --mode move'],
  ['up --steering none'],
  ['up --policy best'],
  ['up --ping 5ms'],
  ['up --recover-after 250'],
  ['up --suspect-after 150ms --name t-flags'],
  ['up --link-rate fast'],
  ['up --name Gyre'],
  ['up --name ../x'],
  ['up --root /no/such/folder --name t-flags'],
  ['up --bogus'],
  ['down --name a/b'],
  ['gateway --wan wan0 --lan lan0'],
  [`gateway --wan wan0;x --lan lan0 ${LINK.join(' ')}`],
  [`node --id 256 ${[...ROLE, ...LINK].join(' ')}`],
  [`node --id 1 ${ROLE.join(' ')}`],
  [`node ${[...ROLE, ...LINK].join(' ')}`],
  [`node --nats nats://127.0.0.1 ${[...ROLE, ...LINK].join(' ')}`],
  [`node --nats nats://127.0.0.1 --instances 2 ${ROLE.join(' ')}`],
  [`node --nats nats://10.78.0.2 --key /no/such/key ${ROLE.join(' ')}`],
  [`dispatcher --nats nats://u:p@127.0.0.1 ${ROLE.join(' ')}`],
  [`dispatcher --id 0 ${ROLE.join(' ')} --admin 127.0.0.1:1 --admin-fd 3`],
  [`dispatcher --id 0 ${ROLE.join(' ')} --admin-fd 1`],
  [`dispatcher --id 0 ${ROLE.join(' ')} --plain-links --ping 200ms`],
  [`gateway --wan wan0 --lan lan0 ${LINK.join(' ')} --plain-links --health 8810`],
  [`dispatcher --id 0 ${ROLE.join(' ')} --cache-octets 10`],
  [`dispatcher --id 0 ${ROLE.join(' ')}`],
  [`node --id 1 ${[...ROLE, ...LINK].join(' ')}`],
  [`node --id 1 ${[...ROLE, ...LINK].join(' ')} --instances 2`],
  [`gateway --wan wan0 --lan lan0 ${LINK.join(' ')}`],
  [`node --id 1 ${[...ROLE, ...LINK].join(' ')} --key /no/such/key`],
  ['key /no/such/folder/key'],
  [`dispatcher --id 0 ${ROLE.join(' ')} --plain-links --user nobody --client-namespace x`],
  ['bogus'],
])('refuses "gyre %s" with one line and exit code 1', async line => {
  const { status, out, said } = await gyre(...line.split(' '))
  expect(said).toMatch(/^error: [^\n]+\n$/)
  expect(out).toBe('')
  expect(status).toBe(1)
})

it('shows every command, and the flags of each', async () => {
  const all = await gyre('--help')
  expect(all.status).toBe(0)
  const commands = ['up', 'down', 'gateway', 'dispatcher', 'node', 'status', 'connections', 'shift', 'check']
  for (const command of commands) {
    expect(all.out).toMatch(new RegExp(`^  ${command} `, 'm'))
  }
  const up = await gyre('up', '--help')
  for (const flag of [
    'nodes',
    'root',
    'vip',
    'vip6',
    'port',
    'admin',
    'mode',
    'steering',
    'link-rate',
    'name',
  ]) {
    expect(up.out).toContain(`--${flag} `)
  }
})

it('says that there is nothing to end', async () => {
  const name = `t${process.pid}-none`
  const { status, out } = await gyre('down', '--name', name)
  if (process.getuid?.() !== 0) return expect(status).toBe(1)
  expect(out).toBe(`no cluster named ${name} runs here\n`)
  expect(status).toBe(0)
})

describe('a configuration file', () => {
  let folder: string

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'gyre-main-'))
  })

  afterEach(() => {
    rmSync(folder, { recursive: true, force: true })
  })

  function write(text: string): string {
    const file = join(folder, 'gyre.config.ts')
    writeFileSync(file, text)
    return file
  }

  it('is checked, with all that is wrong', async () => {
    const file = write(
      'export default { port: 0, prot: 1, sites: { "a b": { root: "." } } } satisfies object',
    )
    const { status, out, said } = await gyre('check', file)
    expect(status).toBe(1)
    expect(out).toBe('')
    expect(said.trim().split('\n')).toEqual([
      `${file}: port: expected 1 to 65535, found 0`,
      expect.stringContaining(`${file}: sites["a b"]: expected a host name`),
      `${file}: prot: unknown setting; did you mean port?`,
    ])
  })

  it('is checked, and right', async () => {
    const file = write(
      "import { defineConfig } from 'gyre/config'\nexport default defineConfig({ root: '.' })",
    )
    expect(await gyre('check', file)).toEqual({ status: 0, out: `${file}: ok, 1 site\n`, said: '' })
  })

  it('is not there', async () => {
    const { status, said } = await gyre('check', join(folder, 'none.json'))
    expect(status).toBe(1)
    expect(said).toMatch(/none\.json: cannot be read: ENOENT[^\n]*\n$/)
  })

  it.each([
    ['node', 'port: expected 1 to 65535'],
    ['up', 'port: expected 1 to 65535'],
  ])('that is wrong keeps gyre %s from starting', async (command, message) => {
    const file = write('export default { port: 0 }')
    const { status, said } = await gyre(command, '--config', file)
    expect(said).toMatch(/^error: [^\n]+\n$/)
    expect(said).toContain(message)
    expect(status).toBe(1)
  })

  it('says what a required flag would, and a flag wins over it', async () => {
    const address = '10.78.0.11'
    const process = { id: 300, address, listen: `${address}:7700`, lan: 'eth0' }
    const config = { ...process, dispatcher: 'ws://10.78.0.2:7700' }
    const file = write(`export default ${JSON.stringify(config)}`)
    const { said } = await gyre('node', '--config', file)
    expect(said).toBe('error: owner id 300 does not fit 8 bits\n')
    const other = await gyre('node', `--config=${file}`, '--id', '301')
    expect(other.said).toBe('error: owner id 301 does not fit 8 bits\n')
  })
})
