/** Debian's Chromium, driven by playwright-core: for the tests of the dashboard, and for its pictures. */
import { existsSync } from 'node:fs'
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core'

const CHROMIUM = '/usr/bin/chromium'
const POLL_MS = 50
const TIMEOUT_MS = 30_000

/** Why there can be no browser here, or undefined. */
export function whyNoBrowser(): string | undefined {
  return existsSync(CHROMIUM) ? undefined : 'needs chromium: apt-get install chromium'
}

/** Runs `work` with a browser, and ends it whatever came of it. */
export async function withBrowser<Result>(work: (browser: Browser) => Promise<Result>): Promise<Result> {
  // Its sandbox does not run for root, and it visits nobody but us.
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox'] })
  try {
    return await work(browser)
  } finally {
    await browser.close()
  }
}

export interface Opened {
  readonly page: Page
  /** What the page complained of. */
  readonly errors: string[]
}

export async function open(
  browser: Browser,
  url: string,
  options: BrowserContextOptions = {},
): Promise<Opened> {
  const context = await browser.newContext({ viewport: { width: 1360, height: 900 }, ...options })
  const page = await context.newPage()
  const errors: string[] = []
  page.on('console', message => {
    if (message.type() === 'error') errors.push(message.text())
  })
  page.on('pageerror', error => errors.push(error.message))
  await page.goto(url)
  await page.waitForSelector('.live:not(.off)')
  return { page, errors }
}

/** What the page's own script knows, as JSON. */
export function ask<Answer>(page: Page, expression: string): Promise<Answer> {
  return page.evaluate<Answer>(expression)
}

/** Waits until it is true on the page. (Playwright's own way needs `eval`, which the page's policy forbids.) */
export async function until(page: Page, expression: string): Promise<void> {
  for (let waited = 0; !(await ask<boolean>(page, expression)); waited += POLL_MS) {
    if (waited > TIMEOUT_MS) throw new Error(`waited in vain for ${expression}`)
    await page.waitForTimeout(POLL_MS)
  }
}

/** Drags a socket's dot to another node's tile. */
export async function drag(page: Page, socket: number, owner: number): Promise<void> {
  const map = page.locator('#map')
  await map.scrollIntoViewIfNeeded()
  // The picture is drawn once it is seen.
  await until(page, `gyre.map.dotOf(${socket}) !== undefined`)
  const frame = await map.boundingBox()
  const dot = await ask<{ x: number; y: number }>(page, `gyre.map.dotOf(${socket})`)
  const box = await ask<{ x: number; y: number; width: number; height: number }>(
    page,
    `gyre.map.boxOf(${owner})`,
  )
  if (frame === null) throw new Error('the map is not on the page')
  await page.mouse.move(frame.x + dot.x, frame.y + dot.y)
  await page.mouse.down()
  await page.mouse.move(frame.x + box.x + box.width / 2, frame.y + box.y + box.height / 2, { steps: 6 })
  await page.mouse.up()
}
