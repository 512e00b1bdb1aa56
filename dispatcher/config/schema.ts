/**
 * Every setting of the configuration file: its form, range, default and what a reload may change. What a flag can say can
 * stand here too, under the flag's name; flags win. Sites are in `site-schema.ts`.
 */
import { z } from 'zod'
import { DEFAULT_ORIGIN_LIMITS } from '../../node/origin/limits.ts'
import { ACCESS_LOG_FORMATS, DEFAULT_ACCESS_LOG } from '../../node/server/access-log.ts'
import { NO_CLIENT_LIMITS } from '../../node/server/client-table.ts'
import { DEFAULT_PACE } from '../../node/server/pace.ts'
import { DEFAULT_CAPTURE_OCTETS } from '../../node/tun/pcap-device.ts'
import {
  bitRate,
  controlUrls,
  device,
  devices,
  endpoint,
  engineUrls,
  ipv4,
  ipv6,
  ipv6OrNone,
  name,
} from '../flags.ts'
import { LIVENESS } from '../liveness-settings.ts'
import {
  DEFAULT_ADMIN,
  DEFAULT_CLUSTER,
  DEFAULT_INSTANCES,
  DEFAULT_NODES,
  DEFAULT_OWNER_ID_BITS,
  DEFAULT_PORT,
  DEFAULT_VIP,
  DEFAULT_VIP6,
  MAX_CACHE_OCTETS,
  MAX_DISPATCHERS,
  MAX_GATEWAYS,
  MAX_NODES,
  MAX_OWNER_ID_BITS,
  MAX_PCAP_OCTETS,
  MIN_CACHE_OCTETS,
  MIN_PCAP_OCTETS,
} from '../options.ts'
import { DEFAULT_SHIFTS_PER_SECOND } from '../placement/placement.ts'
import { DEFAULT_POLICY, POLICIES } from '../placement/policy.ts'
import {
  booleanSetting,
  choiceSetting,
  durationSetting,
  integerSetting,
  octetsSetting,
  textSetting,
} from './setting.ts'
import { hostRecord, SITE_SHAPE, UNKNOWN_HOST } from './site-schema.ts'
import { formatDurationMs, formatOctets } from './units.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const MACHINE = { machine: true } as const
const ENDPOINT = 'HOST:PORT'
const ADDRESS = 'an IPv4 address that a host can have'
const ADDRESS6 = 'an IPv6 address that a host can have'

/** What the flags of `gyre up` and of the roles can say, but for the site. */
const CLUSTER_SHAPE = {
  cluster: textSetting(name, 'a name', {
    about: 'name of the cluster; control links are made within one only (`--name` of `gyre up`)',
    default: DEFAULT_CLUSTER,
  }),
  vip: textSetting(ipv4, ADDRESS, { about: 'the virtual IPv4 address', default: DEFAULT_VIP }),
  vip6: textSetting(ipv6OrNone, `${ADDRESS6}, or none`, {
    about: 'the virtual IPv6 address',
    default: DEFAULT_VIP6,
  }),
  port: integerSetting(1, 65_535, { about: 'TCP port of the service', default: `${DEFAULT_PORT}` }),
  mode: choiceSetting(['shift', 'clone'], {
    about: '`clone` keeps the relay of the dispatcher',
    default: 'shift',
  }),
  steering: choiceSetting(['nft', 'relay'], {
    about: 'packets are steered by the kernel of the gateway, or relayed by the dispatcher',
    default: 'nft',
  }),
  ownerBits: integerSetting(1, MAX_OWNER_ID_BITS, {
    about: 'bits of the TCP timestamp that name the owner',
    default: `${DEFAULT_OWNER_ID_BITS}`,
  }),
  cacheOctets: octetsSetting(MIN_CACHE_OCTETS, MAX_CACHE_OCTETS, {
    about: 'memory of a node for files',
    default:
      'a quarter of the memory (of the control group, if that is less); `gyre up` divides it among the nodes',
    ...MACHINE,
  }),
  admin: textSetting(endpoint, ENDPOINT, {
    about: 'where the admin interface of the dispatcher listens',
    default: `${DEFAULT_ADMIN.host}:${DEFAULT_ADMIN.port} with \`gyre up\`, else none`,
    ...MACHINE,
  }),
  key: textSetting(filePath, 'a file', {
    about:
      'with the key that makes a process a member of the cluster (`gyre key`); links are made by TLS then',
    ...MACHINE,
  }),
  plainLinks: booleanSetting({
    about: 'control links without TLS: only where nobody else reaches their network',
    default: 'false; `gyre up` has a network of its own',
    ...MACHINE,
  }),
  nodes: integerSetting(1, MAX_NODES, {
    about: 'nodes of `gyre up`',
    default: `${DEFAULT_NODES}`,
    ...MACHINE,
  }),
  dispatchers: integerSetting(1, MAX_DISPATCHERS, {
    about: 'dispatchers of `gyre up`, which share the clients',
    default: '1',
    ...MACHINE,
  }),
  gateways: integerSetting(1, MAX_GATEWAYS, {
    about: 'gateways of `gyre up`, over which its client comes',
    default: '1',
    ...MACHINE,
  }),
  instances: integerSetting(1, MAX_NODES, {
    about: 'owners on each node, to use several cores',
    default: `${DEFAULT_INSTANCES}`,
    ...MACHINE,
  }),
  pcap: textSetting(filePath, 'a file', { about: 'where all packets are recorded (pcapng)', ...MACHINE }),
  pcapOctets: octetsSetting(MIN_PCAP_OCTETS, MAX_PCAP_OCTETS, {
    about: 'of such a file at most; later packets are not recorded',
    default: formatOctets(DEFAULT_CAPTURE_OCTETS),
    ...MACHINE,
  }),
  linkRate: textSetting(bitRate, '64kbit to 100gbit, as 100mbit', {
    about: "limit of each node's wire in `gyre up`",
    ...MACHINE,
  }),
}

