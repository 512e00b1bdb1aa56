/** The WebSocket to the dispatcher: applies what it says to the cluster, notices when it falls silent, and comes back. */
import { API_PATH } from '../../dispatcher/admin/api.ts'
import { FEED_PATH, type FeedFrame } from '../../dispatcher/admin/feed-messages.ts'
import type { Cluster } from './cluster.ts'

/** The feed sends ten frames a second, whatever happens. */
const SILENT_MS = 2_500
const FIRST_RETRY_MS = 400
const LAST_RETRY_MS = 4_000

export class Link {
  readonly #cluster: Cluster
  readonly #changed: () => void
  #socket: WebSocket | undefined
  #retryMs = FIRST_RETRY_MS
  #silence = 0
  #focus: number | null = null
  /** When the last frame came, in ms since 1970 by our own clock. */
  heardAt = Number.NaN

  constructor(cluster: Cluster, changed: () => void) {
    this.#cluster = cluster
    this.#changed = changed
  }

  open(): void {
    const socket = new WebSocket(`ws://${location.host}${API_PATH}${FEED_PATH}`)
    this.#socket = socket
    socket.onmessage = event => this.#heard(socket, String(event.data))
    socket.onopen = () => this.#sendFocus()
    socket.onclose = () => this.#closed(socket)
    this.#watchSilence(socket)
  }

  /** The connection that is in the sample whatever happens; null for none. */
  focus(id: number | null): void {
    if (id === this.#focus) return
    this.#focus = id
    this.#sendFocus()
  }

  #sendFocus(): void {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify({ focus: this.#focus }))
  }

  #heard(socket: WebSocket, text: string): void {
    if (socket !== this.#socket) return
    this.#retryMs = FIRST_RETRY_MS
    this.heardAt = Date.now()
    this.#watchSilence(socket)
    const wasLive = this.#cluster.live
    this.#cluster.apply(JSON.parse(text) as FeedFrame)
    if (!wasLive) this.#changed()
  }

  #watchSilence(socket: WebSocket): void {
    clearTimeout(this.#silence)
    this.#silence = setTimeout(() => {
      socket.close()
      this.#closed(socket)
    }, SILENT_MS)
  }

  #closed(socket: WebSocket): void {
    if (socket !== this.#socket) return
    this.#socket = undefined
    clearTimeout(this.#silence)
    this.#cluster.lost()
    this.#changed()
    setTimeout(() => this.open(), this.#retryMs)
    this.#retryMs = Math.min(this.#retryMs * 1.6, LAST_RETRY_MS)
  }
}
