/**
 * Reads a configuration file: JSON, JavaScript or TypeScript, the latter two run afresh each time, so that a
 * reload sees what they say now. What it may say is checked in `validate.ts`.
 */
import { readFile, stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createJiti } from 'jiti'
import { ConfigError, type ConfigIssue } from './errors.ts'
import type { Config } from './schema.ts'
import { validateConfig } from './validate.ts'

const MAX_CONFIG_OCTETS = 4 * 1024 * 1024

export interface LoadedConfig {
  /** Absolute. */
  readonly file: string
  readonly config: Config
}

/** Throws a ConfigError that says all that is wrong. Roots are absolute then, and directories. */
export async function loadConfig(path: string): Promise<LoadedConfig> {
  const file = resolve(path)
  const validation = validateConfig(await exported(file))
  if ('issues' in validation) throw new ConfigError('CONFIG_INVALID', file, validation.issues)
  const config = withPaths(validation.config, dirname(file))
  const issues = await missingRoots(config)
  if (issues.length > 0) throw new ConfigError('CONFIG_INVALID', file, issues)
  return { file, config }
}

async function exported(file: string): Promise<unknown> {
  try {
    const { size } = await stat(file)
    if (size > MAX_CONFIG_OCTETS) throw new RangeError(`it is larger than ${MAX_CONFIG_OCTETS} octets`)
    if (file.endsWith('.json')) return JSON.parse(await readFile(file, 'utf8'))
    return await run(file)
  } catch (cause) {
    const message = cause instanceof Error ? (cause.message.split('\n')[0] as string) : String(cause)
    throw new ConfigError(
      'CONFIG_UNREADABLE',
      file,
      [{ path: '', message: `cannot be read: ${message}` }],
      cause,
    )
  }
}

/** Node.js 20 runs no TypeScript, and no version runs a module twice: jiti does both. */
async function run(file: string): Promise<unknown> {
  const own = import.meta.url
  const define = fileURLToPath(own).replace(/load\.([jt]s)$/, 'define.$1')
  const jiti = createJiti(own, { alias: { 'gyre/config': define }, fsCache: false, moduleCache: false })
  return jiti.import(file, { default: true })
}

/** Relative paths begin at the folder of the file. */
function withPaths(config: Config, folder: string): Config {
  const absolute = <S extends { root?: string | undefined }>(site: S): S =>
    site.root === undefined ? site : { ...site, root: resolve(folder, site.root) }
  const { accessLog } = config
  const file =
    accessLog?.file === undefined || accessLog.file === '-' ? undefined : resolve(folder, accessLog.file)
  const pcap = config.pcap === undefined ? {} : { pcap: resolve(folder, config.pcap) }
  const here = {
    ...absolute(config),
    ...pcap,
    ...(file === undefined ? {} : { accessLog: { ...accessLog, file } }),
  }
  if (config.sites === undefined) return here
  const sites = Object.entries(config.sites).map(([name, site]) => [name, absolute(site)] as const)
  return { ...here, sites: Object.fromEntries(sites) }
}

async function missingRoots(config: Config): Promise<ConfigIssue[]> {
  const all = Object.entries(config.sites ?? {}).map(([name, site]) => ({
    path: `sites[${JSON.stringify(name)}].root`,
    root: site.root,
  }))
  const issues = [{ path: 'root', root: config.root }, ...all].map(async ({ path, root }) => {
    if (root === undefined) return []
    const isDirectory = await stat(root).then(
      facts => facts.isDirectory(),
      () => false,
    )
    return isDirectory
      ? []
      : [{ path, message: `expected a folder, found ${JSON.stringify(root)}, which is none` }]
  })
  return (await Promise.all(issues)).flat()
}
