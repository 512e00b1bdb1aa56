/** For tests: waits for what other processes and the kernel do in their own time. */
import { setTimeout as sleep } from 'node:timers/promises'

export async function until(condition: () => boolean, limitMs = 20_000): Promise<void> {
  const end = performance.now() + limitMs
  while (!condition()) {
    if (performance.now() > end) throw new Error(`not within ${limitMs} ms: ${condition}`)
    await sleep(2)
  }
}
