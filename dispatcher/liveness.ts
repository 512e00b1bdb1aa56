/**
 * Whether a node that says nothing is cut off, or dead with its machine, before its link would be given up by itself. A node may be
 * silent because it is busy or stopped, and then it is best waited for; but its kernel still accepts connections. So a silent
 * node is asked for one, and only one that does not even answer that is given up.
 */
import { connect } from 'node:net'
import { LinkError } from '../node/control/errors.ts'
import type { Link } from '../node/control/link.ts'

/** Each node is asked so often whether it is there. 300 of them cost some 3 % of a core. */
export const LIVENESS_PING_MS = 100
/** ms without a word, three pings long, after which a node is asked for a connection. */
const SUSPECT_AFTER_MS = 300
/** ms; on a network where this is not enough, round trips are as long as what is to be avoided. */
const REACH_MS = 200
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
  #lookedAt: number

  constructor(host: LivenessHost) {
    this.#host = host
    this.#lookedAt = host.now()
  }

  /** To be called every LIVENESS_PING_MS. */
  look(): void {
    const now = this.#host.now()
    // We were stopped ourselves: what came meanwhile is still unread.
    const slept = now - this.#lookedAt > 2 * LIVENESS_PING_MS
    this.#lookedAt = now
    if (slept) return
    for (const { link, address } of this.#host.links()) {
      if (link.silentMs < SUSPECT_AFTER_MS || (this.#asked.get(link) ?? 0) > now) continue
      this.#asked.set(link, Number.POSITIVE_INFINITY)
      this.#host.reach(address, REACH_MS, isThere => {
        this.#asked.set(link, this.#host.now() + ASK_AGAIN_MS)
        if (isThere || link.silentMs < SUSPECT_AFTER_MS) return
        link.close(new LinkError('PEER_SILENT', `${address} is silent, and accepts no connection`))
      })
    }
  }
}

/** `host:port`, an IPv6 host in brackets. */
export function reach(address: string, ms: number, answered: (isThere: boolean) => void): void {
  const colon = address.lastIndexOf(':')
  const host = address.slice(0, colon).replace(/^\[|\]$/g, '')
  let isOver = false
  const socket = connect({ host, port: Number(address.slice(colon + 1)) })
  const done = (isThere: boolean) => {
    if (isOver) return
    isOver = true
    clearTimeout(timer)
    socket.removeAllListeners()
    // What it still has to say is of no interest.
    socket.on('error', () => {})
    socket.destroy()
    answered(isThere)
  }
  // Where we were stopped ourselves the answer may be there, and not yet read.
  const timer = setTimeout(() => setImmediate(() => done(false)), ms)
  socket.once('connect', () => done(true))
  socket.once('error', () => done(false))
}
