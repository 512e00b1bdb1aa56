/**
 * Who watches the feed: WebSockets, each bounded. A viewer that does not keep up misses frames and is then told everything
 * again; one that is silent for long is cut. What the frames say is `feed.ts`'s.
 */
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { type WebSocket, WebSocketServer } from 'ws'
import { MAX_FOCUS } from '../../node/server/watch.ts'
import { AdminError } from './errors.ts'
import type { Feed } from './feed.ts'
import { FEED_PERIOD_MS } from './feed-messages.ts'

export const MAX_VIEWERS = 32
/** Octets that wait for a viewer before frames are dropped for it: a second or two of a busy cluster. */
const MAX_BUFFERED_OCTETS = 262_144
/** A viewer says `{"focus":id}` and no more. */
const MAX_MESSAGE_OCTETS = 256
const PING_MS = 10_000

class Viewer {
  readonly socket: WebSocket
  /** It has seen nothing, or missed something. */
  stale = true
  focus: number | undefined = undefined
  alive = true

  constructor(socket: WebSocket) {
    this.socket = socket
  }
}

export class FeedServer {
  readonly #feed: Feed
  readonly #upgrader = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    maxPayload: MAX_MESSAGE_OCTETS,
    perMessageDeflate: false,
  })
  readonly #viewers = new Set<Viewer>()
  /** Frames that slow viewers were not sent. */
  dropped = 0
  #timer: NodeJS.Timeout | undefined
  #pinger: NodeJS.Timeout | undefined

  constructor(feed: Feed) {
    this.#feed = feed
  }

  get viewers(): number {
    return this.#viewers.size
  }

  /** Throws BUSY where there are too many already. */
  accept(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    if (this.#viewers.size >= MAX_VIEWERS) throw new AdminError('BUSY', 'too many watch already')
    this.#upgrader.handleUpgrade(request, socket, head, websocket => this.#joined(websocket))
  }

  close(): void {
    this.#stop()
    for (const { socket } of this.#viewers) socket.terminate()
    this.#viewers.clear()
  }

  #joined(socket: WebSocket): void {
    const viewer = new Viewer(socket)
    this.#viewers.add(viewer)
    socket.on('message', data => this.#said(viewer, String(data)))
    socket.on('pong', () => {
      viewer.alive = true
    })
    // A close follows.
    socket.on('error', () => {})
    socket.on('close', () => this.#left(viewer))
    if (this.#timer !== undefined) return
    this.#feed.reset()
    this.#timer = setInterval(() => this.tick(), FEED_PERIOD_MS)
    this.#pinger = setInterval(() => this.#ping(), PING_MS)
  }

  #left(viewer: Viewer): void {
    this.#viewers.delete(viewer)
    if (viewer.focus !== undefined) this.#refocus()
    if (this.#viewers.size === 0) this.#stop()
  }

  #stop(): void {
    clearInterval(this.#timer)
    clearInterval(this.#pinger)
    this.#timer = undefined
  }

  #said(viewer: Viewer, text: string): void {
    const focus = focusOf(text)
    if (focus === undefined) return viewer.socket.close(1008)
    viewer.focus = focus ?? undefined
    this.#refocus()
  }

  /** The latest first, where there are more than the owners take. */
  #refocus(): void {
    const all = [...this.#viewers].flatMap(({ focus }) => focus ?? [])
    this.#feed.focus = [...new Set(all.reverse())].slice(0, MAX_FOCUS)
  }

  /** One period is over: what changed goes to everybody who keeps up. */
  tick(): void {
    const delta = JSON.stringify(this.#feed.tick())
    let full: string | undefined
    for (const viewer of this.#viewers) {
      const { socket } = viewer
      if (socket.readyState !== socket.OPEN) continue
      if (socket.bufferedAmount > MAX_BUFFERED_OCTETS) {
        viewer.stale = true
        this.dropped++
        continue
      }
      if (viewer.stale) full ??= JSON.stringify(this.#feed.full())
      socket.send(viewer.stale ? (full as string) : delta)
      viewer.stale = false
    }
  }

  #ping(): void {
    for (const viewer of this.#viewers) {
      if (!viewer.alive) viewer.socket.terminate()
      viewer.alive = false
      viewer.socket.ping()
    }
  }
}

/** Null: on nothing; undefined: that is no message of ours. */
function focusOf(text: string): number | null | undefined {
  try {
    const { focus } = JSON.parse(text) as { focus?: unknown }
    if (focus === null) return null
    return Number.isSafeInteger(focus) && (focus as number) >= 0 ? (focus as number) : undefined
  } catch {
    return undefined
  }
}
