import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { POOL_THREADS, poolThreads, streamReads, THREADS_VARIABLE, threadsEnvironment } from './threads.ts'

it.each([
  [undefined, 4],
  ['16', 16],
  ['0', 1],
  ['99999', 1_024],
  ['many', 4],
])('libuv reads %p as %i threads', (said, threads) => {
  expect(poolThreads(said === undefined ? {} : { [THREADS_VARIABLE]: said })).toBe(threads)
})

it('large files take half of them, and more than one of them may have', () => {
  expect([1, 4, 8, 16].map(streamReads)).toEqual([3, 3, 4, 8])
})

it("the operator's choice stands", () => {
  expect(threadsEnvironment({})).toEqual({ [THREADS_VARIABLE]: `${POOL_THREADS}` })
  expect(threadsEnvironment({ [THREADS_VARIABLE]: '7' })).toEqual({ [THREADS_VARIABLE]: '7' })
})

describe('a process whose files do not come', () => {
  let folder: string
  let made = 0
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'gyre-threads-'))
  })
  afterEach(() => rmSync(folder, { recursive: true }))

  /** Each open of a pipe without a writer holds a thread, as a read from a disk that hangs does. */
  const reads = (held: number, environment: Record<string, string>, patienceMs = 8_000) => {
    const pipes = Array.from({ length: held }, () => join(folder, `${made++}`))
    execFileSync('mkfifo', pipes)
    const script = `
      const fs = require('node:fs')
      for (const pipe of ${JSON.stringify(pipes)}) fs.open(pipe, 'r', () => {})
      // An orderly end would wait for the threads.
      const end = () => process.kill(process.pid, 'SIGKILL')
      fs.readFile(__filename, () => { fs.writeSync(1, 'read'); end() })
      setTimeout(end, ${patienceMs})
    `
    const file = join(folder, 'script.cjs')
    writeFileSync(file, script)
    const env = { PATH: process.env.PATH, ...environment }
    return spawnSync(process.execPath, [file], { env, timeout: 10_000 }).stdout.toString()
  }

  it('reads others as long as a thread is left', () => {
    expect(reads(streamReads(poolThreads({})), {})).toBe('read')
    expect(reads(4, threadsEnvironment({}))).toBe('read')
  })

  it('does not when all four that libuv has without a word are held', () => {
    expect(reads(4, {}, 500)).toBe('')
  })
})
