/** The document root of the suite, on disk: what every server that is tested serves. */
import { mkdir, symlink, utimes, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { FILES, OUTSIDE, OUTSIDE_LINK } from './case.ts'

/** Long enough ago that the dates of files are strong validators (RFC 9110 §8.8.2.2). */
const MODIFIED = new Date('2024-02-03T04:05:06Z')

/** Makes `www` in `folder`, and `outside.txt` beside it; returns the path of the root. */
export async function makeRoot(folder: string): Promise<string> {
  const root = join(folder, 'www')
  for (const [name, text] of Object.entries(FILES)) {
    const path = join(root, name)
    await mkdir(dirname(path), { recursive: true })
    await writeFile(path, text)
    await utimes(path, MODIFIED, MODIFIED)
  }
  await writeFile(join(folder, 'outside.txt'), OUTSIDE)
  await symlink('../outside.txt', join(root, OUTSIDE_LINK))
  return root
}
