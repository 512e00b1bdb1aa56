/** What stands before nginx nodes in `npm run bench -- connections`, as tuned as their guides have it for this. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type NginxSettings, nginxConfiguration } from '../nginx.ts'
import { inNamespace, listening, Server } from '../process.ts'

export const HAPROXY_TCP_PORT = 83
export const HAPROXY_HTTP_PORT = 84
export const NGINX_PROXY_PORT = 85

export interface FrontOptions {
  readonly namespace: string
  readonly address: string
  /** host:port of the servers behind it. */
  readonly nodes: readonly string[]
  readonly core: number
}

/** Kept connections to the nodes in HTTP mode; in TCP mode each of a client's has one of its own. */
function haproxyConfiguration({ address, nodes }: FrontOptions, mode: 'tcp' | 'http', port: number): string {
  return `
global
  maxconn 8000
  nbthread 1
defaults
  mode ${mode}
  timeout connect 30s
  timeout client 60s
  timeout server 60s
  option tcp-smart-accept
  option tcp-smart-connect
  ${mode === 'http' ? 'http-reuse always' : ''}
frontend service
  bind ${address}:${port} backlog 4096
  default_backend nodes
backend nodes
  balance roundrobin
${nodes.map((node, index) => `  server node${index + 1} ${node}`).join('\n')}
`
}

const NGINX_PROXY: NginxSettings = {
  main: 'master_process off;',
  events: 'worker_connections 8192; use epoll; multi_accept on;',
  http: `tcp_nodelay on;
  proxy_http_version 1.1;
  proxy_set_header Connection "";`,
}

function proxied({ address, nodes }: FrontOptions, port: number): string {
  return `upstream nodes { ${nodes.map(node => `server ${node};`).join(' ')} keepalive 128; keepalive_requests 1000000000; }
  server { listen ${address}:${port} backlog=4096; location / { proxy_pass http://nodes; } }`
}

export async function startHaproxy(
  options: FrontOptions,
  mode: 'tcp' | 'http',
  folder: string,
): Promise<Server> {
  const port = mode === 'tcp' ? HAPROXY_TCP_PORT : HAPROXY_HTTP_PORT
  const file = join(folder, `haproxy-${mode}.cfg`)
  await writeFile(file, haproxyConfiguration(options, mode, port))
  return await start(options, port, ['haproxy', '-db', '-f', file])
}

export async function startNginxProxy(options: FrontOptions, folder: string): Promise<Server> {
  const own = join(folder, 'proxy')
  await mkdir(own)
  const file = join(own, 'nginx.conf')
  await writeFile(file, nginxConfiguration(own, NGINX_PROXY, proxied(options, NGINX_PROXY_PORT)))
  return await start(options, NGINX_PROXY_PORT, ['nginx', '-c', file, '-e', join(own, 'error.log')])
}

async function start(
  { namespace, core }: FrontOptions,
  port: number,
  command: readonly string[],
): Promise<Server> {
  const server = new Server(...inNamespace(namespace, 'taskset', ['-c', `${core}`, ...command]))
  await listening(server, namespace, port)
  return server
}
