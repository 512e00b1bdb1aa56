/** The tables: nodes from the feed; connections and objects as the server searches, sorts and pages them. */
import { formatDuration, formatOctets } from '../../dispatcher/admin/amounts.ts'
import * as acts from './acts.ts'
import { api, type ConnectionReport, type ConnectionsPage, type FeedOwner, type ObjectReport } from './api.ts'
import type { Cluster } from './cluster.ts'
import { Name } from './detail.tsx'
import { messageOf } from './dialog.tsx'
import { countText, numbered } from './format.ts'
import { Component, h } from './vendor/preact.js'

const PAGE = 15
const REFRESH_MS = 2_000
const TYPED_MS = 250

export function Nodes({ cluster }: { readonly cluster: Cluster }) {
  return (
    <div class="scroll">
      <table>
        <thead>
          <tr>
            <th class="number">Id</th>
            <th>Name</th>
            <th>State</th>
            <th>Address</th>
            <th class="number">Connections</th>
            <th class="number">Requests/s</th>
            <th class="number">Octets/s</th>
            <th class="number">Cache</th>
            <th class="number">Memory</th>
            <th class="number">Lag</th>
            <th>
              <span class="hidden">Acts</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {cluster.owners.map(owner => (
            <tr key={owner.id}>
              <td class="number">{owner.id}</td>
              <td>
                <Name owner={owner.id} cluster={cluster} />
              </td>
              <td class={owner.state === 'up' ? '' : 'bad'}>{owner.state}</td>
              <td>{owner.address}</td>
              <td class="number">{countText(owner.connections)}</td>
              <td class="number">{countText(owner.requests)}</td>
              <td class="number">{formatOctets(owner.octets)}</td>
              <td class="number" title={`${owner.cacheObjects} objects`}>
                {owner.role === 'node' ? formatOctets(owner.cacheOctets) : '–'}
              </td>
              <td class="number">{formatOctets(owner.rssOctets)}</td>
              <td class="number">{formatDuration(owner.lagMs)}</td>
              <td class="acts">
                {owner.role === 'node' && owner.state !== 'down' && <NodeActs node={owner} />}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

function NodeActs({ node }: { readonly node: FeedOwner }) {
  return (
    <span>
      {node.state === 'draining' ? (
        <button type="button" onClick={() => void acts.undrain(node)} aria-label={`Undrain ${node.name}`}>
          Undrain
        </button>
      ) : (
        <button type="button" onClick={() => void acts.drain(node)} aria-label={`Drain ${node.name}`}>
          Drain
        </button>
      )}
      <button type="button" onClick={() => void acts.end(node, 'SIGTERM')} aria-label={`End ${node.name}`}>
        End
      </button>
    </span>
  )
}

interface ConnectionsProps {
  readonly cluster: Cluster
  readonly chosen: (id: number) => void
}

interface ConnectionsState {
  readonly page: ConnectionsPage | undefined
  readonly failure: string
  readonly filter: string
  readonly sort: string
  readonly offset: number
}

const COLUMNS: readonly [sort: string, title: string, isNumber: boolean][] = [
  ['client', 'Client', false],
  ['owner', 'Owner', false],
  ['state', 'State', false],
  ['srttMs', 'Srtt', true],
  ['octetsSent', 'Sent', true],
  ['shifts', 'Shifts', true],
  ['since', 'Age', true],
]

export class Connections extends Component<ConnectionsProps, ConnectionsState> {
  override state: ConnectionsState = { page: undefined, failure: '', filter: '', sort: '-since', offset: 0 }
  #timer = 0
  #typed = 0
  #asked = 0

  override componentDidMount(): void {
    void this.#refresh()
    this.#timer = setInterval(() => {
      if (!document.hidden && this.props.cluster.live) void this.#refresh()
    }, REFRESH_MS)
  }

  override componentWillUnmount(): void {
    clearInterval(this.#timer)
  }

  async #refresh(): Promise<void> {
    const { filter, sort, offset } = this.state
    const asked = ++this.#asked
    try {
      const page = await api.connections({ filter, sort, offset: `${offset}`, limit: `${PAGE}` })
      if (asked === this.#asked) this.setState({ page, failure: '' })
    } catch (error) {
      if (asked === this.#asked) this.setState({ failure: messageOf(error) })
    }
  }

  #change(change: Partial<ConnectionsState>): void {
    this.setState({ offset: 0, ...change }, () => void this.#refresh())
  }

  #sortBy(column: string): void {
    const { sort } = this.state
    this.#change({ sort: sort === column ? `-${column}` : column })
  }

  override render() {
    const { page, failure, sort, offset } = this.state
    return (
      <div>
        <p class="tools">
          <input
            type="search"
            placeholder="client, request, state or node"
            aria-label="Search connections"
            onInput={event => {
              const filter = event.currentTarget.value
              clearTimeout(this.#typed)
              this.#typed = setTimeout(() => this.#change({ filter }), TYPED_MS)
            }}
          />
          <span aria-live="polite">{page === undefined ? '' : numbered(page.total, 'connection')}</span>
          {failure !== '' && <span class="bad">{failure}</span>}
        </p>
        <div class="scroll">
          <table>
            <thead>
              <tr>
                {COLUMNS.map(([column, title, isNumber]) => (
                  <th
                    key={column}
                    class={isNumber ? 'number' : ''}
                    aria-sort={sort === column ? 'ascending' : sort === `-${column}` ? 'descending' : 'none'}
                  >
                    <button type="button" onClick={() => this.#sortBy(column)}>
                      {title}
                      {sort === column ? ' ↑' : sort === `-${column}` ? ' ↓' : ''}
                    </button>
                  </th>
                ))}
                <th>Request</th>
                <th>
                  <span class="hidden">Acts</span>
                </th>
              </tr>
            </thead>
            <tbody>{page?.connections.map(connection => this.#row(connection))}</tbody>
          </table>
        </div>
        <Pages offset={offset} total={page?.total ?? 0} go={to => this.#change({ offset: to })} />
      </div>
    )
  }

  #row(connection: ConnectionReport) {
    const { cluster, chosen } = this.props
    const { id, client, owner, state, srttMs, octetsSent, shifts, since, request } = connection
    return (
      <tr key={id}>
        <td>
          <button type="button" class="link" onClick={() => chosen(id)}>
            {client}
          </button>
        </td>
        <td>
          <Name owner={owner} cluster={cluster} />
        </td>
        <td class={state === 'ESTABLISHED' ? '' : 'soft'}>{state}</td>
        <td class="number">{srttMs === null ? '–' : formatDuration(srttMs)}</td>
        <td class="number">{formatOctets(octetsSent)}</td>
        <td class="number">{shifts}</td>
        <td class="number">{since === null ? '–' : formatDuration(Date.now() - since)}</td>
        <td class="request">{request}</td>
        <td class="acts">
          <button
            type="button"
            aria-label={`Shift ${client}`}
            onClick={() => void acts.shiftSomewhere(id, client, owner, cluster.nodes)}
          >
            Shift…
          </button>
        </td>
      </tr>
    )
  }
}

interface PagesProps {
  readonly offset: number
  readonly total: number
  readonly go: (offset: number) => void
}

function Pages({ offset, total, go }: PagesProps) {
  if (total <= PAGE && offset === 0) return null
  return (
    <p class="tools">
      <button type="button" disabled={offset === 0} onClick={() => go(Math.max(0, offset - PAGE))}>
        Before
      </button>
      <span>
        {Math.min(offset + 1, total)} to {Math.min(offset + PAGE, total)} of {countText(total)}
      </span>
      <button type="button" disabled={offset + PAGE >= total} onClick={() => go(offset + PAGE)}>
        Next
      </button>
    </p>
  )
}

interface ObjectsState {
  readonly objects: readonly ObjectReport[]
  readonly failure: string
}

/** What is asked for most, and who holds it. */
export class Objects extends Component<{ readonly cluster: Cluster }, ObjectsState> {
  override state: ObjectsState = { objects: [], failure: '' }
  #timer = 0

  override componentDidMount(): void {
    void this.#refresh()
    this.#timer = setInterval(() => {
      if (!document.hidden && this.props.cluster.live) void this.#refresh()
    }, 2 * REFRESH_MS)
  }

  override componentWillUnmount(): void {
    clearInterval(this.#timer)
  }

  async #refresh(): Promise<void> {
    try {
      this.setState({ objects: (await api.objects()).objects.slice(0, PAGE), failure: '' })
    } catch (error) {
      this.setState({ failure: messageOf(error) })
    }
  }

  override render() {
    const { objects, failure } = this.state
    if (failure !== '') return <p class="bad">{failure}</p>
    if (objects.length === 0) return <p class="soft">No node holds anything in memory yet.</p>
    return (
      <div class="scroll">
        <table>
          <thead>
            <tr>
              <th>Path</th>
              <th class="number">Size</th>
              <th class="number">Hits</th>
              <th>Held by</th>
              <th>
                <span class="hidden">Acts</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {objects.map(({ path, octets, hits, holders }) => (
              <tr key={path}>
                <td class="request">{path}</td>
                <td class="number">{formatOctets(octets)}</td>
                <td class="number">{countText(hits)}</td>
                <td class="holders">
                  {holders.map(owner => (
                    <Name key={owner} owner={owner} cluster={this.props.cluster} />
                  ))}
                </td>
                <td class="acts">
                  <button
                    type="button"
                    aria-label={`Clear ${path}`}
                    onClick={() => void acts.forget(path).then(() => this.#refresh())}
                  >
                    Clear
                  </button>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    )
  }
}
