import { Command } from 'commander'
import { applyConfig } from './apply.ts'

function optionsOf(name: string, args: readonly string[]): Record<string, unknown> {
  const command = new Command(name)
    .option('--name <name>', '', 'default')
    .option('--cache-octets <size>', '', '1')
    .option('--policy <policy>', '', 'locality')
    .option('--suspect-after <duration>', '', '300')
  applyConfig(command, {
    cluster: 'one',
    name: 'two',
    cacheOctets: 5,
    placement: { policy: 'hash' },
    liveness: { suspectAfter: 500 },
  })
  command.parse(args, { from: 'user' })
  return command.opts()
}

it('gives options what the file says under their names, or where else it says it', () => {
  expect(optionsOf('up', [])).toEqual({ name: 'one', cacheOctets: 5, policy: 'hash', suspectAfter: 500 })
  expect(optionsOf('dispatcher', [])).toEqual({
    name: 'two',
    cacheOctets: 5,
    policy: 'hash',
    suspectAfter: 500,
  })
})

it('lets flags win', () => {
  expect(optionsOf('up', ['--policy', 'lard-r', '--name', 'three'])).toMatchObject({
    ...{ name: 'three', policy: 'lard-r' },
  })
})
