/** The page: the link to the dispatcher, the pictures, and the parts that are text, drawn anew twice a second. */
import { formatDuration, formatOctets } from '../../dispatcher/admin/amounts.ts'
import * as acts from './acts.ts'
import { api, type EndHow, hasToken, type PolicyReport } from './api.ts'
import { Gallery } from './canvas.ts'
import { hangCharts } from './charts.ts'
import { Cluster } from './cluster.ts'
import { Name, showDetail } from './detail.tsx'
import { askForToken } from './dialog.tsx'
import { countText, numbered, shareText } from './format.ts'
import { Lanes } from './lanes.ts'
import { Link } from './link.ts'
import { ClusterMap } from './map.ts'
import { Matrix } from './matrix.tsx'
import { Staircase } from './staircase.ts'
import { Connections, Nodes, Objects } from './tables.tsx'
import { Fragment, h, render } from './vendor/preact.js'

const REDRAW_MS = 500

const cluster = new Cluster()
const gallery = new Gallery()
const staircase = new Staircase(element('stairs'), cluster)
const lanes = new Lanes(element('lanes'), cluster)
const map = new ClusterMap(element('map'), element('air'), cluster, {
  dropped: (socket, owner) => void acts.shift(socket.id, socket.client, owner),
  chosen: ({ id }) => detail(id),
})
const link = new Link(cluster, redraw)
let policies: PolicyReport | undefined
/** Chosen by hand, in place of the demo. */
let followed: number | undefined

function element<T extends HTMLElement>(id: string): T {
  return document.querySelector(`#${id}`) as T
}

function detail(id: number): void {
  showDetail(id, cluster, {
    shift: ({ id, client, owner }) => void acts.shiftSomewhere(id, client, owner ?? -1, cluster.nodes),
    follow: id => {
      followed = id
      link.focus(id)
    },
  })
}

/** The connection that was chosen; else the demo's; else, while nothing is tracked, the busiest that there is. */
function follow(): void {
  const { demo, sockets } = cluster
  const chosen = followed === undefined ? undefined : sockets.get(followed)
  const demos =
    demo?.state === 'running' ? [...sockets.values()].find(({ client }) => client === demo.client) : undefined
  const busiest = staircase.id === undefined || staircase.ended ? busiestOf() : undefined
  const socket = chosen ?? demos ?? busiest
  if (socket !== undefined && demos === undefined && demo?.state === 'whole' && chosen === undefined) return
  if (socket !== undefined) staircase.track(socket)
  const isDemo =
    demo !== undefined &&
    demo.client !== '' &&
    cluster.sockets.get(staircase.id ?? -1)?.client === demo.client
  if (isDemo) staircase.size = demo.size
}

function busiestOf() {
  const now = cluster.now()
  const busy = [...cluster.sockets.values()].filter(({ busyAt }) => now - busyAt < 1_000)
  return busy.sort((a, b) => b.octets - a.octets)[0]
}

function redraw(): void {
  document.body.classList.toggle('lost', !cluster.live)
  render(<Top />, element('top'))
  render(<Facts />, element('facts'))
  render(<Counts />, element('counts'))
  render(<Strip />, element('strip'))
  render(<Matrix cluster={cluster} />, element('matrix'))
  render(<Nodes cluster={cluster} />, element('nodes'))
}

function Top() {
  const dispatcher = cluster.owners.find(({ role }) => role === 'dispatcher')
  const since = Number.isNaN(link.heardAt) ? '' : ` since ${new Date(link.heardAt).toLocaleTimeString()}`
  return (
    <Fragment>
      <span class={cluster.live ? 'live' : 'live off'} role="status">
        {cluster.live
          ? `live · ${dispatcher?.name ?? ''}, ${numbered(cluster.nodes.length, 'node')}`
          : `no word from the dispatcher${since}; trying again…`}
      </span>
      {cluster.live && cluster.engineAway && (
        <span class="live off" id="engine" role="status">
          the engine (NATS) does not answer: serving and shifting go on, nobody can join
        </span>
      )}
      <span class="grow" />
      {policies !== undefined && (
        <label>
          Placed by{' '}
          <select
            onChange={event => {
              const chosen = event.currentTarget.value
              event.currentTarget.value = policies?.policy ?? ''
              void acts.setPolicy(chosen).then(readPolicies)
            }}
          >
            {policies.policies.map(name => (
              <option key={name} value={name} selected={name === policies?.policy}>
                {name}
              </option>
            ))}
          </select>
        </label>
      )}
      {hasToken() ? (
        <span class="pill">acts allowed</span>
      ) : (
        <button type="button" onClick={() => void askForToken().then(redraw)}>
          Read-only: give the token
        </button>
      )}
    </Fragment>
  )
}

