import {
  bitRate,
  controlUrls,
  device,
  devices,
  endpoint,
  engineUrls,
  integer,
  ipv4,
  ipv6,
  ipv6OrNone,
  name,
  octets,
  originUrl,
} from './flags.ts'

const NINE_DISPATCHERS = Array.from({ length: 9 }, (_, index) => `ws://d${index}:7700`).join(',')

it.each([
  [integer(1, 200), '200', 200],
  [octets(1_024, 2_048), '1KiB', 1_024],
  [octets(1_024, 2_048), '2048', 2_048],
  [ipv4, '10.77.0.1', '10.77.0.1'],
  [ipv6, 'FD77:0:0::1', 'fd77::1'],
  [ipv6OrNone, 'none', 'none'],
  [endpoint, '127.0.0.1:0', { host: '127.0.0.1', port: 0 }],
  [endpoint, '[::1]:8077', { host: '::1', port: 8077 }],
  [endpoint, 'localhost:80', { host: 'localhost', port: 80 }],
  [controlUrls, 'ws://10.78.0.2:7700', [{ host: '10.78.0.2', port: 7700 }]],
  [
    controlUrls,
    'ws://[fd78::2]:7700/,ws://d2:7700,ws://d2:7700',
    [
      { host: 'fd78::2', port: 7700 },
      { host: 'd2', port: 7700 },
    ],
  ],
  [device, 'eth0.7', 'eth0.7'],
  [devices, 'wan0,host0,wan0', ['wan0', 'host0']],
  [name, 'node-1.a', 'node-1.a'],
  [originUrl, 'HTTP://Example.org:80', 'http://example.org'],
  [originUrl, 'https://[fd77::1]:8443/', 'https://[fd77::1]:8443'],
  [bitRate, '100mbit', 100e6],
  [bitRate, '2.5gbit', 2.5e9],
  [bitRate, '64kbit', 64e3],
])('%p takes %s', (read, text, value) => {
  expect(read(text)).toEqual(value)
})

it.each([
  [integer(1, 200), ['0', '201', '-1', '1.5', '1e2', '', 'x', '0x10', '9'.repeat(16)]],
  [octets(1_024, 2_048), ['', '1023', '3KiB', '1m', '-1KiB', 'KiB']],
  [ipv4, ['10.0.0', '127.0.0.1', '0.0.0.0', '224.0.0.1', '255.255.255.255', 'fd77::1', '01.2.3.4', '']],
  [ipv6, ['10.0.0.1', '::1', '::', 'fe80::1', 'ff02::1', '::ffff:1.2.3.4', 'fd77::1%eth0', '']],
  [endpoint, ['80', 'host', 'host:', 'host:65536', '::1:80', '[::1]', 'a b:80', 'host:-1', 'http://host:80']],
  [controlUrls, ['10.0.0.1:7700', 'wss://10.0.0.1:7700', 'ws://10.0.0.1', 'ws://10.0.0.1:0', 'ws://a:1/x']],
  [
    engineUrls,
    [
      '',
      'a:4222',
      'http://a',
      'nats://',
      'nats://u:p@a',
      'nats://a,',
      'nats://a/b',
      `nats://a,${'x'.repeat(9)}`,
    ],
  ],
  [controlUrls, ['', 'ws://a:1,', 'ws://a:1 ws://b:1', NINE_DISPATCHERS]],
  [
    originUrl,
    ['', 'a.example', 'ftp://a', 'http://', 'http://a/b', 'http://a?b', 'http://u:p@a', 'http://a b'],
  ],
  [device, ['', 'a'.repeat(16), 'a b', 'a/b', '..', 'a"b']],
  [devices, ['', 'wan0,', ',', 'wan0;x']],
  [name, ['', '-a', 'a b', 'a'.repeat(65)]],
  [bitRate, ['100', '0mbit', '63kbit', '101gbit', '-1mbit', '1tbit', '1.2345gbit']],
])('%p refuses what is none', (read, texts) => {
  for (const text of texts) expect(() => read(text)).toThrow(/^(Not|More|Port)/)
})

it('an engine is one server or several, all with TLS or all without', () => {
  const servers = [
    { host: 'a', port: 4222 },
    { host: 'fd77::1', port: 1 },
  ]
  expect(engineUrls('nats://a,nats://[fd77::1]:1,nats://a')).toEqual({ servers, tls: false })
  expect(engineUrls('tls://a/')).toEqual({ servers: servers.slice(0, 1), tls: true })
  expect(() => engineUrls('nats://a,tls://b')).toThrow(/^Some with TLS/)
})
