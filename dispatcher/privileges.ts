/**
 * Gives root up for good, once a process has opened what only root may open: another user's id and its own group alone, on every thread.
 * Nothing that it started before is touched, and nothing leads back.
 */
import { readFileSync } from 'node:fs'

export type PrivilegeCode = 'USER_UNKNOWN' | 'USER_IS_ROOT' | 'NOT_ROOT' | 'NEEDS_ROOT'

export class PrivilegeError extends Error {
  readonly code: PrivilegeCode

  constructor(code: PrivilegeCode, message: string) {
    super(message)
    this.name = 'PrivilegeError'
    this.code = code
  }
}

interface Account {
  readonly name: string
  readonly uid: number
  readonly gid: number
}

/** The account of that name, as `passwd` has it. Throws a PrivilegeError for one that is not there, or is root's. */
export function accountOf(name: string, passwd: string): Account {
  const fields = passwd.split('\n').map(line => line.split(':'))
  const found = fields.find(([first]) => first === name)
  const [uid, gid] = [Number(found?.[2]), Number(found?.[3])]
  if (found === undefined || !Number.isInteger(uid) || !Number.isInteger(gid)) {
    throw new PrivilegeError('USER_UNKNOWN', `there is no user ${name} on this machine`)
  }
  if (uid === 0) throw new PrivilegeError('USER_IS_ROOT', `the user ${name} is root`)
  return { name, uid, gid }
}

/** Undefined: stays as it is. Throws a PrivilegeError where it cannot be done; then nothing has changed. */
export function dropPrivileges(user: string | undefined): void {
  if (user === undefined) return
  const { getuid, setgroups, setgid, setuid } = process
  if (getuid === undefined || setgroups === undefined || setgid === undefined || setuid === undefined) return
  const { name, uid, gid } = accountOf(user, readFileSync('/etc/passwd', 'utf8'))
  if (getuid() === uid) return
  if (getuid() !== 0) throw new PrivilegeError('NOT_ROOT', `only root can become ${name}`)
  setgroups([gid])
  setgid(gid)
  setuid(uid)
}
