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

/** As tuned as nginx's own guides have it for static files: no access log, open files cached, many requests a connection. */
function configuration({ address, port, root, sendfile }: NginxOptions, folder: string): string {
  return `
daemon off;
master_process off;
worker_processes 1;
pid ${folder}/nginx.pid;
error_log ${folder}/error.log;
events { worker_connections 4096; use epoll; multi_accept on; }
http {
  access_log off;
  sendfile ${sendfile ? 'on' : 'off'};
  tcp_nopush ${sendfile ? 'on' : 'off'};
  tcp_nodelay on;
  output_buffers 4 256k;
  keepalive_timeout 75s;
  keepalive_requests 1000000000;
  open_file_cache max=10000 inactive=60s;
  open_file_cache_valid 60s;
  client_body_temp_path ${folder}; proxy_temp_path ${folder}; fastcgi_temp_path ${folder};
  uwsgi_temp_path ${folder}; scgi_temp_path ${folder};
  types { text/html html; }
  default_type application/octet-stream;
  server { listen ${address}:${port} backlog=4096; root ${root}; }
}
`
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
