import { join } from 'node:path'
import { TestNamespace, whyNoNamespace } from '../../node/tun/test-namespace.ts'
import { sharedRouteCommands, tunCommands } from './tun-routes.ts'

const OPTIONS = { device: 'tun0', vip: '10.99.4.1', vip6: 'fd99:4::1', lanDevice: 'lo', metric: 2 }

it('routes the VIPs into the device and gives it no address', () => {
  expect(tunCommands(OPTIONS, 4)).toBe(
    'link set tun0 up txqueuelen 8192 mtu 1500 addrgenmode none\nroute replace 10.99.4.1/32 dev tun0 metric 2\n',
  )
  expect(tunCommands(OPTIONS, 6)).toBe('route replace fd99:4::1/128 dev tun0 metric 2\n')
})

it('drops what comes for the VIPs while there is no device, where it is told to', () => {
  const dropping = { ...OPTIONS, dropsWithout: true }
  expect(tunCommands(dropping, 4)).toBe(
    `${tunCommands(OPTIONS, 4)}route replace blackhole 10.99.4.1/32 metric 1000000\n`,
  )
  expect(tunCommands(dropping, 6)).toBe(
    `${tunCommands(OPTIONS, 6)}route replace blackhole fd99:4::1/128 metric 1000000\n`,
  )
})

it('has one route to the devices of all instances', () => {
  expect(sharedRouteCommands(['tun0', 'tun1'], '10.99.4.1')).toBe(
    'link set tun0 up\nlink set tun1 up\nroute replace 10.99.4.1/32 metric 1 nexthop dev tun0 nexthop dev tun1\n',
  )
})

;(whyNoNamespace() === undefined ? describe : describe.skip)('in a namespace', () => {
  let namespace: TestNamespace
  beforeAll(() => {
    namespace = new TestNamespace()
    for (const device of ['tun0', 'tun1'])
      namespace.ip('tuntap', 'add', 'dev', device, 'mode', 'tun', 'vnet_hdr')
  })
  afterAll(() => namespace.remove())

  /** Runs what an owner does at its start, in a process of its own, and prints what `ip route get` says at each step. */
  function run(steps: string): unknown {
    const dist = (path: string) => JSON.stringify(join(__dirname, '../../dist', path))
    const script = `
      import { execFileSync } from 'node:child_process'
      const { bringUpTun } = await import(${dist('dispatcher/steering/tun-routes.js')})
      const { openTun } = await import(${dist('node/tun/tun-device.js')})
      const options = ${JSON.stringify(OPTIONS)}
      const get = () => ['-4', '-6'].map(family => /dev (\\S+)/.exec(String(
        execFileSync('ip', [family, 'route', 'get', family === '-4' ? options.vip : options.vip6], { stdio: 'pipe' })))[1])
      const routes = []
      ${steps}
      console.log(JSON.stringify(routes))`
    return JSON.parse(namespace.runSync(process.execPath, '--input-type=module', '-e', script))
  }

  it('can be brought up again', () => {
    const routes = run(`
      const device = openTun({ name: 'tun0' })
      await bringUpTun(options)
      await bringUpTun(options)
      routes.push(get())
      device.close()`)
    expect(routes).toEqual([['tun0', 'tun0']])
    expect(namespace.ip('route').match(/10\.99\.4\.1/g)).toHaveLength(1)
  })

  it('an instance that has died leaves the packets that name nobody to the others', () => {
    const lines = sharedRouteCommands(['tun0', 'tun1'], OPTIONS.vip).trim().split('\n')
    for (const line of lines) namespace.ip(...line.split(' '))
    const routes = run(`
      const first = openTun({ name: 'tun0' })
      const second = openTun({ name: 'tun1' })
      await bringUpTun({ ...options, device: 'tun1', metric: 3 })
      await bringUpTun(options)
      first.close()
      // The kernel takes up to a second to see that a device has lost its carrier.
      for (let waited = 0; waited < 5_000 && get().includes('tun0'); waited += 50)
        await new Promise(resolve => setTimeout(resolve, 50))
      routes.push(get())
      second.close()`)
    expect(routes).toEqual([['tun1', 'tun1']])
    expect(namespace.ip('route')).toMatch(/10\.99\.4\.1 metric 1/)
  })

  it('has packets dropped from when a device is gone until there is one again', () => {
    const [vip, vip6] = ['10.99.4.2', 'fd99:4::2']
    const start = `
      Object.assign(options, ${JSON.stringify({ device: 'tun2', vip, vip6, dropsWithout: true })})
      const device = openTun({ name: 'tun2' })
      await bringUpTun(options)
      routes.push(get())
      device.close()`
    // This device, which nobody has made before, goes with its process; then there is one again.
    for (let runs = 0; runs < 2; runs++) {
      expect(run(start)).toEqual([['tun2', 'tun2']])
      for (const [family, address] of [
        ['-4', vip],
        ['-6', vip6],
      ] as const) {
        const left = namespace
          .ip(family, 'route')
          .split('\n')
          .filter(line => line.includes(address))
        expect(left).toEqual([expect.stringMatching(/^blackhole .*metric 1000000/)])
      }
    }
  })
})
