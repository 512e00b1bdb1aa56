import { MAX_FAULT_CHARS, READY_MS, Reloader } from './reloader.ts'
import type { ServingSettings } from './settings.ts'

function serving(digest: string): ServingSettings {
  return { digest } as ServingSettings
}

let now: number
let applied: string[]
let file: string | Error

function reloader(prepare?: () => Promise<() => void>): Reloader {
  return new Reloader({
    serving: serving('a'),
    read: async () => {
      if (file instanceof Error) throw file
      return serving(file)
    },
    prepare:
      prepare ??
      (async ({ digest }) =>
        () =>
          void applied.push(digest)),
    now: () => now,
  })
}

beforeEach(() => {
  now = 0
  applied = []
  file = 'b'
})

it('puts what it has checked in force, once', async () => {
  const one = reloader()
  expect(one.digest).toBe('a')
  expect(await one.check()).toEqual({ ok: true, digest: 'b' })
  expect(applied).toEqual([])
  expect(one.digest).toBe('a')
  expect(one.apply('b')).toEqual({ ok: true, digest: 'b' })
  expect(applied).toEqual(['b'])
  expect(one.digest).toBe('b')
  expect(one.apply('b')).toMatchObject({ ok: false })
  expect(applied).toEqual(['b'])
})

it('keeps the old where the new is wrong', async () => {
  const one = reloader()
  file = new Error('x'.repeat(2 * MAX_FAULT_CHARS))
  expect(await one.reload()).toEqual({ ok: false, fault: 'x'.repeat(MAX_FAULT_CHARS) })
  expect(one.digest).toBe('a')
})

it('keeps the old where the new cannot be made ready', async () => {
  const one = reloader(async () => {
    throw new Error('no such folder')
  })
  expect(await one.reload()).toEqual({ ok: false, fault: 'no such folder' })
  expect(one.apply('b')).toMatchObject({ ok: false })
  expect(one.digest).toBe('a')
})

it('applies neither another configuration nor an old one', async () => {
  const one = reloader()
  await one.check()
  expect(one.apply('c')).toMatchObject({ ok: false })
  now = READY_MS + 1
  expect(one.apply('b')).toMatchObject({ ok: false })
  expect(applied).toEqual([])
  expect(await one.reload()).toEqual({ ok: true, digest: 'b' })
})
