/**
 * Makes the pictures of the dashboard that README shows, of a running cluster: `npm run screenshots`. Needs root and Chromium.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { AdminClient } from '../dispatcher/admin/client.ts'
import { ask, open, until, withBrowser } from './browser.ts'
import { REPOSITORY, withCluster } from './local-cluster.ts'
import { inNamespace, Server } from './process.ts'

const FOLDER = join(REPOSITORY, 'www', 'admin', 'screenshots')
const FLAGS = {
  name: 'gyre-shots',
  vip: '10.77.161.1',
  vip6: 'fd77:161::1',
  admin: '127.0.0.1:8961',
  nodes: 4,
  root: join(REPOSITORY, 'www', 'site'),
}
const CLIENTS = 14
const SHIFTS = 9
/** Further ones, for the lanes; meanwhile a node is emptied. */
const MORE_SHIFTS = 16
const DRAIN_AT = 9
const UNDRAIN_AT = 11
const PERIOD_MS = 1_500

async function shoot(page: Page, name: string): Promise<void> {
  await page.waitForTimeout(600)
  await page.screenshot({ path: join(FOLDER, `${name}.png`) })
}

/** The download that is shown, and three of the others, each to another node than before. */
async function shiftSome(page: Page, client: AdminClient, turn: number): Promise<void> {
  await page.waitForTimeout(PERIOD_MS)
  const ids = await ask<number[]>(
    page,
    `[...new Set([gyre.staircase.id, ...[...gyre.cluster.sockets.values()]
      .filter(({ state }) => state === 3).map(({ id }) => id).slice(${turn % 5}, ${(turn % 5) + 3})])]`,
  )
  for (const [index, id] of ids.entries()) {
    const to = `${1 + ((turn + index) % 4)}`
    // One that has it already, or has ended, says so, and that is all right.
    await client.shift({ connection: id, to }).catch(() => {})
  }
}

mkdirSync(FOLDER, { recursive: true })
await withCluster(FLAGS, ({ admin, token, vip, clientNamespace }) =>
  withBrowser(async browser => {
    const { page } = await open(browser, `http://${admin}/#token=${token}`)
    await page.setViewportSize({ width: 1280, height: 800 })
    const client = new AdminClient(admin, token)
    const args = (rate: number) => ['-sS', '-o', '/dev/null', '--limit-rate', `${rate}k`]
    const clients = Array.from({ length: CLIENTS }, (_, index) => {
      const curl = [...args(60 + 10 * index), `http://${vip}/downloads/gyre-sample.bin`]
      return new Server(...inNamespace(clientNamespace, 'curl', curl))
    })
    await page.click('button:has-text("Start a demo download")')
    await until(page, 'gyre.staircase.size > 0')
    for (let turn = 0; turn < SHIFTS; turn++) await shiftSome(page, client, turn)
    await shoot(page, 'staircase')
    await page.emulateMedia({ colorScheme: 'dark' })
    await page.setViewportSize({ width: 1280, height: 1130 })
    await page.locator('#lanes-title').evaluate(title => title.scrollIntoView())
    for (let turn = 0; turn < MORE_SHIFTS; turn++) {
      await shiftSome(page, client, turn)
      if (turn === DRAIN_AT) await client.drain({ node: 'node3', deadlineMs: 10_000 })
      if (turn === UNDRAIN_AT) await client.undrain('node3')
    }
    await page.evaluate('scrollBy(0, -70)')
    await shoot(page, 'map-dark')
    await page.emulateMedia({ colorScheme: 'light' })
    await page.setViewportSize({ width: 1280, height: 800 })
    await page.evaluate('scrollTo(0, 0)')
    // The one that was moved most, of those that go on.
    await page.fill('#connections input', 'ESTABLISHED')
    await page.click('#connections th button:has-text("Shifts")')
    await page.click('#connections th button:has-text("Shifts")')
    await page.waitForSelector('#connections th[aria-sort="descending"] button:has-text("Shifts")')
    await page.waitForTimeout(PERIOD_MS)
    await page.click('#connections .link >> nth=0')
    await page.waitForSelector('dialog .tcp')
    await shoot(page, 'connection')
    await page.keyboard.press('Escape')
    await page.setViewportSize({ width: 390, height: 844 })
    await page.evaluate('scrollTo(0, 0)')
    await shoot(page, 'phone')
    for (const client of clients) await client.stop()
  }),
)
process.exit(0)
