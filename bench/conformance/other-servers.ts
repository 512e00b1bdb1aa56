/**
 * Other servers as careful operators would set them up, as close to ours as they can be: precompressed files on, hidden
 * files off, no link out of the root, heads within 20 s. Each is started on loopback, in a temporary folder, and ended by us.
 */
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { has, Server } from '../process.ts'
import { INDEX } from './case.ts'
import { makeRoot } from './root.ts'

/** Loopback only, and beside the ports of everything else here. */
const PORT = 18_480
const MODULES = '/usr/lib/apache2/modules'
const APACHE_MODULES = [
  'mpm_event',
  'alias',
  'allowmethods',
  'authz_core',
  'dir',
  'env',
  'headers',
  'mime',
  'reqtimeout',
  'rewrite',
  'setenvif',
]

export const OTHER_SERVERS = ['nginx', 'apache', 'caddy'] as const
export type OtherServer = (typeof OTHER_SERVERS)[number]

interface Recipe {
  /** Of Debian. */
  readonly package: string
  readonly command: string
  readonly configuration: (folder: string, root: string) => string
  /** The arguments, with the file of the configuration. */
  readonly start: (folder: string, file: string) => readonly string[]
}

const RECIPES: Readonly<Record<OtherServer, Recipe>> = {
  nginx: {
    package: 'nginx',
    command: 'nginx',
    configuration: (folder, root) => `
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
    listen 127.0.0.1:${PORT};
    root ${root};
    location ~ /\\. { deny all; }
  }
}
`,
    start: (folder, file) => ['-c', file, '-e', join(folder, 'error.log')],
  },
  apache: {
    package: 'apache2-bin',
    command: 'apache2',
    configuration: (folder, root) => `
ServerRoot ${folder}
DefaultRuntimeDir ${folder}
PidFile ${folder}/apache.pid
ErrorLog ${folder}/error.log
Mutex file:${folder}
Listen 127.0.0.1:${PORT}
ServerName 127.0.0.1
User nobody
Group nogroup
${APACHE_MODULES.map(name => `LoadModule ${name}_module ${MODULES}/mod_${name}.so`).join('\n')}
StartServers 1
ServerTokens Prod
TraceEnable off
FileETag Digest
RequestReadTimeout header=20 body=20,MinRate=500
TypesConfig /dev/null
AddType text/html .html
AddType text/plain .txt
AddType text/css .css
DocumentRoot ${root}
<Directory ${root}>
  Options None
  AllowOverride None
  Require all granted
  AllowMethods GET HEAD OPTIONS
</Directory>
RedirectMatch 404 "/\\\\."
RewriteEngine On
RewriteCond "%{HTTP:Accept-Encoding}" "br"
RewriteCond "%{DOCUMENT_ROOT}%{REQUEST_URI}.br" -s
RewriteRule "^(.*)\\.css$" "$1.css.br" [PT,T=text/css]
RewriteCond "%{HTTP:Accept-Encoding}" "gzip"
RewriteCond "%{DOCUMENT_ROOT}%{REQUEST_URI}.gz" -s
RewriteRule "^(.*)\\.css$" "$1.css.gz" [PT,T=text/css]
<FilesMatch "\\.css(\\.br|\\.gz)?$">
  ForceType text/css
  Header merge Vary Accept-Encoding
</FilesMatch>
<FilesMatch "\\.css\\.br$">
  Header set Content-Encoding br
</FilesMatch>
<FilesMatch "\\.css\\.gz$">
  Header set Content-Encoding gzip
</FilesMatch>
`,
    start: (_folder, file) => ['-f', file, '-D', 'FOREGROUND'],
  },
  caddy: {
    package: 'caddy',
    command: 'caddy',
    configuration: (folder, root) => `
{
  admin off
  auto_https off
  storage file_system ${folder}
  log {
    output discard
  }
  servers {
    protocols h1
    timeouts {
      read_header 20s
      read_body 20s
      idle 65s
    }
    max_header_size 16KiB
  }
}
:${PORT} {
  bind 127.0.0.1
  root * ${root}
  file_server {
    hide .*
    precompressed br gzip
  }
}
`,
    start: (_folder, file) => ['run', '--config', file, '--adapter', 'caddyfile'],
  },
}

export function isOtherServer(name: string): name is OtherServer {
  return (OTHER_SERVERS as readonly string[]).includes(name)
}

/** Runs `work` on a server that serves the suite's root. */
export async function withOtherServer(
  name: OtherServer,
  work: (host: string, port: number) => Promise<void>,
): Promise<void> {
  const recipe = RECIPES[name]
  if (!(await has(recipe.command))) throw new Error(`${name} is missing: apt-get install ${recipe.package}`)
  const folder = await mkdtemp(join(tmpdir(), 'gyre-conformance-'))
  // Its workers run as somebody else.
  await chmod(folder, 0o755)
  const root = await makeRoot(folder)
  const file = join(folder, 'configuration')
  await writeFile(file, recipe.configuration(folder, root))
  const server = new Server('env', [`HOME=${folder}`, recipe.command, ...recipe.start(folder, file)])
  try {
    await untilItServes(name, server, folder)
    await work('127.0.0.1', PORT)
  } finally {
    await server.stop()
    await rm(folder, { recursive: true, force: true })
  }
}

async function untilItServes(name: string, server: Server, folder: string): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt++) {
    await new Promise(resolve => setTimeout(resolve, 50))
    if (!server.running) throw new Error(`${name} did not start: ${server.output}${await errorsIn(folder)}`)
    const body = await fetch(`http://127.0.0.1:${PORT}/`)
      .then(response => response.text())
      .catch(() => '')
    if (body === INDEX) return
  }
  throw new Error(`${name} does not serve its root: ${server.output}`)
}

function errorsIn(folder: string): Promise<string> {
  return readFile(join(folder, 'error.log'), 'utf8').catch(() => '')
}
