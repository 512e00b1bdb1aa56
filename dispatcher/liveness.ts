/**
 * Whether a node that says nothing is cut off, or dead with its machine, before its link would be given up by itself. A node may be
 * silent because it is busy or stopped, and then it is best waited for; but its kernel still accepts connections. So a silent
 * node is asked for one, and only one that does not even answer that is given up.
 */
import { connect, type Socket } from 'node:net'
import { LinkError } from '../node/control/errors.ts'
import type { Link } from '../node/control/link.ts'
import { parsePeerAddress } from '../node/control/peer-address.ts'
import type { LivenessSettings } from './liveness-settings.ts'

/** Errors of the network, and of a machine that is there without its node; any other is our own, and says nothing of either. */
const UNREACHABLE = ['ECONNREFUSED', 'ECONNRESET', 'EHOSTUNREACH', 'EHOSTDOWN', 'ENETUNREACH', 'ETIMEDOUT']
/** ms until a node that accepted and is still silent is asked again. */
const ASK_AGAIN_MS = 500

export interface LivenessHost {
  /** The links of nodes that are up, each with `host:port` of what its node listens on. */
  links(): Iterable<{ readonly link: Pick<Link, 'silentMs' | 'close'>; readonly address: string }>
  /** Whether somebody accepts a connection at `address` within `ms`. */
  reach(address: string, ms: number, answered: (isThere: boolean) => void): void
  now(): number
}

export class Liveness {
  readonly #host: LivenessHost
  /** When each link that was silent may be asked for again; Infinity while its answer is awaited. */
  readonly #asked = new WeakMap<Pick<Link, 'silentMs' | 'close'>, number>()
  readonly #settings: LivenessSettings
  #lookedAt: number

  constructor(host: LivenessHost, settings: LivenessSettings) {
    this.#host = host
    this.#settings = settings
    this.#lookedAt = host.now()
  }

  /** To be called every `pingMs`. */
  look(): void {
    const { pingMs, suspectAfterMs, reachMs } = this.#settings
    const now = this.#host.now()
    // We were stopped ourselves: what came meanwhile is still unread.
    const slept = now - this.#lookedAt > 2 * pingMs
    this.#lookedAt = now
    if (slept) return
    for (const { link, address } of this.#host.links()) {
      if (link.silentMs < suspectAfterMs || (this.#asked.get(link) ?? 0) > now) continue
      this.#asked.set(link, Number.POSITIVE_INFINITY)
      this.#host.reach(address, reachMs, isThere => {
        this.#asked.set(link, this.#host.now() + ASK_AGAIN_MS)
        if (isThere || link.silentMs < suspectAfterMs) return
        link.close(new LinkError('PEER_SILENT', `${address} is silent, and accepts no connection`))
      })
    }
  }
}

/** Asked twice, half of the time apart: one lost SYN, which is repeated after a second, would speak for a dead node. */
export function reach(address: string, ms: number, answered: (isThere: boolean) => void): void {
  const peer = parsePeerAddress(address)
  if (peer === undefined) return answered(true)
  const sockets: Socket[] = []
  let isOver = false
  const done = (isThere: boolean) => {
    if (isOver) return
    isOver = true
    for (const timer of timers) clearTimeout(timer)
    for (const socket of sockets) socket.destroy()
    answered(isThere)
  }
  const ask = () => {
    const socket = connect(peer)
    sockets.push(socket)
    socket.once('connect', () => done(true))
    // What it still has to say when all is over is of no interest.
    socket.on('error', error => done(!UNREACHABLE.includes((error as NodeJS.ErrnoException).code ?? '')))
  }
  // Where we were stopped ourselves the answer may be there, and not yet read.
  const timers = [setTimeout(ask, ms / 2), setTimeout(() => setImmediate(() => done(false)), ms)]
  ask()
}
