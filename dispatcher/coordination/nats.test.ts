/** Coordination by a real nats-server that is killed, paused, and loses what it stored. */
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createAccount, createOperator, createUser, type KeyPair } from '@nats-io/nkeys'
import type { LeaseTimes } from './asking.ts'
import type { Lease } from './coordinator.ts'
import { EngineCoordinator, type Participant } from './engine-coordinator.ts'
import { type EngineOptions, engineSecrets } from './engine-options.ts'
import { formatHolder, leaseKey } from './holder.ts'
import { NatsStore } from './nats-store.ts'
import { TestEngine } from './test-engine.ts'

const TIMES: LeaseTimes = { leaseMs: 1_000, renewMs: 100 }
const WAIT_MS = 40_000
const CLUSTER = 'test.a_b'
const BUCKET = 'gyre-test_da__b'
const silent = () => {}

let engine: TestEngine
const open: Party[] = []

interface Party {
  readonly coordinator: EngineCoordinator
  readonly store: NatsStore
  readonly lost: string[]
  readonly said: string[]
  dialed: readonly string[]
}

function options(more: Partial<EngineOptions> = {}, at = engine): EngineOptions {
  return { servers: [{ host: '127.0.0.1', port: at.port }], tls: false, ...more }
}

async function storeOf(more: Partial<EngineOptions> = {}, at = engine): Promise<NatsStore> {
  const all = options(more, at)
  return NatsStore.open(all, await engineSecrets(all, false), CLUSTER, 'test', silent)
}

async function party(name: string, self: Partial<Participant> = {}): Promise<Party> {
  const store = await storeOf()
  const lost: string[] = []
  const said: string[] = []
  const coordinator = new EngineCoordinator(
    store,
    { role: 'node', name, ownerIdBits: 6, control: undefined, ...self },
    {
      now: () => performance.now(),
      say: text => said.push(text),
      lost: ({ message }) => lost.push(message),
    },
    TIMES,
  )
  const made: Party = { coordinator, store, lost, said, dialed: [] }
  open.push(made)
  return made
}

async function until(what: () => boolean | Promise<boolean>): Promise<void> {
  for (const end = performance.now() + WAIT_MS; !(await what()); ) {
    if (performance.now() > end) throw new Error(`waited in vain for ${what}`)
    await new Promise(resolve => setTimeout(resolve, 10))
  }
}

/** Until an engine that was away is known to answer again, and the lease was renewed there. */
async function renewedAt(store: NatsStore, { id }: Lease): Promise<void> {
  const revision = async () => (await store.get(leaseKey(id)).catch(() => undefined))?.revision ?? 0
  let before = 0
  await until(async () => {
    before = await revision()
    return before > 0
  })
  await until(async () => (await revision()) > before)
}

/** A process that did not run for a while has to ask first. */
const permitted = ({ permits }: Lease) => permits?.(performance.now()) === true
const away = ({ coordinator }: Party) => coordinator.report().awayMs !== null

/** Ends orderly. */
async function closed(party: Party): Promise<void> {
  open.splice(open.indexOf(party), 1)
  await party.coordinator.close()
}

beforeEach(async () => {
  engine = await TestEngine.start()
})
afterEach(async () => {
  engine.goOn()
  await Promise.all(open.splice(0).map(({ coordinator }) => coordinator.close()))
  await engine.stop()
}, 60_000)

it('writes by compare-and-set', async () => {
  const store = await storeOf()
  expect(await store.get('owner.1')).toBeUndefined()
  const first = await store.set('owner.1', 'a', 0)
  expect(await store.set('owner.1', 'b', 0)).toBeUndefined()
  const second = await store.set('owner.1', 'c', first ?? 0)
  expect(await store.set('owner.1', 'd', first ?? 0)).toBeUndefined()
  expect(await store.get('owner.1')).toEqual({ value: 'c', revision: second })
  await store.close()
}, 60_000)

