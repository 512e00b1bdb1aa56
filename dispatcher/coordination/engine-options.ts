/** Which engine a process is told to use, and the files that prove who it is; pure but for reading those. */
import { readFile } from 'node:fs/promises'
import { isLoopback, readPrivateFile } from '../link-security.ts'
import type { Endpoint } from '../options.ts'
import { CoordinationError } from './errors.ts'

/** As `--nats` says. */
export interface EngineServers {
  readonly servers: readonly Endpoint[]
  readonly tls: boolean
}

export interface EngineOptions extends EngineServers {
  /** Files, absolute: credentials (a JWT and its seed), the authority of the servers, our certificate and its key. */
  readonly creds?: string | undefined
  readonly ca?: string | undefined
  readonly cert?: string | undefined
  readonly key?: string | undefined
}

/** The contents of those files. */
export interface EngineSecrets {
  readonly creds: string | undefined
  readonly ca: string | undefined
  readonly cert: string | undefined
  readonly key: string | undefined
}

/** Rejects with a CoordinationError, or a LinkSecurityError where others may read what is secret. */
export async function engineSecrets(options: EngineOptions, plainLinks: boolean): Promise<EngineSecrets> {
  const { servers, tls, creds, ca, cert, key } = options
  const reached = servers.find(({ host }) => !isLoopback(host))
  if (!tls && !plainLinks && reached !== undefined) {
    throw new CoordinationError(
      'ENGINE_UNPROTECTED',
      `the engine at ${reached.host} needs TLS: tls://${reached.host} (or --plain-links, where nobody else reaches that network)`,
    )
  }
  if ((cert === undefined) !== (key === undefined)) {
    throw new CoordinationError(
      'ENGINE_FILE',
      'a certificate needs its key: give both --nats-cert and --nats-key',
    )
  }
  return {
    creds: creds === undefined ? undefined : await readPrivateFile(creds, 'file with credentials'),
    ca: ca === undefined ? undefined : await readCertificate(ca),
    cert: cert === undefined ? undefined : await readCertificate(cert),
    key: key === undefined ? undefined : await readPrivateFile(key, 'key of the certificate'),
  }
}

async function readCertificate(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new CoordinationError('ENGINE_FILE', `the certificate cannot be read: ${why}`, error)
  }
}
