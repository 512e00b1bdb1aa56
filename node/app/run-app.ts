/** Runs the module of an application within a node. */
import { isAbsolute } from 'node:path'
import { pathToFileURL } from 'node:url'
import { GyreError } from './errors.ts'

/**
 * Imports the module at an absolute path, which calls `listen` on its way; one that awaits is waited for. Rejects with a
 * GyreError where it cannot be loaded, or throws.
 */
export async function runApp(file: string): Promise<void> {
  if (!isAbsolute(file)) throw new GyreError('ERR_GYRE_BAD_ARGUMENT', `the path ${file} is not absolute`)
  try {
    await import(pathToFileURL(file).href)
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new GyreError('ERR_GYRE_APP_FAILED', `the application ${file} does not start: ${why}`, cause)
  }
}
