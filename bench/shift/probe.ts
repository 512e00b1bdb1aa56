/**
 * Preloaded into the owners' own processes by `npm run bench -- shift` (`NODE_OPTIONS=--import`): takes orders over a Unix
 * socket, as `kernel/repair.c` does, and notes when what happened. Shifts begin by `Owner.shift`, as every shift does;
 * nothing else of the product is changed, and what the two wrapped methods cost counts as ours.
 */
import { createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { pack } from '../../node/control/codec.ts'
import type { Connection } from '../../node/stack/connection.ts'
import { Owner, SHIFT_PROTOCOL } from '../../node/stack/owner.ts'
import { diff } from '../../node/tcp/seq.ts'
import { encodeShiftMessage } from '../../shift/messages.ts'

const FOLDER = process.env.GYRE_SHIFT_PROBE

/** Of the last shift from here, and to here. Times in ns of the machine's monotonic clock. */
const last = { began: 0n, done: 0n, owned: 0n, queued: 0, commit: [] as readonly unknown[] }
const [COMMIT] = encodeShiftMessage({
  type: 'COMMIT',
  connection: 0,
  epoch: 0,
  flow: { family: 4, remote0: 0, remote1: 0, remote2: 0, remote3: 0, remotePort: 1, localPort: 1 },
  snapshot: null,
})

function find(owner: Owner, port: number): Connection | undefined {
  for (const entry of owner.byId.values()) {
    if (entry.kind === 'connection' && entry.remotePort === port) return entry
  }
  return undefined
}

function shift(owner: Owner, port: number, answer: (line: string) => void): void {
  const connection = find(owner, port)
  if (connection === undefined) return answer('refused here-it-is-not')
  const { snd } = connection.tcb
  last.queued = diff(snd.nxt, snd.una)
  last.began = process.hrtime.bigint()
  // The two nodes have the ids 1 and 2.
  owner.shift(connection, 3 - owner.config.id, performance.now(), 'order', result => {
    last.done = process.hrtime.bigint()
    answer(result.ok ? 'moved' : `refused ${result.reason}`)
  })
}

function order(owner: Owner, line: string, answer: (line: string) => void): void {
  const [word, port] = line.split(' ')
  switch (word) {
    case 'where':
      return answer(find(owner, Number(port)) === undefined ? 'away' : 'here')
    case 'announced':
      answer('begun')
      return shift(owner, Number(port), answer)
    case 'shift':
      return shift(owner, Number(port), answer)
    case 'idle':
      return answer('idle')
    case 'cpu': {
      const { user, system } = process.cpuUsage()
      return answer(`cpu ${(user + system) * 1000}`)
    }
    case 'result': {
      const { began, done, owned, queued, commit } = last
      return answer(`result ${began} ${done} ${owned} ${pack(commit)?.length ?? 0} ${queued}`)
    }
  }
}

function attend(owner: Owner, folder: string): void {
  const server = createServer((socket: Socket) => {
    let text = ''
    socket.on('data', chunk => {
      text += chunk.toString()
      const lines = text.split('\n')
      text = lines.pop() ?? ''
      for (const line of lines) order(owner, line, reply => void socket.write(`${reply}\n`))
    })
    socket.on('error', () => {})
  })
  server.listen(join(folder, `${owner.config.id}.sock`))
  server.unref()
}

if (FOLDER !== undefined) {
  const folder = FOLDER
  const { peerUp, receiveMessage } = Owner.prototype
  let isAttended = false
  Owner.prototype.peerUp = function (peer, restarted, now) {
    if (!isAttended && !this.isDispatcher) attend(this, folder)
    isAttended = true
    peerUp.call(this, peer, restarted, now)
  }
  Owner.prototype.receiveMessage = function (from, envelope, now) {
    receiveMessage.call(this, from, envelope, now)
    if (envelope[0] !== SHIFT_PROTOCOL || envelope[1] !== COMMIT) return
    last.owned = process.hrtime.bigint()
    last.commit = envelope
  }
}