it('gives 20 processes that start at once 20 ids, and a released one to the next', async () => {
  const parties = await Promise.all(Array.from({ length: 20 }, () => party('the same')))
  const leases = await Promise.all(parties.map(({ coordinator }) => coordinator.lease(undefined)))
  expect(new Set(leases.map(({ id }) => id)).size).toBe(20)
  await until(() => leases.every(permitted))
  const [gone] = leases as [Lease]
  const [, other] = leases as [Lease, Lease]
  await closed(parties[0] as Party)
  const next = await (await party('next')).coordinator.lease(gone.id)
  expect([next.id, next.run > gone.run]).toEqual([gone.id, true])
  await expect((await party('late')).coordinator.lease(other.id)).rejects.toMatchObject({
    code: 'OWNER_ID_IN_USE',
    message: `owner id ${other.id} is in use, by the node the same`,
  })
}, 90_000)

it('gives the id of a process that died to another, and tells a process that lost its own', async () => {
  const [dead, robbed] = await Promise.all([party('dead'), party('robbed')])
  const lease = await dead.coordinator.lease(7)
  const own = await robbed.coordinator.lease(8)
  // As a process that is killed leaves it.
  await dead.store.close()
  const next = await (await party('next')).coordinator.lease(7)
  expect(next.run > lease.run).toBe(true)

  const store = await storeOf()
  const stranger = formatHolder({ run: 'fffffffffff00000', name: 'x', role: 'node', released: false })
  await until(async () => {
    const { revision } = (await store.get(leaseKey(8))) ?? { revision: 0 }
    return (await store.set(leaseKey(8), stranger, revision)) !== undefined
  })
  await until(() => robbed.lost.length > 0)
  expect(robbed.lost).toEqual(['owner id 8 was taken by the node x'])
  expect(own.permits?.(performance.now())).toBe(false)
  await store.close()
}, 90_000)

it.each([
  ['with what it stored', false],
  ['without', true],
])(
  'an engine that was killed comes back %s: all keep their ids',
  async (_, isLost) => {
    const parties = await Promise.all([party('a'), party('b'), party('c')])
    const leases = await Promise.all(parties.map(({ coordinator }) => coordinator.lease(undefined)))
    await engine.kill()
    await until(() => parties.every(away))
    // For longer than a lease: nobody is any the worse for it.
    await new Promise(resolve => setTimeout(resolve, 1.5 * TIMES.leaseMs))
    await until(() => leases.every(permitted))
    if (isLost) engine.loseStorage()
    await engine.run()
    const late = party('late')
    await until(() => !parties.some(away))
    const watched = await storeOf()
    for (const lease of leases) await renewedAt(watched, lease)
    let refusal = ''
    const wanting = (await late).coordinator.lease(leases[0]?.id)
    wanting.catch(({ code }) => {
      refusal = code
    })
    await until(() => refusal === 'OWNER_ID_IN_USE')
    expect(parties.flatMap(({ lost }) => lost)).toEqual([])
    const said = [expect.stringMatching(/does not answer/), 'the engine answers again']
    expect(parties[0]?.said).toEqual(expect.arrayContaining(said))
    await watched.close()
  },
  120_000,
)

it('an engine that does not run for longer than a lease takes no id from anybody', async () => {
  const holder = await party('holder')
  const lease = await holder.coordinator.lease(9)
  const wanting = (await party('wanting')).coordinator.lease(9)
  const refused = expect(wanting).rejects.toMatchObject({ code: 'OWNER_ID_IN_USE' })
  await new Promise(resolve => setTimeout(resolve, TIMES.leaseMs / 2))
  engine.pause()
  await until(() => away(holder))
  await new Promise(resolve => setTimeout(resolve, 2 * TIMES.leaseMs))
  await until(() => permitted(lease))
  engine.goOn()
  await refused
  await until(() => !away(holder))
  expect(holder.lost).toEqual([])
}, 90_000)

