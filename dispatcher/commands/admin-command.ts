/**
 * What every command has in common that asks the admin API: its flags, how it finds the cluster, where the
 * result goes, and how it fails: one line on standard error, exit code 1, nothing on standard output.
 */
import { type Command, Option } from 'commander'
import type { AdminClient } from '../admin/client.ts'
import { AdminError } from '../admin/errors.ts'
import { ADMIN_TOKEN_VARIABLE, DEFAULT_CLUSTER } from '../options.ts'
import { printable } from './table.ts'

export interface AdminFlags {
  readonly json?: true
  readonly name: string
  readonly admin?: string
  readonly adminToken?: string
}

export function addAdminFlags(command: Command): Command {
  return command
    .option('--json', 'print the result as JSON')
    .option('--name <name>', 'the cluster, where several run on this machine', DEFAULT_CLUSTER)
    .option('--admin <host:port>', 'the admin address, of a cluster that runs elsewhere')
    .addOption(
      new Option('--admin-token <token>', 'what acts need, of a cluster that runs elsewhere').env(
        ADMIN_TOKEN_VARIABLE,
      ),
    )
}

/** Runs `ask` with a client and prints what it makes of the answer. */
export async function runAdminCommand<T>(
  command: Command,
  flags: AdminFlags,
  ask: (client: AdminClient) => Promise<T>,
  format: (result: T) => string,
): Promise<void> {
  // Here, because the roles start through the same command line and need no HTTP client (0.1 s).
  const { AdminClient, findAdmin, findToken } = await import('../admin/client.ts')
  let client: AdminClient | undefined
  let text: string
  try {
    const token = await findToken({ ...flags, ...(flags.adminToken && { token: flags.adminToken }) })
    client = new AdminClient(await findAdmin(flags), token)
    const result = await ask(client)
    text = flags.json ? `${JSON.stringify(result, null, 2)}\n` : format(result)
  } catch (error) {
    if (!(error instanceof AdminError)) throw error
    return command.error(`error: ${printable(error.message)}`, { exitCode: 1, code: error.code })
  } finally {
    await client?.close()
  }
  const { writeOut } = command.configureOutput()
  if (writeOut === undefined) process.stdout.write(text)
  else writeOut(text)
}
