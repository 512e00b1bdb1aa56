/** What the page does to the cluster: each asks first where it hurts, and says what came of it. */
import { formatDuration } from '../../dispatcher/admin/amounts.ts'
import { ApiError, api, type EndHow, type FeedOwner, hasToken } from './api.ts'
import { askForToken, choose, confirm, messageOf, type Question, tell } from './dialog.tsx'
import { numbered } from './format.ts'

const DRAIN_POLL_MS = 250

/** Does it with the token, asking for that and, where `question` is given, for a yes. */
async function act(question: Question | undefined, run: () => Promise<string>): Promise<void> {
  if (question !== undefined && !(await confirm(question))) return
  if (!hasToken() && !(await askForToken())) return
  try {
    tell(await run())
  } catch (error) {
    tell(messageOf(error), true)
    if (error instanceof ApiError && error.code === 'UNAUTHORIZED') await askForToken()
  }
}

export function shift(connection: number, client: string, to: FeedOwner): Promise<void> {
  return act(undefined, async () => {
    const report = await api.shift(connection, to.id)
    const took = report.results[0]?.ms ?? report.totalMs
    return `${client} lives at ${to.name} now: shifted in ${formatDuration(took)}.`
  })
}

/** By keyboard, or where there is no map to drag on. */
export async function shiftSomewhere(
  connection: number,
  client: string,
  owner: number,
  nodes: readonly FeedOwner[],
): Promise<void> {
  const others = nodes.filter(({ id, state }) => id !== owner && state === 'up')
  if (others.length === 0) return tell('There is no other node that takes connections.', true)
  const id = await choose('Shift to which node?', `${client} will not notice.`, others)
  const to = others.find(node => node.id === id)
  if (to !== undefined) await shift(connection, client, to)
}

export function drain(node: FeedOwner): Promise<void> {
  const question = {
    title: `Drain ${node.name}?`,
    text: `${numbered(node.connections, 'connection')} of it move to the other nodes, and it takes no new ones until you undrain it.`,
    yes: `Drain ${node.name}`,
  }
  return act(question, async () => {
    let report = await api.drain(node.id)
    while (report.state === 'draining') {
      await new Promise(resolve => setTimeout(resolve, DRAIN_POLL_MS))
      report = await api.drained(node.id)
    }
    const moved = `${report.shifted} moved in ${formatDuration(report.elapsedMs)}`
    if (report.state === 'drained') return `${node.name} is empty: ${moved}.`
    return `${node.name}: ${moved}, ${report.left} still there (${report.state}).`
  })
}

export function undrain(node: FeedOwner): Promise<void> {
  return act(undefined, async () => {
    await api.undrain(node.id)
    return `${node.name} takes connections again.`
  })
}

export function end(node: FeedOwner, how: EndHow): Promise<void> {
  const question = {
    SIGTERM: {
      title: `End ${node.name}?`,
      text: 'It gives its connections to the other nodes first. Where gyre up runs it, it is started again at once.',
      yes: `End ${node.name}`,
    },
    SIGKILL: {
      title: `Kill ${node.name} without warning?`,
      text: `As a crash would. Others go on with the downloads among its ${numbered(node.connections, 'connection')}, half a second later; what else was under way is lost.`,
      yes: `Kill ${node.name}`,
      hurts: true,
    },
  }[how]
  return act(question, async () => {
    await api.end(node.id, how)
    return how === 'SIGTERM' ? `${node.name} hands over and ends.` : `${node.name} was killed.`
  })
}

export function forget(path: string): Promise<void> {
  const question = {
    title: 'Clear it from memory?',
    text: `${path} is read from disk again when it is asked for next. Downloads under way go on.`,
    yes: 'Clear it',
  }
  return act(question, async () => {
    const { nodes } = await api.forget(path)
    return nodes.length === 0
      ? `No node had ${path} in memory.`
      : `${path} left the memory of ${numbered(nodes.length, 'node')}.`
  })
}

export function setPolicy(policy: string): Promise<void> {
  const question = {
    title: `Place requests by ${policy}?`,
    text: 'It holds for requests that come from now on; connections stay where they are.',
    yes: `Use ${policy}`,
  }
  return act(question, async () => `Requests are placed by ${(await api.policy(policy)).policy} now.`)
}

export function startDemo(): Promise<void> {
  return act(undefined, async () => `The demo download of ${(await api.demo()).url} runs.`)
}
