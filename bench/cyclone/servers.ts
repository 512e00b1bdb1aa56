/** nginx on the nodes, and HAProxy on the dispatcher's machine, as they take part in `npm run bench -- cyclone`. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { KEPT_FILES, nginxConfiguration } from '../nginx.ts'
import { inNamespace, listening, Server } from '../process.ts'
import { askUnixSocket } from '../unix-socket.ts'

export const NGINX_PORT = 81
/** Where the holder of a file answers its peers, in cooperative caching. */
const HOLDER_PORT = 82
export const PROXY_PORT = 83

export interface NodeNginx {
  readonly namespace: string
  readonly address: string
  /** On the loopback device, where packets for the service arrive unchanged. */
  readonly service: string
  /** Of all nodes: who of them holds a file is a matter of its name. Undefined: each for itself. */
  readonly peers?: readonly string[]
  readonly storage: string
  readonly memoryOctets: number
  /** On a tmpfs: what is cached is in memory. */
  readonly cache: string
}

function configuration(options: NodeNginx, folder: string): string {
  const { address, service, peers, storage, memoryOctets, cache } = options
  const own = [address, service]
  const listen = (port: number) => own.map(one => `listen ${one}:${port} backlog=4096;`).join(' ')
  const cached = 'proxy_pass http://storage; proxy_cache files; proxy_cache_lock on;'
  const upstream =
    peers === undefined
      ? ''
      : `upstream peers { hash $uri consistent; keepalive 32; ${peers.map(peer => `server ${peer}:${HOLDER_PORT};`).join(' ')} }`
  return nginxConfiguration(
    folder,
    KEPT_FILES,
    `proxy_cache_path ${cache} levels=1:2 keys_zone=files:8m max_size=${memoryOctets} inactive=1d use_temp_path=off manager_sleep=50ms;
  proxy_http_version 1.1;
  proxy_set_header Connection "";
  proxy_cache_key $uri;
  upstream storage { server unix:${storage}; keepalive 32; }
  ${upstream}
  server { ${listen(NGINX_PORT)} location / { ${peers === undefined ? cached : 'proxy_pass http://peers;'} } }
  ${peers === undefined ? '' : `server { ${listen(HOLDER_PORT)} location / { ${cached} } }`}`,
  )
}

export async function startNginx(options: NodeNginx, folder: string): Promise<Server> {
  await mkdir(folder, { recursive: true })
  await mkdir(options.cache, { recursive: true })
  const file = join(folder, 'nginx.conf')
  await writeFile(file, configuration(options, folder))
  const args = ['-c', file, '-e', join(folder, 'error.log')]
  const server = new Server(...inNamespace(options.namespace, 'nginx', args))
  await listening(server, options.namespace, NGINX_PORT)
  return server
}

export interface Proxy {
  readonly namespace: string
  readonly address: string
  readonly nodes: readonly string[]
}

/** By content, and no node more than a quarter above the mean load: the best of both that it offers for caches. */
function haproxyConfiguration({ address, nodes }: Proxy): string {
  const servers = nodes.map((node, index) => `  server node${index + 1} ${node}:${NGINX_PORT}`).join('\n')
  return `
global
  maxconn 8000
  nbthread 1
defaults
  mode http
  timeout connect 30s
  timeout client 60s
  timeout server 60s
  http-reuse always
frontend service
  bind ${address}:${PROXY_PORT}
  default_backend nodes
backend nodes
  balance uri
  hash-type consistent
  hash-balance-factor 125
${servers}
`
}

export async function startHaproxy(proxy: Proxy, folder: string): Promise<Server> {
  await mkdir(folder, { recursive: true })
  const file = join(folder, 'haproxy.cfg')
  await writeFile(file, haproxyConfiguration(proxy))
  const server = new Server(...inNamespace(proxy.namespace, 'haproxy', ['-db', '-f', file]))
  await listening(server, proxy.namespace, PROXY_PORT)
  return server
}

/** Asks the storage over its Unix socket, and returns what it answers. */
export async function askStorage(socket: string, path: string): Promise<string> {
  const answer = await askUnixSocket(socket, `GET ${path} HTTP/1.0\r\n\r\n`)
  return answer.slice(answer.indexOf('\r\n\r\n') + 4)
}
