import { ADMIN_TOKEN_VARIABLE, SECRET_VARIABLE } from '../options.ts'
import { SupervisedRole } from './supervised-role.ts'

const PROGRAM = `
console.log(JSON.stringify([process.env.${ADMIN_TOKEN_VARIABLE}, process.env.${SECRET_VARIABLE}, process.env.GYRE_OTHER]))
process.send({ ready: true })
setInterval(() => {}, 1_000)`

it.each([
  [{}, [null, null, 'other']],
  [{ [ADMIN_TOKEN_VARIABLE]: 'its own' }, ['its own', null, 'other']],
])('a role knows no secret of ours but what it is given: %j', async (environment, known) => {
  const before = { ...process.env }
  Object.assign(process.env, {
    [ADMIN_TOKEN_VARIABLE]: 'ours',
    [SECRET_VARIABLE]: 'ours',
    GYRE_OTHER: 'other',
  })
  let said: (text: string) => void = () => {}
  const first = new Promise<string>(resolve => {
    said = resolve
  })
  const role = new SupervisedRole(
    {
      ...{ name: 'node1', role: 'node', id: 1, address: '10.78.0.3', address6: undefined },
      ...{ namespace: undefined, admin: undefined, readyTimeoutMs: 20_000 },
      ...{ argv: [process.execPath, '-e', PROGRAM], environment },
    },
    { line: (_, text) => said(text), changed: () => {}, gaveUp: () => {} },
  )
  try {
    await role.start()
    expect(JSON.parse(await first)).toEqual(known)
  } finally {
    await role.stop()
    process.env = before
  }
})
