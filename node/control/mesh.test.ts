/** The links of processes that know each other by their addresses alone: a node and its dispatchers. */
import { createIncarnation, type Hello, PROTOCOL_VERSION } from './hello.ts'
import { createKeyText, type LinkKeys, parseLinkKeys } from './link-keys.ts'
import { Mesh } from './mesh.ts'
import { until } from './test-until.ts'

const closing: Mesh[] = []

afterEach(async () => {
  for (const mesh of closing.splice(0).reverse()) await mesh.close()
})

function keysOf(text: string): LinkKeys {
  const keys = parseLinkKeys(text)
  if (typeof keys === 'string') throw new Error(keys)
  return keys
}

function meshOf(ownerId: number, role: Hello['role'], keys: LinkKeys) {
  const messages: unknown[] = []
  const failures: string[] = []
  const hello: Hello = {
    ...{ protocol: PROTOCOL_VERSION, cluster: 'test', ownerId, role, name: `owner${ownerId}` },
    incarnation: createIncarnation(1_800_000_000_000, () => ownerId / 1_000),
    ...{ addresses: [], capabilities: [] },
  }
  const mesh = new Mesh({
    ...{ hello: () => hello, keys, random: () => 0.5 },
    onMessage: (link, message) => void messages.push([link.peer.ownerId, message]),
    onUp: () => {},
    onDown: () => {},
    onFailure: (_address, error) => void failures.push(error.code),
  })
  closing.push(mesh)
  return { mesh, messages, failures }
}

it('links whoever answers at each address, by the key, and finds them by their ids', async () => {
  const keys = keysOf(createKeyText())
  const dispatchers = [meshOf(0, 'dispatcher', keys), meshOf(201, 'dispatcher', keys)]
  const node = meshOf(1, 'node', keys)
  const ports = await Promise.all(dispatchers.map(({ mesh }) => mesh.listen(0, '127.0.0.1')))
  const addresses = ports.map(({ port }) => `127.0.0.1:${port}`)
  node.mesh.dial(addresses)
  await until(() => [0, 201].every(id => node.mesh.isUp(id)))
  // Who the nodes are is said later, and changes nothing of these.
  node.mesh.setPeers([])
  for (const id of [0, 201]) expect(node.mesh.send(id, ['hello', id])).toBe(true)
  await until(() => dispatchers.every(({ messages }) => messages.length === 1))
  expect(dispatchers.map(({ messages }) => messages)).toEqual([[[1, ['hello', 0]]], [[1, ['hello', 201]]]])
  await dispatchers[0]?.mesh.close()
  await until(() => !node.mesh.isUp(0))
  expect(node.mesh.isUp(201)).toBe(true)
  // Named no more, a link stays for as long as it is up.
  node.mesh.dial(addresses.slice(0, 1))
  expect([node.mesh.isUp(201), node.mesh.dials(addresses[1] ?? '')]).toEqual([true, true])
  await dispatchers[1]?.mesh.close()
  await until(() => !node.mesh.dials(addresses[1] ?? ''))
  expect(node.mesh.dials(addresses[0] ?? '')).toBe(true)
  await node.mesh.close()
}, 60_000)

it('has no link where the key is another', async () => {
  const dispatcher = meshOf(0, 'dispatcher', keysOf(createKeyText()))
  const node = meshOf(1, 'node', keysOf(createKeyText()))
  const { port } = await dispatcher.mesh.listen(0, '127.0.0.1')
  node.mesh.dial([`127.0.0.1:${port}`])
  await until(() => node.failures.length > 0)
  expect(node.failures[0]).toBe('UNAUTHENTICATED')
  expect(node.mesh.isUp(0)).toBe(false)
}, 60_000)