function Facts() {
  const { demo } = cluster
  const owner = staircase.ended ? undefined : cluster.owner(staircase.owner ?? -1)
  const { done } = staircase
  const socket = cluster.sockets.get(staircase.id ?? -1)
  const isDemo =
    demo !== undefined && demo.state !== 'none' && (socket === undefined || socket.client === demo.client)
  return (
    <Fragment>
      <dl>
        <Fact name="Sent by">{owner === undefined ? '–' : <Name owner={owner.id} cluster={cluster} />}</Fact>
        <Fact name="Acknowledged">
          {formatOctets(isDemo && demo.state === 'whole' ? demo.size : staircase.octets)}
          {isDemo && demo.size > 0 && demo.state !== 'whole' && ` of ${formatOctets(demo.size)}`}
        </Fact>
        <Fact name="Shifts">{done}</Fact>
        <Fact name="Longest pause">{done === 0 ? '–' : formatDuration(staircase.longestPauseMs)}</Fact>
        {staircase.outlived > 0 && <Fact name="Deaths outlived">{staircase.outlived}</Fact>}
        <Fact name="Sent again">{countText(staircase.retransmissions)}</Fact>
        <Fact name="Client resets">
          {isDemo ? <span class={demo.resets > 0 ? 'bad' : 'good'}>{demo.resets}</span> : '–'}
        </Fact>
        <Fact name="Checksum">{isDemo ? <Checksum /> : '–'}</Fact>
      </dl>
      <p class="buttons">
        <button
          type="button"
          class="main"
          disabled={demo === undefined || demo.unavailable !== '' || demo.state === 'running'}
          onClick={() => {
            followed = undefined
            link.focus(null)
            void acts.startDemo()
          }}
        >
          {demo?.state === 'running' ? 'The demo download runs' : 'Start a demo download'}
        </button>
        <button type="button" disabled={owner?.role !== 'node'} onClick={() => endOwner('SIGTERM')}>
          End its owner
        </button>
        <button
          type="button"
          class="hurts"
          disabled={owner?.role !== 'node'}
          onClick={() => endOwner('SIGKILL')}
        >
          Kill its owner
        </button>
        <button
          type="button"
          disabled={owner?.role !== 'node'}
          onClick={() =>
            socket !== undefined &&
            void acts.shiftSomewhere(socket.id, socket.client, socket.owner, cluster.nodes)
          }
        >
          Shift it…
        </button>
      </p>
      {demo !== undefined && demo.unavailable !== '' && <p class="soft">No demo: {demo.unavailable}.</p>}
      {demo?.state === 'broken' && (
        <p class="bad">The demo download broke: {demo.error || 'it is not what the site has'}.</p>
      )}
    </Fragment>
  )
}

/** That it has at this moment: what is on the page may be half a second old. */
function endOwner(how: EndHow): void {
  const owner = cluster.owner(staircase.owner ?? -1)
  if (owner !== undefined) void acts.end(owner, how)
}

function Checksum() {
  const { demo } = cluster
  if (demo === undefined || demo.sha256 === '') return <span class="soft">at the end</span>
  const isRight = demo.state === 'whole' && demo.sha256 === demo.expected
  const said = isRight ? '✓ as published' : demo.expected === '' ? 'none is published' : '✗ another'
  return (
    <span class={isRight ? 'good' : demo.expected === '' ? 'soft' : 'bad'} title={demo.sha256}>
      {said}
    </span>
  )
}

function Fact({ name, children }: { readonly name: string; readonly children: preact.ComponentChildren }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  )
}

function Counts() {
  const { connections, sampled } = cluster
  return sampled < connections ? (
    <span>
      A sample: {countText(sampled)} of {countText(connections)} sockets are drawn; all shifts are counted.
    </span>
  ) : (
    <span>{connections === 0 ? 'No socket yet.' : 'Every socket is drawn.'}</span>
  )
}

/** The cluster at a glance. */
function Strip() {
  const { connections, shifted, refused, figures } = cluster
  const last = figures.at(-1)
  const orNone = (value: number | null | undefined, text: (value: number) => string) =>
    value === null || value === undefined ? '–' : text(value)
  return (
    <dl>
      <Glance
        name="Sockets"
        value={countText(connections)}
        about={`at ${numbered(cluster.nodes.length, 'node')}`}
      />
      <Glance name="Requests" value={orNone(last?.requests, countText)} about="a second" />
      <Glance name="Sent" value={orNone(last?.octets, formatOctets)} about="a second" />
      <Glance
        name="Shifts"
        value={countText(shifted)}
        about={`${orNone(last?.shifts, countText)} a second, ${countText(refused)} refused`}
      />
      <Glance
        name="Pause of a shift"
        value={orNone(last?.pauseP50Ms, formatDuration)}
        about={`99 % below ${orNone(last?.pauseP99Ms, formatDuration)}`}
      />
      <Glance name="Relayed" value={shareText(last?.relayShare ?? null)} about="of clients’ packets" />
    </dl>
  )
}

interface GlanceProps {
  readonly name: string
  readonly value: string
  readonly about: string
}

function Glance({ name, value, about }: GlanceProps) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{value}</dd>
      <dd class="soft">{about}</dd>
    </div>
  )
}

async function readPolicies(): Promise<void> {
  policies = await api.policies().catch(() => undefined)
  redraw()
}

for (const picture of [staircase, lanes, map, map.flights]) gallery.hang(picture)
gallery.start()
hangCharts(element('charts'), cluster)
cluster.watch({ framed: follow })
render(<Connections cluster={cluster} chosen={detail} />, element('connections'))
render(<Objects cluster={cluster} />, element('objects'))
setInterval(redraw, REDRAW_MS)
redraw()
void readPolicies()
link.open()

/** For tests, and for who opens the console: what the page knows, and what its frames cost. */
Object.assign(globalThis, { gyre: { cluster, map, staircase, gallery } })
document.documentElement.classList.add('ready')
