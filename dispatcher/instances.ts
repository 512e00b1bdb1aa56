/**
 * Several instances of a node on one machine, so that it uses several cores: each is a process, an owner with an id and
 * a TUN of its own. Steering among them is the gateway's rule once more, with devices as next hops; this program makes
 * the devices, keeps the rule as the dispatcher says, and starts, watches and ends the instances.
 */
import { existsSync } from 'node:fs'
import { threadsEnvironment } from '../node/server/threads.ts'
import { DEFAULT_DRAIN_MS } from './admin/api.ts'
import { openCoordinator } from './coordination/open.ts'
import { Gateway } from './gateway/gateway.ts'
import { linkKeys } from './link-security.ts'
import type { NodeOptions, RunningRole } from './options.ts'
import { nodeFlags, pcapOf } from './role-flags.ts'
import { runCommand } from './steering/command.ts'
import { SteeringError } from './steering/errors.ts'
import { InstanceSteering } from './steering/instance-steering.ts'
import { type TableSpec, tableName } from './steering/nft-rules.ts'
import { NftSteering } from './steering/nft-steering.ts'
import { sharedRouteCommands } from './steering/tun-routes.ts'
import { type RoleCommand, SupervisedRole } from './up/supervised-role.ts'

/** Each takes a core for its start. */
const READY_TIMEOUT_MS = 20_000
/** An instance first gives its connections away. */
const STOP_TIMEOUT_MS = DEFAULT_DRAIN_MS + 3_000
/** Linux: IFNAMSIZ - 1. */
const MAX_DEVICE_NAME = 15

export interface InstancesOptions extends NodeOptions {
  /** 2 or more; the ids, control ports and devices of all follow those of the first. */
  readonly instances: number
}

/** Runs `program node …` for each instance. Rejects with an error that has a code; then nothing is left of them. */
export async function runInstances(
  options: InstancesOptions,
  program: readonly string[],
): Promise<RunningRole> {
  const instances = new Instances(options, program)
  try {
    await instances.start()
  } catch (error) {
    await instances.stop()
    throw error
  }
  return instances
}

/** What each instance is told; pure. */
export function instancesOf(options: InstancesOptions): NodeOptions[] {
  const { instances, id, name, tun, listen, cacheOctets, pcap, ...common } = options
  return Array.from({ length: instances }, (_, index) => ({
    ...common,
    id: id + index,
    name: `${name}.${index + 1}`,
    tun: deviceName(tun, index),
    pcap: pcapOf(pcap, `${index + 1}`),
    listen: { host: listen.host, port: listen.port + index },
    cacheOctets: Math.floor(cacheOctets / instances),
  }))
}

/** `tun0` and 2: `tun2`. */
function deviceName(first: string, index: number): string {
  const [, stem = '', number = ''] = /^(.*?)(\d{0,6})$/.exec(first) ?? []
  const name = `${stem}${Number(number) + index}`
  if (name.length <= MAX_DEVICE_NAME) return name
  throw new SteeringError('BAD_VALUE', `${name} is too long for the name of a device`)
}

class Instances implements RunningRole {
  readonly #roles: readonly SupervisedRole[]
  readonly #devices: ReadonlyMap<number, string>
  readonly #options: InstancesOptions
  readonly #made: string[] = []
  readonly stopTimeoutMs = STOP_TIMEOUT_MS + 1_000
  #gateway: Gateway | undefined
  #stopped: Promise<void> | undefined

  constructor(options: InstancesOptions, program: readonly string[]) {
    this.#options = options
    const instances = instancesOf(options)
    this.#devices = new Map(instances.map(({ id, tun }) => [id, tun]))
    this.#roles = instances.map(instance => {
      const { id, name, address, address6 } = instance
      const command: RoleCommand = {
        role: 'node',
        ...{ name, id, address, address6, namespace: undefined, admin: undefined },
        environment: threadsEnvironment(process.env),
        argv: [...program, 'node', ...nodeFlags(instance)],
        readyTimeoutMs: READY_TIMEOUT_MS,
        stopTimeoutMs: STOP_TIMEOUT_MS,
      }
      const gaveUp = ({ message }: Error) => line(name, message)
      return new SupervisedRole(command, { line, changed: () => {}, gaveUp })
    })
  }

  async start(): Promise<void> {
    const { cluster, vip, vip6, port, lan, ownerIdBits, name, listen, dispatchers } = this.#options
    const keys = await linkKeys(this.#options, [listen, ...dispatchers])
    // They outlive their processes, so that the rule stays right while an instance is started again.
    for (const device of this.#devices.values()) await this.#makeDevice(device)
    await runCommand('ip', ['-batch', '-'], sharedRouteCommands(this.#made, vip))
    const spec: TableSpec = {
      kind: 'instances',
      table: tableName(cluster, 'instances'),
      ...{ service: { vip, vip6, port }, inDevices: [lan], outDevice: lan, ownerIdBits },
    }
    const steering = new InstanceSteering(new NftSteering(spec), this.#devices)
    await steering.start()
    const options = { ...this.#options, name: `${name}-instances`, wan: [lan], steering: 'nft' } as const
    const coordinator = await openCoordinator(options, 'gateway', dispatchers)
    this.#gateway = new Gateway(options, coordinator, steering, text => line(name, text), keys)
    await Promise.all([this.#gateway.ready, ...this.#roles.map(role => role.start())])
  }

  /** Each instance says for itself what came of it. */
  async reload(): Promise<undefined> {
    for (const role of this.#roles) role.tell('SIGHUP')
  }

  reopen(): void {
    for (const role of this.#roles) role.tell('SIGUSR1')
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop()
    return this.#stopped
  }

  async #stop(): Promise<void> {
    await Promise.all(this.#roles.map(role => role.stop()))
    await this.#gateway?.stop()
    for (const device of this.#made) await runCommand('ip', ['link', 'delete', device])
  }

  async #makeDevice(device: string): Promise<void> {
    // Left behind by a run that could not clean up; opening one that is in use fails in the instance.
    if (!existsSync(`/sys/class/net/${device}/tun_flags`)) {
      await runCommand('ip', ['tuntap', 'add', 'dev', device, 'mode', 'tun', 'vnet_hdr'])
    }
    this.#made.push(device)
  }
}

function line(from: string, text: string): void {
  process.stdout.write(`[${from}] ${text}\n`)
}
