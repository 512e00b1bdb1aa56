/** nginx on a node, and HAProxy in front of them, as `npm run bench -- drain --rolling` starts them anew. */
import { readFileSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { KEPT_FILES, nginxConfiguration } from '../nginx.ts'
import { inNamespace, listening, run, Server } from '../process.ts'
import { askUnixSocket } from '../unix-socket.ts'

const NGINX_PORT = 81
const POLL_MS = 50
/** For what is to happen within a second or two. */
const PATIENCE_MS = 20_000

export interface NodeOptions {
  readonly name: string
  readonly namespace: string
  readonly address: string
  readonly root: string
}

export class NodeNginx {
  readonly options: NodeOptions
  readonly #configuration: string
  readonly #log: string
  #server: Server | undefined

  private constructor(options: NodeOptions, folder: string) {
    this.options = options
    this.#configuration = join(folder, 'nginx.conf')
    this.#log = join(folder, 'error.log')
  }

  static async create(options: NodeOptions, folder: string): Promise<NodeNginx> {
    await mkdir(folder, { recursive: true })
    const nginx = new NodeNginx(options, folder)
    const server = `server { listen ${options.address}:${NGINX_PORT} backlog=4096; root ${options.root}; }`
    await writeFile(nginx.#configuration, nginxConfiguration(folder, KEPT_FILES, server))
    await nginx.start()
    return nginx
  }

  async start(): Promise<void> {
    const { namespace } = this.options
    this.#server = new Server(...inNamespace(namespace, 'nginx', this.#arguments))
    await listening(this.#server, namespace, NGINX_PORT)
  }

  /** Returns when new workers serve; the old ones go on with what they have begun. */
  async reload(): Promise<void> {
    const before = new Set(this.#workers())
    await this.#signal('reload')
    await until('nginx has no new worker', () => this.#workers().some(pid => !before.has(pid)))
  }

  /** Ends when its last response is sent, and at once, with what is under way, after `ms`. */
  async quit(ms: number): Promise<void> {
    await this.#signal('quit')
    if ((await this.#server?.ended(ms)) !== true) await this.stop()
  }

  async stop(): Promise<void> {
    await this.#server?.stop()
  }

  get #arguments(): string[] {
    return ['-c', this.#configuration, '-e', this.#log]
  }

  #signal(what: string): Promise<string> {
    return run('nginx', [...this.#arguments, '-s', what])
  }

  #workers(): string[] {
    const pid = this.#server?.pid
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').trim().split(' ')
  }
}

export interface HaproxyOptions {
  readonly namespace: string
  readonly address: string
  readonly port: number
  readonly nodes: readonly Pick<NodeOptions, 'name' | 'address'>[]
  /** What its checks ask for. */
  readonly checked: string
}

export class Haproxy {
  readonly #server: Server
  readonly #socket: string

  private constructor(server: Server, socket: string) {
    this.#server = server
    this.#socket = socket
  }

  static async create(options: HaproxyOptions, folder: string): Promise<Haproxy> {
    await mkdir(folder, { recursive: true })
    const [file, socket] = [join(folder, 'haproxy.cfg'), join(folder, 'haproxy.sock')]
    await writeFile(file, haproxyConfiguration(options, socket))
    const server = new Server(...inNamespace(options.namespace, 'haproxy', ['-db', '-f', file]))
    await listening(server, options.namespace, options.port)
    return new Haproxy(server, socket)
  }

  async setState(node: string, state: 'drain' | 'ready'): Promise<void> {
    const told = (await this.#tell(`set server nodes/${node} state ${state}`)).trim()
    if (told !== '') throw new Error(`haproxy: ${told}`)
  }

  /** Returns when its checks find that the node serves. */
  async serves(node: string): Promise<void> {
    await until(`${node} does not come back`, async () => (await this.#field(node, 'status')) === 'UP')
  }

  /** Returns when a node has no request under way, or after `ms`. */
  async empty(node: string, ms: number): Promise<void> {
    const end = performance.now() + ms
    while (performance.now() < end && (await this.#field(node, 'scur')) !== '0') {
      await new Promise(resolve => setTimeout(resolve, POLL_MS))
    }
  }

  stop(): Promise<void> {
    return this.#server.stop()
  }

  /** Of its statistics about a node. */
  async #field(node: string, name: string): Promise<string | undefined> {
    const [heads = '', ...lines] = (await this.#tell('show stat')).split('\n')
    const line = lines.find(one => one.startsWith(`nodes,${node},`))
    return line?.split(',')[heads.split(',').indexOf(name)]
  }

  #tell(command: string): Promise<string> {
    return askUnixSocket(this.#socket, `${command}\n`)
  }
}

/** Checks twice as fast as by default; a request whose connection was refused goes to another node. */
function haproxyConfiguration({ address, port, nodes, checked }: HaproxyOptions, socket: string): string {
  const servers = nodes.map(node => `  server ${node.name} ${node.address}:${NGINX_PORT} check`).join('\n')
  return `
global
  maxconn 8000
  nbthread 1
  stats socket ${socket} mode 600 level admin
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  retries 3
  option redispatch
frontend service
  bind ${address}:${port}
  default_backend nodes
backend nodes
  balance leastconn
  option httpchk GET ${checked}
  default-server inter 1s fall 2 rise 1
${servers}
`
}

async function until(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + PATIENCE_MS
  while (!(await isSo())) {
    if (performance.now() > end) throw new Error(what)
    await new Promise(resolve => setTimeout(resolve, POLL_MS))
  }
}
