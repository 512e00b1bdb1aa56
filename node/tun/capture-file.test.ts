import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CaptureFile, MAX_WAITING_OCTETS } from './capture-file.ts'
import { pattern } from './test-packets.ts'

let folder = ''
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'gyre-capture-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe('a capture file', () => {
  it('has all octets in their order, and no other reader, when it is closed', async () => {
    const warnings: string[] = []
    const path = join(folder, 'a.pcapng')
    const file = new CaptureFile(path, text => void warnings.push(text))
    const pieces = Array.from({ length: 40 }, (_, index) => pattern(1 + 370 * index))
    for (const piece of pieces) {
      expect(file.write(piece)).toBe(true)
      if (piece.length % 5 === 0) await new Promise(resolve => setImmediate(resolve))
    }
    await file.close()
    expect(readFileSync(path).equals(Buffer.concat(pieces))).toBe(true)
    expect(statSync(path).mode & 0o777).toBe(0o600)
    expect(file.write(pattern(1))).toBe(false)
    expect(warnings).toEqual([])
  })

  it('takes no more than may wait for the disk', async () => {
    const file = new CaptureFile(join(folder, 'b.pcapng'), () => {})
    const half = new Uint8Array(MAX_WAITING_OCTETS / 2)
    expect([file.write(half), file.write(half), file.write(pattern(1))]).toEqual([true, true, false])
    await file.close()
    expect(statSync(file.path).size).toBe(MAX_WAITING_OCTETS)
  })

  it('ends with one warning where the disk is full', async () => {
    const warnings: string[] = []
    const warned = new Promise<void>(resolve => {
      const file = new CaptureFile('/dev/full', text => {
        warnings.push(text)
        expect(file.write(pattern(10))).toBe(false)
        void file.close().then(resolve)
      })
      expect(file.write(pattern(10))).toBe(true)
      expect(file.write(pattern(10))).toBe(true)
    })
    await warned
    expect(warnings).toEqual(['recording to /dev/full has ended: ENOSPC: no space left on device, write'])
  })

  it('says what is wrong where it cannot be made', () => {
    expect(() => new CaptureFile(join(folder, 'none', 'c.pcapng'), () => {})).toThrow(/ENOENT.*c\.pcapng/)
  })
})
