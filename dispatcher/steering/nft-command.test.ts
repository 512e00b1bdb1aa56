import { TestNamespace, whyNoNamespace } from '../../node/tun/test-namespace.ts'
import { NftCommand } from './nft-command.ts'

;(whyNoNamespace() === undefined ? describe : describe.skip)('NftCommand', () => {
  let namespace: TestNamespace
  let nft: NftCommand

  beforeAll(() => {
    namespace = new TestNamespace()
    nft = new NftCommand(5000, ['ip', 'netns', 'exec', namespace.name])
  })

  afterAll(() => {
    nft.close()
    namespace.remove()
  })

  it('runs one transaction after the other in the same helper', async () => {
    await nft.transact('add table netdev a\nadd table netdev b\n')
    await nft.transact('delete table netdev a\n')
    await nft.transact('')
    expect(await nft.run(['list', 'tables'])).toBe('table netdev b')
  })

  it('takes inputs larger than any pipe, whole', async () => {
    const keys = Array.from(
      { length: 20_000 },
      (_, index) => `10.${index >> 16}.${(index >> 8) & 255}.${index & 255}`,
    )
    const map = 'add table netdev c\nadd set netdev c s { type ipv4_addr; }\n'
    await nft.transact(`${map}add element netdev c s { ${keys.join(', ')} }\n`)
    const listed = JSON.parse(await nft.run(['-j', 'list', 'set', 'netdev', 'c', 's']))
    expect(listed.nftables[1].set.elem).toHaveLength(20_000)
    await nft.transact('delete table netdev c\n')
  })

  it('says what nft said when it refuses, does nothing of it, and goes on', async () => {
    const refused = nft.transact('add table netdev d\ndelete table netdev never\n')
    await expect(refused).rejects.toMatchObject({
      code: 'NFT_REFUSED',
      message: expect.stringContaining('No such file or directory'),
      detail: expect.stringContaining('delete table netdev never'),
    })
    expect(await nft.run(['list', 'tables'])).toBe('table netdev b')
  })

  it('starts a new helper when the old one is gone', async () => {
    await namespace.run('/bin/sh', '-c', 'kill -9 $(ip netns pids $0)', namespace.name).catch(() => {})
    // The end of a helper may only be noticed by the command that needed it.
    await nft.transact('add table netdev e\n').catch(error => expect(error.code).toBe('NFT_FAILED'))
    await expect(nft.transact('add table netdev e\n')).resolves.toBeUndefined()
  })

  it('ends a command that hangs', async () => {
    const slow = new NftCommand(200, ['/bin/sh', '-c', 'sleep 30'])
    await expect(slow.transact('')).rejects.toMatchObject({ code: 'NFT_FAILED' })
    slow.close()
  })

  it('says that nft is missing', async () => {
    const none = new NftCommand(5000, ['/usr/bin/env', 'PATH=/nonexistent:/tmp/none'])
    await expect(none.transact('')).rejects.toMatchObject({ code: 'NFT_MISSING' })
    none.close()
  })

  it('refuses after it was closed, and leaves no helper', async () => {
    const closed = new NftCommand(5000, ['ip', 'netns', 'exec', namespace.name])
    const running = closed.run(['list', 'tables'])
    const refused = expect(running).rejects.toMatchObject({ code: 'NFT_FAILED' })
    closed.close()
    await refused
    await expect(closed.transact('')).rejects.toMatchObject({ code: 'STEERING_STOPPED' })
  })
})