it('tells where the dispatchers are, as they come, leave and die', async () => {
  const at = (port: number) => ({ role: 'dispatcher', control: `10.0.0.1:${port}` }) as const
  const node = await party('gateway', { role: 'gateway' })
  node.coordinator.watch(addresses => {
    node.dialed = addresses
  })
  const dispatchers = await Promise.all([1, 2, 3].map(port => party(`d${port}`, at(port))))
  for (const [index, dispatcher] of dispatchers.entries()) {
    await dispatcher.coordinator.lease(10 + index)
    dispatcher.coordinator.watch(addresses => {
      dispatcher.dialed = addresses
    })
  }
  await until(() => `${node.dialed}` === '10.0.0.1:1,10.0.0.1:2,10.0.0.1:3')
  // Each pair has one link.
  await until(() => `${dispatchers.map(({ dialed }) => dialed.length)}` === '0,1,2')
  await closed(dispatchers[0] as Party)
  await until(() => `${node.dialed}` === '10.0.0.1:2,10.0.0.1:3')
  await dispatchers[1]?.store.close()
  await until(() => `${node.dialed}` === '10.0.0.1:3')
  // The storage is lost: the next that they hear is what the dispatcher says again.
  await engine.kill()
  engine.loseStorage()
  await engine.run()
  const late = await party('late')
  late.coordinator.watch(addresses => {
    late.dialed = addresses
  })
  await until(() => `${late.dialed}` === '10.0.0.1:3')
  expect(node.dialed).toEqual(['10.0.0.1:3'])
}, 120_000)

it('is spoken to by TLS, with certificates of both sides', async () => {
  const made = await TestEngine.start(folder => {
    makeCertificates(folder)
    const file = (name: string) => join(folder, name)
    return [
      '--tlsverify',
      '--tlscert',
      file('server.pem'),
      '--tlskey',
      file('server.key'),
      '--tlscacert',
      file('ca.pem'),
    ]
  })
  const file = (name: string) => join(made.folder, name)
  try {
    const files = { tls: true, ca: file('ca.pem'), cert: file('client.pem'), key: file('client.key') }
    const store = await storeOf(files, made)
    expect(await store.set('a', 'b', 0)).toBeGreaterThan(0)
    await store.close()
    const refused = { code: 'ENGINE_REFUSED', message: expect.stringMatching(/certificate/) }
    await expect(storeOf({ tls: true, ca: file('client.pem') }, made)).rejects.toMatchObject(refused)
    const elsewhere = [{ host: 'localhost', port: made.port }]
    await expect(storeOf({ ...files, servers: elsewhere }, made)).rejects.toMatchObject({
      code: 'ENGINE_REFUSED',
      message: expect.stringMatching(/altnames/),
    })
  } finally {
    await made.stop()
  }
}, 60_000)

it('is told who we are by a file with credentials', async () => {
  const made = await TestEngine.start(folder => ['-c', writeAccounts(folder)])
  try {
    const store = await storeOf({ creds: join(made.folder, 'user.creds') }, made)
    const revision = await store.set('a', 'b', 0)
    expect(await store.get('a')).toEqual({ value: 'b', revision })
    await store.close()
    await expect(storeOf({}, made)).rejects.toMatchObject({ code: 'ENGINE_REFUSED' })
    const wrong = join(made.folder, 'wrong.creds')
    writeFileSync(wrong, 'nothing', { mode: 0o600 })
    await expect(storeOf({ creds: wrong }, made)).rejects.toMatchObject({ code: 'ENGINE_FILE' })
  } finally {
    await made.stop()
  }
}, 60_000)

