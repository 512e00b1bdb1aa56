/** The reasons of placement in words. */
import type { Reason } from '../placement/policy.ts'

export const REASONS: Readonly<Record<Reason, string>> = {
  holder: 'it holds the object',
  first: 'nobody holds the object; it is the least loaded, and reads it',
  replica: 'those that hold the object are loaded more than a copy costs',
  relief: 'it relieves the node that had the connection, which was loaded far above it',
  stay: 'it has the connection already, and elsewhere is not better by what a shift costs',
  'least-loaded': 'it is the least loaded',
  turn: 'it was its turn',
  hash: 'the path belongs to it by its hash',
  'server-set': 'it is the least loaded of the servers of the object',
  'shift-limit': 'it has the connection already, and enough are moved in this second',
}
