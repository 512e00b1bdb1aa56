/** `npm run settings`: writes the table of settings into the README. */
import { readFileSync, writeFileSync } from 'node:fs'
import { withTable } from './table.ts'

const README = 'README.md'

writeFileSync(README, withTable(readFileSync(README, 'utf8')))
