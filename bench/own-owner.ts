/** An owner by itself, as a benchmark runs it with an application of its own: nobody to shift to, nobody to tell. */
import type { Application } from '../node/stack/application.ts'
import { DEFAULT_LIMITS } from '../node/stack/limits.ts'
import { Owner } from '../node/stack/owner.ts'
import { Vips } from '../node/stack/vips.ts'
import { type TcpConfig, tcpConfig } from '../node/tcp/config.ts'
import type { Device } from '../node/tun/device.ts'
import type { ShiftRefusal } from '../shift/messages.ts'
import type { Random } from './sim/network/random.ts'

export interface OwnOwnerOptions {
  readonly device: Device
  readonly address: string
  readonly port: number
  readonly tcp: Partial<TcpConfig>
  readonly random: Random
  readonly application: Pick<Application, 'accepted' | 'advanced'>
}

const SECRET_OCTETS = 32

export function ownOwner(options: OwnOwnerOptions): Owner {
  const { device, address, port, tcp, random, application } = options
  return new Owner(
    {
      id: 0,
      vips: Vips.parse(address, undefined, port),
      tcp: tcpConfig(tcp),
      mode: 'shift',
      limits: DEFAULT_LIMITS,
      idBase: 0,
      secret: random.octets(SECRET_OCTETS),
    },
    {
      transmit: batch => void device.send(batch),
      random: () => random.int32(),
      nowSecond: () => Math.floor(Date.now() / 1000),
      wallMs: Date.now,
      send: () => false,
      sendDroppable: () => false,
      owned: () => {},
      closed: () => {},
      forwarding: () => {},
      steer: () => {},
      told: () => {},
      reachable: () => false,
      dispatchers: () => [],
      settled: () => true,
    },
    {
      accepted: (connection, now) => application.accepted(connection, now),
      advanced: (connection, events, now) => application.advanced(connection, events, now),
      released: () => {},
      expired: () => {},
      exportState: () => null,
      importState: () => false,
      resumed: () => {},
      admits: (): ShiftRefusal => 'DRAINING',
      fetch: (_keys, done) => done('NO_OBJECT'),
      resolve: () => undefined,
    },
  )
}
