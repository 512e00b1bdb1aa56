import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { accountOf } from './privileges.ts'

const PASSWD =
  'root:x:0:0:root:/root:/bin/sh\ngyre:x:998:997::/:/usr/sbin/nologin\ntoor:x:0:0::/:/bin/sh\nbad:x:a:b\n'
/** Compiled by the set-up that runs before the tests. */
const MODULE = join(__dirname, '..', 'dist', 'dispatcher', 'privileges.js')
const isRoot = process.getuid?.() === 0

it('finds the ids of a user', () => {
  expect(accountOf('gyre', PASSWD)).toEqual({ name: 'gyre', uid: 998, gid: 997 })
})

it.each([
  ['none', 'USER_UNKNOWN'],
  ['bad', 'USER_UNKNOWN'],
  ['root', 'USER_IS_ROOT'],
  ['toor', 'USER_IS_ROOT'],
  ['', 'USER_UNKNOWN'],
])('refuses %j', (name, code) => {
  expect(() => accountOf(name, PASSWD)).toThrow(expect.objectContaining({ code }))
})

/** What a process of its own says after it has become nobody. */
function asNobody(): Record<string, unknown> {
  const script = `
    import { dropPrivileges } from ${JSON.stringify(MODULE)}
    import { readFile, writeFile } from 'node:fs/promises'
    await readFile('/etc/shadow')
    dropPrivileges('nobody')
    const denied = async act => act().then(() => 'done', error => error.code)
    const root = { uid: process.getuid(), euid: process.geteuid(), gid: process.getgid() }
    const tried = [
      await denied(() => readFile('/etc/shadow')),
      await denied(() => writeFile('/etc/gyre-test', '')),
      await denied(async () => process.setuid(0)),
    ]
    console.log(JSON.stringify({ ...root, groups: process.getgroups().includes(0), tried }))`
  return JSON.parse(execFileSync(process.execPath, ['--input-type=module', '-e', script]).toString())
}

;(isRoot ? it : it.skip)('leaves nothing of root on any thread, and no way back', () => {
  const nobody = accountOf('nobody', execFileSync('cat', ['/etc/passwd']).toString())
  expect(asNobody()).toEqual({
    ...{ uid: nobody.uid, euid: nobody.uid, gid: nobody.gid, groups: false },
    // Files are read by threads of libuv's.
    tried: ['EACCES', 'EACCES', 'EPERM'],
  })
})
