import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createKeyText } from '../node/control/link-keys.ts'
import { linkKeys } from './link-security.ts'

const INNER = { host: '10.78.0.11', port: 7700 }
let folder: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'gyre-key-'))
})

afterEach(() => {
  rmSync(folder, { recursive: true, force: true })
})

function keyFile(text: string, mode = 0o600): string {
  const file = join(folder, 'key')
  writeFileSync(file, text)
  chmodSync(file, mode)
  return file
}

it('reads the key of a file that its owner alone may read', async () => {
  const keys = await linkKeys({ key: keyFile(createKeyText()) }, [INNER])
  expect(keys).toHaveLength(1)
})

it.each(['127.0.0.1', '127.9.9.9', '::1', 'localhost'])('needs none for links at %s', async host => {
  expect(await linkKeys({}, [{ host, port: 1 }])).toBeUndefined()
})

it.each(['10.78.0.11', '0.0.0.0', '::', '127.0.0.1.example.org', 'node1'])(
  'refuses links at %s without a key, and says what to do',
  async host => {
    await expect(
      linkKeys({}, [
        { host: '127.0.0.1', port: 1 },
        { host, port: 1 },
      ]),
    ).rejects.toMatchObject({
      code: 'LINKS_UNPROTECTED',
      message: expect.stringMatching(/gyre key FILE.*--key FILE.*--plain-links/),
    })
    expect(await linkKeys({ plainLinks: true }, [{ host, port: 1 }])).toBeUndefined()
  },
)

it.each([
  ['that others may read', () => keyFile(createKeyText(), 0o640), 'KEY_EXPOSED', /chmod 600/],
  ['that is not there', () => join(folder, 'none'), 'KEY_UNREADABLE', /ENOENT/],
  ['that is a folder', () => folder, 'KEY_UNREADABLE', /EISDIR/],
  ['with something else', () => keyFile('hello'), 'KEY_INVALID', /key 1 is not 64/],
  ['that is far too long', () => keyFile('#'.repeat(70_000)), 'KEY_INVALID', /no key file/],
] as const)('refuses a key file %s', async (_, file, code, message) => {
  const given = linkKeys({ key: file(), plainLinks: true }, [INNER])
  await expect(given).rejects.toMatchObject({ code, message: expect.stringMatching(message) })
})
