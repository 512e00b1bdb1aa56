import { LinkError } from './errors.ts'
import { FailureNotices } from './failure-notices.ts'

it('tells nothing of the start, and then one failure in ten seconds', () => {
  const said: string[] = []
  const notices = new FailureNotices(text => said.push(text), 5_000)
  for (let now = 5_000; now < 27_000; now += 500) {
    notices.note('the dispatcher', new LinkError('UNAUTHENTICATED', `another key at ${now}`), now)
  }
  expect(said).toEqual([
    'cannot reach the dispatcher: another key at 7000',
    'cannot reach the dispatcher: another key at 17000',
  ])
})
