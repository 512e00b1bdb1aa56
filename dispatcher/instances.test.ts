import { type InstancesOptions, instancesOf } from './instances.ts'

const OPTIONS: InstancesOptions = {
  cluster: 'gyre',
  name: 'node1',
  id: 1,
  instances: 3,
  ownerIdBits: 8,
  vip: '10.77.0.1',
  vip6: undefined,
  config: undefined,
  port: 80,
  address: '10.78.0.11',
  address6: undefined,
  listen: { host: '10.78.0.11', port: 7700 },
  dispatchers: [{ host: '10.78.0.2', port: 7700 }],
  root: '/srv',
  cacheOctets: 900,
  mode: 'shift',
  lan: 'eth0',
  tun: 'tun0',
  pcap: '/tmp/run-node1.pcapng',
  pcapOctets: 1_000_000,
  app: '/srv/chat.js',
}

describe('the instances of a node', () => {
  it('are owners of their own that share the machine’s address and memory', () => {
    expect(
      instancesOf(OPTIONS).map(({ id, name, tun, listen, cacheOctets, address }) => [
        ...[id, name, tun, listen.port, cacheOctets, address],
      ]),
    ).toEqual([
      [1, 'node1.1', 'tun0', 7700, 300, '10.78.0.11'],
      [2, 'node1.2', 'tun1', 7701, 300, '10.78.0.11'],
      [3, 'node1.3', 'tun2', 7702, 300, '10.78.0.11'],
    ])
  })

  it.each([
    ['tun7', ['tun7', 'tun8', 'tun9']],
    ['gyre', ['gyre0', 'gyre1', 'gyre2']],
    ['a1b9', ['a1b9', 'a1b10', 'a1b11']],
  ])('count their devices on from %s', (tun, devices) => {
    expect(instancesOf({ ...OPTIONS, tun }).map(instance => instance.tun)).toEqual(devices)
  })

  it('record into files of their own', () => {
    expect(instancesOf(OPTIONS).map(instance => instance.pcap)).toEqual(
      [1, 2, 3].map(number => `/tmp/run-node1-${number}.pcapng`),
    )
    expect(instancesOf({ ...OPTIONS, pcap: undefined })[0]?.pcap).toBeUndefined()
  })

  it('refuse a name that Linux does not take', () => {
    expect(() => instancesOf({ ...OPTIONS, tun: 'fifteen-octets9' })).toThrow(/too long/)
  })
})
