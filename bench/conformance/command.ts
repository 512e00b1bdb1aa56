/** `npm run bench -- conformance`: the suite against a server that listens, or against nginx, started for it. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Server } from '../process.ts'
import { type Case, INDEX } from './case.ts'
import { makeRoot } from './root.ts'
import { runCase } from './run.ts'
import { connectTo } from './socket-wire.ts'
import { SUITE, titleOf } from './suite.ts'

export interface ConformanceOptions {
  /** `nginx`, or `host:port` of a server that serves what `--make-root` has made. */
  readonly against: string
  readonly makeRoot: string | undefined
  /** The cases that take minutes too. */
  readonly timing: boolean
}

/** Loopback only, and beside the ports of everything else here. */
const NGINX_PORT = 18_480
/** Cases at once: enough not to wait for one another, few enough for one worker. */
const PARALLEL = 8
const LEVELS: readonly Case['level'][] = ['must', 'should', 'safety', 'timing']

export async function conformance(options: ConformanceOptions): Promise<void> {
  if (options.makeRoot !== undefined) {
    process.stdout.write(`${await makeRoot(options.makeRoot)}\n`)
    return
  }
  const cases = SUITE.filter(({ level }) => options.timing || level !== 'timing')
  if (options.against === 'nginx') return withNginx(() => report(cases, '127.0.0.1', NGINX_PORT))
  const colon = options.against.lastIndexOf(':')
  const host = options.against.slice(0, colon).replace(/^\[(.*)\]$/, '$1')
  const port = Number(options.against.slice(colon + 1))
  if (colon < 1 || !Number.isInteger(port) || port < 1 || port > 65_535) {
    throw new Error(`${options.against} is neither nginx nor host:port`)
  }
  return report(cases, host, port)
}

async function report(cases: readonly Case[], host: string, port: number): Promise<void> {
  const faults = new Map<Case, string>()
  let next = 0
  const work = async () => {
    for (let test = cases[next++]; test !== undefined; test = cases[next++]) {
      const wire = await connectTo(host, port)
      const fault = await runCase(test, wire)
      if (fault !== undefined) faults.set(test, fault)
      wire.destroy()
    }
  }
  await Promise.all(Array.from({ length: PARALLEL }, work))
  for (const test of cases) {
    const fault = faults.get(test)
    if (fault !== undefined) process.stdout.write(`${titleOf(test)}: ${fault}\n`)
  }
  for (const level of LEVELS) {
    const all = cases.filter(test => test.level === level)
    const passed = all.filter(test => !faults.has(test)).length
    if (all.length > 0) process.stdout.write(`${level}: ${passed} of ${all.length}\n`)
  }
  const passed = cases.length - faults.size
  const percent = ((100 * passed) / cases.length).toFixed(1)
  process.stdout.write(`${passed} of ${cases.length} cases (${percent} %)\n`)
}

/** As a careful operator would set it up: precompressed files on, hidden files off, links only within their owner. */
function configuration(folder: string, root: string): string {
  return `
daemon off;
worker_processes 1;
user root;
pid ${folder}/nginx.pid;
error_log ${folder}/error.log;
events { worker_connections 1024; }
http {
  access_log off;
  client_body_temp_path ${folder}; proxy_temp_path ${folder}; fastcgi_temp_path ${folder};
  uwsgi_temp_path ${folder}; scgi_temp_path ${folder};
  types { text/html html; text/css css; text/plain txt; }
  default_type application/octet-stream;
  gzip_static on;
  gzip_vary on;
  disable_symlinks on from=${root};
  client_header_timeout 20s;
  server {
    listen 127.0.0.1:${NGINX_PORT};
    root ${root};
    location ~ /\\. { deny all; }
  }
}
`
}

async function withNginx(work: () => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'gyre-conformance-'))
  const root = await makeRoot(folder)
  await writeFile(join(folder, 'nginx.conf'), configuration(folder, root))
  const server = new Server('nginx', ['-c', join(folder, 'nginx.conf'), '-e', join(folder, 'error.log')])
  try {
    await untilItServes(server)
    await work()
  } finally {
    await server.stop()
    await rm(folder, { recursive: true, force: true })
  }
}

async function untilItServes(server: Server): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt++) {
    await new Promise(resolve => setTimeout(resolve, 50))
    if (!server.running) throw new Error(`nginx did not start: ${server.output}`)
    const body = await fetch(`http://127.0.0.1:${NGINX_PORT}/`)
      .then(response => response.text())
      .catch(() => '')
    if (body === INDEX) return
  }
  throw new Error('nginx does not serve its root')
}
