/**
 * What can go wrong with a TUN device, as stable codes with a hint for the operator. A packet that the kernel
 * refuses is not an error: it is dropped and counted.
 */
import { constants } from 'node:os'

const TUN_ERRORS = {
  TUN_NOT_BUILT: 'the native addon is not built or does not load; run `npm install` again',
  TUN_NO_DEVICE:
    '/dev/net/tun is missing; load the module (`modprobe tun`) or pass the device into the container',
  TUN_NO_PERMISSION: 'opening a TUN device needs CAP_NET_ADMIN',
  TUN_NO_NAMESPACE: 'the network namespace does not exist or cannot be entered',
  TUN_NAME_TAKEN: 'the name belongs to another device, or another process has the device open',
  TUN_BAD_NAME:
    'a device name has 1 to 15 printable ASCII characters without / : % and spaces, and is not . or ..',
  TUN_DELETED: 'the device was deleted while it was open',
  TUN_OPEN_FAILED: 'the device cannot be opened',
  TUN_READ_FAILED: 'the device cannot be read',
} as const

export type TunErrorCode = keyof typeof TUN_ERRORS

/** A system call's error number, positive, and its name in the table of errno values. */
export interface SystemCause {
  readonly errno: number
  readonly code: string
  readonly syscall: string
}

export class TunError extends Error {
  readonly code: TunErrorCode
  readonly device: string

  constructor(code: TunErrorCode, device: string, cause?: SystemCause | Error) {
    const detail = cause === undefined || cause instanceof Error ? '' : ` (${cause.syscall}: ${cause.code})`
    super(`${device}: ${TUN_ERRORS[code]}${detail}`, cause === undefined ? undefined : { cause })
    this.name = 'TunError'
    this.code = code
    this.device = device
  }
}

const { errno } = constants
/** "File descriptor in bad state": not in Node's table. It is what a descriptor says whose device is gone. */
const EBADFD = 77

function codeOfErrno(number: number): string {
  if (number === EBADFD) return 'EBADFD'
  return Object.entries(errno).find(([, value]) => value === number)?.[0] ?? `errno ${number}`
}

function systemCause(number: number, syscall: string): SystemCause {
  return { errno: number, code: codeOfErrno(number), syscall }
}

/** The error of a failed open; the name has been checked before. */
export function openError(device: string, number: number, syscall: string): TunError {
  return new TunError(openErrorCode(number, syscall), device, systemCause(number, syscall))
}

function openErrorCode(number: number, syscall: string): TunErrorCode {
  if (number === errno.EPERM || number === errno.EACCES) return 'TUN_NO_PERMISSION'
  if (syscall === 'setns') return 'TUN_NO_NAMESPACE'
  if (syscall === 'open') {
    const missing = number === errno.ENOENT || number === errno.ENODEV || number === errno.ENXIO
    return missing ? 'TUN_NO_DEVICE' : 'TUN_OPEN_FAILED'
  }
  // EBUSY: another process has it; EINVAL: it is not a TUN device at all (a name it would refuse is not asked).
  const taken = number === errno.EBUSY || number === errno.EEXIST || number === errno.EINVAL
  return syscall === 'TUNSETIFF' && taken ? 'TUN_NAME_TAKEN' : 'TUN_OPEN_FAILED'
}

/** The error of a device that failed while it was open. */
export function readError(device: string, number: number, syscall: string): TunError {
  const deleted =
    number === EBADFD || number === errno.EBADF || number === errno.ENODEV || number === errno.EIO
  return new TunError(deleted ? 'TUN_DELETED' : 'TUN_READ_FAILED', device, systemCause(number, syscall))
}