/** An operator, an account and a user, as `nsc` makes them; the server's configuration. */
function writeAccounts(folder: string): string {
  const [operator, system, account, user] = [createOperator(), createAccount(), createAccount(), createUser()]
  const none = { subs: -1, data: -1, payload: -1 }
  const limits = { ...none, imports: -1, exports: -1, wildcards: true, conn: -1, leaf: -1 }
  const storage = { mem_storage: -1, disk_storage: -1, streams: -1, consumer: -1 }
  const operatorJwt = tokenOf(operator, operator, { type: 'operator', version: 2 })
  const systemJwt = tokenOf(operator, system, { type: 'account', version: 2, limits })
  const accountJwt = tokenOf(operator, account, {
    type: 'account',
    version: 2,
    limits: { ...limits, ...storage },
  })
  // What SECURITY.md says is enough.
  const streams = ['INFO', 'CREATE', 'MSG.GET'].map(what => `$JS.API.STREAM.${what}.KV_${BUCKET}`)
  const rights = {
    pub: { allow: [`$KV.${BUCKET}.>`, '$JS.API.INFO', ...streams] },
    sub: { allow: ['_INBOX.>'] },
  }
  const userJwt = tokenOf(account, user, { type: 'user', version: 2, ...none, ...rights })
  const seed = Buffer.from(user.getSeed()).toString()
  const part = (what: string, text: string) => `-----BEGIN ${what}-----\n${text}\n------END ${what}------\n\n`
  const creds = part('NATS USER JWT', userJwt) + part('USER NKEY SEED', seed)
  writeFileSync(join(folder, 'user.creds'), creds, { mode: 0o600 })
  const lines = [
    `operator: "${operatorJwt}"`,
    'resolver: MEMORY',
    `system_account: ${system.getPublicKey()}`,
    `resolver_preload: { ${system.getPublicKey()}: "${systemJwt}", ${account.getPublicKey()}: "${accountJwt}" }`,
  ]
  const file = join(folder, 'server.conf')
  writeFileSync(file, `${lines.join('\n')}\n`)
  return file
}

function tokenOf(by: KeyPair, of: KeyPair, nats: object): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const claims = {
    jti: 'x',
    iat: 1_700_000_000,
    iss: by.getPublicKey(),
    name: 'x',
    sub: of.getPublicKey(),
    nats,
  }
  const text = `${part({ typ: 'JWT', alg: 'ed25519-nkey' })}.${part(claims)}`
  return `${text}.${Buffer.from(by.sign(Buffer.from(text))).toString('base64url')}`
}

function makeCertificates(folder: string): void {
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: folder, stdio: 'ignore' })
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2']
  openssl('req', '-x509', ...key, '-keyout', 'ca.key', '-out', 'ca.pem', '-subj', '/CN=test')
  writeFileSync(join(folder, 'names'), 'subjectAltName=IP:127.0.0.1')
  for (const who of ['server', 'client']) {
    openssl('req', ...key.slice(0, 5), '-keyout', `${who}.key`, '-out', `${who}.csr`, '-subj', `/CN=${who}`)
    const by = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2', '-extfile', 'names']
    openssl('x509', '-req', '-in', `${who}.csr`, ...by, '-out', `${who}.pem`)
  }
}

it('refuses what does not fit', async () => {
  const remote = [{ host: '10.0.0.1', port: 4222 }]
  await expect(engineSecrets(options({ servers: remote }), false)).rejects.toMatchObject({
    code: 'ENGINE_UNPROTECTED',
  })
  expect(await engineSecrets(options({ servers: remote }), true)).toEqual({})
  await expect(engineSecrets(options({ cert: 'x' }), true)).rejects.toMatchObject({ code: 'ENGINE_FILE' })
  await expect(engineSecrets(options({ ca: '/none' }), true)).rejects.toMatchObject({ code: 'ENGINE_FILE' })
  const creds = join(engine.folder, 'creds')
  writeFileSync(creds, 'nothing', { mode: 0o644 })
  await expect(engineSecrets(options({ creds }), true)).rejects.toMatchObject({ code: 'KEY_EXPOSED' })
}, 60_000)
