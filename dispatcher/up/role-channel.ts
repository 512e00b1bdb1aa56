/**
 * The supervised side of `supervised-role.ts`: tells the supervisor that the role serves, and ends the role with
 * it. Without a supervisor (a role started by hand or by the system) it does nothing but handle signals.
 */
import type { RunningRole } from '../options.ts'

/** A role that does not end by itself within this, or within what it says, is ended by us. */
const STOP_TIMEOUT_MS = 2500

/** By a signal; the outcome is said on standard error, where the operator looks. */
async function reload(role: RunningRole | undefined): Promise<void> {
  const answer = await role?.reload?.()
  if (answer === undefined) return
  const text = answer.ok ? `reloaded: configuration ${answer.digest}` : `not reloaded: ${answer.fault}`
  process.stderr.write(`${text}\n`)
}

/** Starts the role; returns when it serves. An error of its start is the caller's. */
export async function serve(start: () => Promise<RunningRole>): Promise<void> {
  let role: RunningRole | undefined
  let ending = false
  const end = () => {
    if (ending) return
    ending = true
    setTimeout(() => process.exit(1), role?.stopTimeoutMs ?? STOP_TIMEOUT_MS).unref()
    Promise.resolve(role?.stop()).then(
      () => process.exit(0),
      (error: unknown) => {
        process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
        process.exit(1)
      },
    )
  }
  for (const name of ['SIGTERM', 'SIGINT'] as const) process.on(name, end)
  // At a terminal it means that the terminal is gone; a service has none, and reads its configuration again.
  process.on('SIGHUP', () => {
    if (process.stdin.isTTY || process.stdout.isTTY) end()
    else void reload(role)
  })
  // logrotate's order, as nginx has it. Node.js would open its debugger otherwise.
  process.on('SIGUSR1', () => role?.reopen?.())
  // A supervisor that was killed cannot end us; without it nobody would remove what we are part of.
  process.on('disconnect', end)
  // Its output pipe may be gone before we notice; a log line must not end us before `end` has.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {})
  role = await start()
  if (ending) await role.stop()
  else process.send?.({ ready: true })
}