/** What tells one process from another: in a file that one machine has for itself. */
const PROCESS_SHAPE = {
  id: integerSetting(0, (1 << MAX_OWNER_ID_BITS) - 1, {
    about: 'owner id, unique in the cluster',
    ...MACHINE,
  }),
  name: textSetting(name, 'a name', { about: 'of the process in its role', ...MACHINE }),
  address: textSetting(ipv4, ADDRESS, { about: 'where the gateway sends packets of this owner', ...MACHINE }),
  address6: textSetting(ipv6, ADDRESS6, { about: 'the same over IPv6', ...MACHINE }),
  listen: textSetting(endpoint, ENDPOINT, { about: 'where control links of the others arrive', ...MACHINE }),
  dispatcher: textSetting(controlUrls, 'ws://HOST:PORT, several separated by commas', {
    about: 'control links of all dispatchers',
    ...MACHINE,
  }),
  nats: textSetting(engineUrls, 'nats://HOST:PORT or tls://HOST:PORT, several separated by commas', {
    about: 'the engine that gives owner ids and knows the dispatchers, in place of `id` and `dispatcher`',
    ...MACHINE,
  }),
  natsCreds: textSetting(filePath, 'a file', {
    about: 'with credentials for it (a `.creds` file)',
    ...MACHINE,
  }),
  natsCa: textSetting(filePath, 'a file', {
    about: 'with the certificate of the authority that its servers’ come from',
    default: 'those that Node.js knows',
    ...MACHINE,
  }),
  natsCert: textSetting(filePath, 'a file', { about: 'with our own certificate for it', ...MACHINE }),
  natsKey: textSetting(filePath, 'a file', { about: 'with the key of that', ...MACHINE }),
  lan: textSetting(device, 'a device', { about: 'the network of the owners', ...MACHINE }),
  wan: textSetting(devices, 'devices, separated by commas', {
    about: 'where packets of clients arrive, on a gateway',
    ...MACHINE,
  }),
  health: textSetting(endpoint, ENDPOINT, {
    about: 'where a gateway says whether it steers (`/readyz`), for what announces the virtual addresses',
    ...MACHINE,
  }),
  user: textSetting(name, 'a name', {
    about: 'whose rights a node or dispatcher keeps once its TUN device is open, instead of root’s',
    ...MACHINE,
  }),
  tun: textSetting(device, 'a device', {
    about: 'name of the TUN device, which is created',
    default: 'tun0',
    ...MACHINE,
  }),
}

/** As `AccessLogSettings` has it. */
const ACCESS_LOG_SHAPE = {
  format: choiceSetting(ACCESS_LOG_FORMATS, {
    about: 'lines as other servers write them, or JSON',
    default: DEFAULT_ACCESS_LOG.format,
  }),
  file: textSetting(filePath, 'a file, or - for standard output', {
    about: 'where they go; `{name}` in it is the name of the owner',
    default: DEFAULT_ACCESS_LOG.file,
    ...MACHINE,
  }),
  bufferOctets: octetsSetting(65_536, 1024 ** 3, {
    about: 'what may wait for the disk; beyond it lines are dropped and counted',
    default: formatOctets(DEFAULT_ACCESS_LOG.bufferOctets),
    ...MACHINE,
  }),
}

function filePath(text: string): string {
  if (text === '' || text.includes('\0')) throw new RangeError()
  return text
}

