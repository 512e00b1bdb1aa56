/** The files of the dashboard, read once at the start: pages as they are, scripts as compiled, and the two libraries. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, extname, join } from 'node:path'
import type { Route } from './route.ts'

/** Nothing from other hosts, no script or style within a page, and in nobody's frame. */
const HEADERS = {
  'Content-Security-Policy': [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; '),
  'Referrer-Policy': 'no-referrer',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
}
const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
}
const PAGES = ['index.html', 'style.css', 'favicon.svg']
/** Modules that the page has in common with the server. */
const SHARED = ['amounts.js', 'api.js', 'feed-messages.js']
const TIMEOUT_MS = 1_000

/** `root` is the package's folder. None where it was not compiled. */
export function dashboardFiles(root: string): [string, Route][] {
  const scripts = join(root, 'dist', 'www', 'admin')
  if (!existsSync(scripts)) return []
  const require = createRequire(join(root, 'package.json'))
  const library = (name: string, file: string) =>
    join(dirname(require.resolve(`${name}/package.json`)), 'dist', file)
  const files: [string, string][] = [
    ...PAGES.map((name): [string, string] => [`/${name}`, join(root, 'www', 'admin', name)]),
    ...readdirSync(scripts)
      .filter(name => name.endsWith('.js') && !name.endsWith('.test.js'))
      .map((name): [string, string] => [`/app/www/admin/${name}`, join(scripts, name)]),
    // Where they stand in `dist`, so that what imports them finds them.
    ...SHARED.map((name): [string, string] => [
      `/app/dispatcher/admin/${name}`,
      join(root, 'dist', 'dispatcher', 'admin', name),
    ]),
    ['/app/www/admin/vendor/preact.js', library('preact', 'preact.mjs')],
    ['/app/www/admin/vendor/uplot.js', library('uplot', 'uPlot.esm.js')],
    ['/uplot.css', library('uplot', 'uPlot.min.css')],
  ]
  const routes = files.map(([path, file]): [string, Route] => [path, fileRoute(file)])
  const index = routes.find(([path]) => path === '/index.html')
  return index === undefined ? routes : [['/', index[1]], ...routes]
}

function fileRoute(file: string): Route {
  const answer = { status: 200, body: readFileSync(file), type: TYPES[extname(file)] ?? '', headers: HEADERS }
  return { method: 'GET', timeoutMs: TIMEOUT_MS, run: async () => answer }
}
