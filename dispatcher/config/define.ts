/** What a configuration file imports as `gyre/config`: its type, and a function that gives it to an editor. */
import type { GyreConfig } from './schema.ts'

export type { GyreConfig }

/** Returns its argument: `export default defineConfig({ … })` is checked and completed by an editor. */
export function defineConfig(config: GyreConfig): GyreConfig {
  return config
}