/** As `PaceLimits` has it. */
const TIMEOUT_SHAPE = {
  head: durationSetting(100, HOUR_MS, {
    about: 'from the first octet of a request to the end of its head, in total',
    default: formatDurationMs(DEFAULT_PACE.headMs),
    reload: true,
  }),
  idle: durationSetting(100, DAY_MS, {
    about: 'between a response and the next request',
    default: formatDurationMs(DEFAULT_PACE.idleMs),
    reload: true,
  }),
  body: durationSetting(100, HOUR_MS, {
    about: 'how far the body of a request may fall behind `bodyOctetsPerSecond`',
    default: formatDurationMs(DEFAULT_PACE.bodyMs),
    reload: true,
  }),
  bodyOctetsPerSecond: octetsSetting(1, 1024 ** 3, {
    about: 'the least rate of a body',
    default: formatOctets(DEFAULT_PACE.bodyOctetsPerSecond),
    reload: true,
  }),
  reader: durationSetting(100, HOUR_MS, {
    about: 'how far a client may fall behind `readerOctetsPerSecond` in reading responses',
    default: formatDurationMs(DEFAULT_PACE.readerMs),
    reload: true,
  }),
  readerOctetsPerSecond: octetsSetting(1, 1024 ** 3, {
    about: 'the least rate of a reader',
    default: formatOctets(DEFAULT_PACE.readerOctetsPerSecond),
    reload: true,
  }),
  linger: durationSetting(100, HOUR_MS, {
    about: 'after our FIN, for the end of the client',
    default: formatDurationMs(DEFAULT_PACE.lingerMs),
    reload: true,
  }),
  lingerOctets: octetsSetting(0, 1024 ** 3, {
    about: 'what a client may send meanwhile',
    default: formatOctets(DEFAULT_PACE.lingerOctets),
    reload: true,
  }),
}

/** As `ClientLimits` has it. */
const CLIENT_SHAPE = {
  connections: integerSetting(0, 1_000_000, {
    about: 'connections of one client address at one owner; 0: no limit',
    default: `${NO_CLIENT_LIMITS.connections}`,
    reload: true,
  }),
  requestsPerSecond: integerSetting(0, 1_000_000, {
    about: 'requests a second of one client address at one owner, in the long run; 0: no limit',
    default: `${NO_CLIENT_LIMITS.requestsPerSecond}`,
    reload: true,
  }),
  requestBurst: integerSetting(0, 1_000_000, {
    about: 'requests that may come at once above that',
    default: `${NO_CLIENT_LIMITS.requestBurst}`,
    reload: true,
  }),
}

const PLACEMENT_SHAPE = {
  policy: choiceSetting(POLICIES, {
    about: 'by what requests are placed on nodes (`--policy`); `gyre policy` changes it in a running cluster',
    default: DEFAULT_POLICY,
  }),
  shiftsPerSecond: integerSetting(1, 1_000_000, {
    about: 'connections moved a second because another node serves them better, in the whole cluster',
    default: `${DEFAULT_SHIFTS_PER_SECOND}`,
  }),
}

const LIVENESS_SHAPE = {
  ping: livenessSetting('ping'),
  suspectAfter: livenessSetting('suspectAfter'),
  reach: livenessSetting('reach'),
  recoverAfter: livenessSetting('recoverAfter'),
}

function livenessSetting(name: keyof typeof LIVENESS) {
  const { about, least, most, default: ms } = LIVENESS[name]
  return durationSetting(least, most, { about, default: formatDurationMs(ms) })
}

/** As `OriginLimits` has it. */
const ORIGIN_SHAPE = {
  connect: durationSetting(100, HOUR_MS, {
    about: 'until a connection to an origin stands',
    default: formatDurationMs(DEFAULT_ORIGIN_LIMITS.connectMs),
  }),
  head: durationSetting(100, HOUR_MS, {
    about: 'from a request to the end of the head of its response',
    default: formatDurationMs(DEFAULT_ORIGIN_LIMITS.headMs),
  }),
  body: durationSetting(100, HOUR_MS, {
    about: 'between two pieces of a body',
    default: formatDurationMs(DEFAULT_ORIGIN_LIMITS.bodyMs),
  }),
  objectOctets: octetsSetting(0, 1024 ** 3, {
    about: 'of a body at most; a response with more is refused (502)',
    default: formatOctets(DEFAULT_ORIGIN_LIMITS.objectOctets),
  }),
  parallel: integerSetting(1, 10_000, {
    about: 'requests of one node to one origin at a time; others wait',
    default: `${DEFAULT_ORIGIN_LIMITS.parallel}`,
  }),
}

const OBJECT = { error: 'expected an object of settings' }

export const configSchema = z.strictObject(
  {
    ...CLUSTER_SHAPE,
    ...PROCESS_SHAPE,
    timeouts: z.strictObject(TIMEOUT_SHAPE, OBJECT).optional(),
    clients: z.strictObject(CLIENT_SHAPE, OBJECT).optional(),
    placement: z.strictObject(PLACEMENT_SHAPE, OBJECT).optional(),
    liveness: z.strictObject(LIVENESS_SHAPE, OBJECT).optional(),
    origins: z.strictObject(ORIGIN_SHAPE, OBJECT).optional(),
    accessLog: z.strictObject(ACCESS_LOG_SHAPE, OBJECT).optional(),
    unknownHost: UNKNOWN_HOST,
    ...SITE_SHAPE,
    sites: hostRecord(z.strictObject(SITE_SHAPE, OBJECT)).optional(),
  },
  OBJECT,
)

/** What a configuration file may hold. */
export type GyreConfig = z.input<typeof configSchema>

/** The same, read: sizes in octets, durations in milliseconds, addresses in their canonical text. */
export type Config = z.output<typeof configSchema>
