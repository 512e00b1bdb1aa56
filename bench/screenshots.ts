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
const PERIOD_MS = 1_500

async function shoot(page: Page, name: string): Promise<void> {
  await page.waitForTimeout(600)
  await page.screenshot({ path: join(FOLDER, `${name}.png`) })
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
    for (let turn = 0; turn < SHIFTS; turn++) {
      await page.waitForTimeout(PERIOD_MS)
      const ids = await ask<number[]>(
        page,
        '[gyre.staircase.id, ...[...gyre.cluster.sockets.keys()].slice(0, 3)]',
      )
      for (const [index, id] of ids.entries()) {
        const to = `${1 + ((turn + index) % 4)}`
        // One that has it already says so, and that is all right.
        await client.shift({ connection: id, to }).catch(() => {})
      }
    }
    await shoot(page, 'staircase')
    await page.emulateMedia({ colorScheme: 'dark' })
    await page.locator('#lanes-title').evaluate(title => title.scrollIntoView())
    await page.evaluate('scrollBy(0, -70)')
    await shoot(page, 'map-dark')
    await page.emulateMedia({ colorScheme: 'light' })
    await page.evaluate('scrollTo(0, 0)')
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
