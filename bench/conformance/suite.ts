/** All cases. */
import type { Case } from './case.ts'
import { BODY_CASES } from './cases/body.ts'
import { CONDITION_CASES } from './cases/conditions.ts'
import { MESSAGE_CASES } from './cases/message.ts'
import { NEGOTIATION_CASES } from './cases/negotiation.ts'
import { PATH_CASES } from './cases/paths.ts'
import { RANGE_CASES } from './cases/ranges.ts'
import { SEMANTICS_CASES } from './cases/semantics.ts'
import { TIMING_CASES } from './cases/timing.ts'

export const SUITE: readonly Case[] = [
  ...MESSAGE_CASES,
  ...BODY_CASES,
  ...SEMANTICS_CASES,
  ...CONDITION_CASES,
  ...RANGE_CASES,
  ...NEGOTIATION_CASES,
  ...PATH_CASES,
  ...TIMING_CASES,
]

export function titleOf({ section, level, name }: Case): string {
  return `${section} (${level}) ${name}`
}
