/**
 * What the loader and the streams ask of the file system, as `node:fs/promises` has it: named, so that a test can put
 * a slow or a broken disk in its place. With it, when two looks at a file saw the same version.
 */
import type { BigIntStats } from 'node:fs'
import { open, realpath, stat } from 'node:fs/promises'

export interface OpenHandle {
  readonly fd: number
  read(into: Uint8Array, offset: number, length: number, position: number): Promise<{ bytesRead: number }>
  readv(into: readonly Uint8Array[], position: number): Promise<{ bytesRead: number }>
  stat(options: { bigint: true }): Promise<BigIntStats>
  close(): Promise<void>
}

export interface FileAccess {
  open(path: string, flags: number): Promise<OpenHandle>
  realpath(path: string): Promise<string>
  stat(path: string, options: { bigint: true }): Promise<BigIntStats>
}

export const FILE_SYSTEM: FileAccess = { open, realpath, stat }

/** Equal stamps: the same file, not written since. The change time tells even where the modification time was set back. */
export function stampOf(facts: BigIntStats): string {
  return `${facts.dev}.${facts.ino}.${facts.size}.${facts.mtimeNs}.${facts.ctimeNs}`
}

/**
 * Whether an open file has still the content that it had. Its change time moves when it loses a name, as by a rename
 * over it, which does not touch the content; but any other cause of that could be a writer who set the
 * modification time back.
 */
export function isUnchanged(before: BigIntStats, after: BigIntStats): boolean {
  return (
    after.size === before.size &&
    after.mtimeNs === before.mtimeNs &&
    // An earlier one is of a look that was overtaken by another.
    (after.ctimeNs <= before.ctimeNs || after.nlink < before.nlink)
  )
}
