/** nginx in a node's namespace, on an address of its own beside the VIP: the same wires, the same files, one worker. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inNamespace, listening, Server } from './process.ts'

export interface NginxOptions {
  readonly namespace: string
  readonly address: string
  readonly port: number
  readonly root: string
  readonly sendfile: boolean
  readonly core: number
}

/** What differs between those that benchmarks start, beside what they serve. */
export interface NginxSettings {
  readonly main: string
  readonly events: string
  readonly http: string
}

/** Files, over connections that are kept for as long as clients like. */
export const KEPT_FILES: NginxSettings = {
  main: 'user root;',
  events: 'worker_connections 4096;',
  http: `sendfile on;
  tcp_nopush on;
  keepalive_timeout 75s;
  keepalive_requests 1000000000;
  default_type application/octet-stream;`,
}

/** One worker without an access log, which writes nothing outside of `folder`. */
export function nginxConfiguration(
  folder: string,
  { main, events, http }: NginxSettings,
  served: string,
): string {
  return `
daemon off;
${main}
worker_processes 1;
pid ${folder}/nginx.pid;
error_log ${folder}/error.log;
events { ${events} }
http {
  access_log off;
  ${http}
  client_body_temp_path ${folder}; proxy_temp_path ${folder}; fastcgi_temp_path ${folder};
  uwsgi_temp_path ${folder}; scgi_temp_path ${folder};
  ${served}
}
`
}

/** As tuned as nginx's own guides have it for static files: no access log, open files cached, many requests a connection. */
function configuration({ address, port, root, sendfile }: NginxOptions, folder: string): string {
  const settings = {
    main: 'master_process off;',
    events: 'worker_connections 4096; use epoll; multi_accept on;',
    http: `sendfile ${sendfile ? 'on' : 'off'};
  tcp_nopush ${sendfile ? 'on' : 'off'};
  tcp_nodelay on;
  output_buffers 4 256k;
  keepalive_timeout 75s;
  keepalive_requests 1000000000;
  open_file_cache max=10000 inactive=60s;
  open_file_cache_valid 60s;
  types { text/html html; }
  default_type application/octet-stream;`,
  }
  return nginxConfiguration(
    folder,
    settings,
    `server { listen ${address}:${port} backlog=4096; root ${root}; }`,
  )
}

/** Its configuration and its errors stay in `folder`. */
export async function startStaticNginx(options: NginxOptions, folder: string): Promise<Server> {
  const { namespace, port, core } = options
  const file = join(folder, 'nginx.conf')
  await writeFile(file, configuration(options, folder))
  const args = ['-c', `${core}`, 'nginx', '-c', file, '-e', join(folder, 'error.log')]
  const server = new Server(...inNamespace(namespace, 'taskset', args))
  await listening(server, namespace, port)
  return server
}

export async function withNginx<Result>(options: NginxOptions, work: () => Promise<Result>): Promise<Result> {
  const folder = await mkdtemp(join(tmpdir(), 'gyre-bench-'))
  let server: Server | undefined
  try {
    server = await startStaticNginx(options, folder)
    return await work()
  } finally {
    await server?.stop()
    await rm(folder, { recursive: true, force: true })
  }
}
