import {
  addFlowsText,
  deleteFlowsText,
  hopElementsText,
  type TableSpec,
  tableName,
  tableText,
} from './nft-rules.ts'
import { Totals } from './totals.ts'

const SPEC: TableSpec = {
  kind: 'gateway',
  table: tableName('gyre', 'gateway'),
  service: { vip: '10.77.0.1', vip6: 'fd77::1', port: 80 },
  inDevices: ['wan0', 'host0'],
  outDevice: 'lan0',
  ownerIdBits: 8,
}

const T: TableSpec = { ...SPEC, table: 't' }

describe('tableText', () => {
  it('is the table of a gateway', () => {
    expect(tableText(SPEC)).toMatchSnapshot()
  })

  it('is the table of a relay, without owners and without IPv6', () => {
    const service = { ...SPEC.service, vip6: undefined, port: 8080 }
    const relay: TableSpec = { ...SPEC, kind: 'relay', service, inDevices: ['eth0'], outDevice: 'eth0' }
    expect(tableText({ ...relay, table: tableName('gyre', 'relay') })).toMatchSnapshot()
  })

  it('is the table of a machine with several instances, whose hops are devices', () => {
    const instances: TableSpec = { ...SPEC, kind: 'instances', inDevices: ['eth0'] }
    expect(tableText({ ...instances, table: tableName('gyre', 'instances') })).toMatchSnapshot()
  })

  it('spreads over several dispatchers what nothing steers, and ICMP', () => {
    const text = tableText({ ...SPEC, spreads: true })
    expect(text).toContain('map slots4 { typeof numgen inc mod 256 : ip daddr; size 256; }')
    expect(text).toContain(
      [
        '    counter name "unsteered6"',
        '    fwd ip6 to jhash ip6 saddr . tcp sport mod 256 seed 0x67797265 map @slots6 device "lan0"',
        '  }',
      ].join('\n'),
    )
    expect(text).toMatch(
      /ip daddr 10\.77\.0\.1 meta l4proto icmp fwd ip to jhash ip saddr mod 256 .* @slots4/,
    )
    expect(hopElementsText(SPEC, 'add', 'slots', [{ family: 4, key: 255, hop: '10.78.0.3' }])).toBe(
      'add element netdev gyre_gyre slots4 { 255 : 10.78.0.3 }\n',
    )
  })

  it.each([
    [1, '& 0x1 '],
    [8, '& 0xff '],
    [10, '& 0x3ff '],
  ])('takes %i bits of the timestamp for the owner id', (ownerIdBits, mask) => {
    expect(tableText({ ...SPEC, ownerIdBits })).toContain(mask)
  })
})

describe('tableName', () => {
  it('is an identifier of nft, and different for different clusters', () => {
    const names = ['gyre', 'gyre-2', 'gyre_2d_2', 'a.b', 'map'].map(name => tableName(name, 'gateway'))
    for (const name of names) expect(name).toMatch(/^[a-z][a-zA-Z0-9_]*$/)
    expect(new Set(names).size).toBe(names.length)
    expect(tableName('gyre', 'gateway')).not.toBe(tableName('gyre', 'relay'))
  })
})

describe('elements', () => {
  const flow = {
    family: 4,
    address: '192.0.2.1',
    port: 5000,
    key: '',
    owner: 3,
    expiresAt: 61_500,
    hop: '10.78.0.13',
  } as const
  const flow6 = { ...flow, family: 6, address: '2001:db8::1', hop: 'fd78::d' } as const

  it('of owners', () => {
    const owners = [
      { family: 4, key: 3, hop: '10.78.0.13' },
      { family: 6, key: 3, hop: 'fd78::d' },
    ] as const
    expect(hopElementsText(T, 'add', 'owners', owners)).toBe(
      'add element netdev t owners4 { 3 : 10.78.0.13 }\nadd element netdev t owners6 { 3 : fd78::d }\n',
    )
    expect(hopElementsText(T, 'delete', 'owners', owners)).toBe(
      'delete element netdev t owners4 { 3 }\ndelete element netdev t owners6 { 3 }\n',
    )
  })

  it('of flows outlive ours in the kernel by a minute', () => {
    expect(addFlowsText(T, [flow, flow6], 1500)).toBe(
      'add element netdev t flows4 { 192.0.2.1 . 5000 timeout 120s : 10.78.0.13 }\n' +
        'add element netdev t flows6 { 2001:db8::1 . 5000 timeout 120s : fd78::d }\n',
    )
    expect(deleteFlowsText(T, [flow])).toBe('delete element netdev t flows4 { 192.0.2.1 . 5000 }\n')
  })

  it('name the devices of instances in quotes', () => {
    const spec: TableSpec = { ...T, kind: 'instances' }
    expect(hopElementsText(spec, 'add', 'owners', [{ family: 4, key: 3, hop: 'tun1' }])).toBe(
      'add element netdev t owners4 { 3 : "tun1" }\n',
    )
    expect(addFlowsText(spec, [{ ...flow, hop: 'tun1' }], 1500)).toBe(
      'add element netdev t flows4 { 192.0.2.1 . 5000 timeout 120s : "tun1" }\n',
    )
  })

  it('go at most a thousand in a command', () => {
    const flows = Array.from({ length: 2500 }, (_, port) => ({ ...flow, port }))
    expect(deleteFlowsText(T, flows).match(/delete element/g)).toHaveLength(3)
    expect(deleteFlowsText(T, [])).toBe('')
  })
})

describe('Totals', () => {
  it('adds both families, and tells by what was steered', () => {
    const totals = new Totals()
    const counter = (name: string, packets: number) => ({ counter: { name, packets, bytes: packets * 100 } })
    const counters = [
      { metainfo: {} },
      ...[counter('packets4', 10), counter('unnamed4', 4), counter('unsteered4', 3)],
      ...[counter('packets6', 5), counter('unnamed6', 1), counter('unsteered6', 1)],
    ]
    totals.parse(JSON.stringify({ nftables: counters }))
    const elem = [[{ elem: { val: 3, counter: { packets: 7, bytes: 700 } } }, '10.78.0.13']]
    totals.parse(JSON.stringify({ nftables: [{ map: { elem } }] }))
    totals.parse(JSON.stringify({ nftables: [{ map: { elem: [[3, '10.78.0.13']] } }, { map: {} }] }))
    expect(totals.counters()).toEqual({
      packets: 15,
      octets: 1500,
      byOwner: 10,
      byFlow: 1,
      unsteered: 4,
      owners: [{ owner: 3, packets: 7, octets: 700 }],
    })
  })
})
