/** The life of one connection: by whom it was accepted, cloned and shifted, how long each step took, and its TCP as `ss -i` has it. */
import { formatDuration } from '../../dispatcher/admin/amounts.ts'
import { api, type ConnectionDetail, type LoggedMove } from './api.ts'
import type { Cluster } from './cluster.ts'
import { messageOf } from './dialog.tsx'
import { colourOf } from './palette.ts'
import { h, render } from './vendor/preact.js'
import { fallOf, STEPS, UNDER_WAY } from './waterfall.ts'

const REFRESH_MS = 1_000
/** Waterfalls shown, the newest. */
const MAX_SHOWN = 40

export interface DetailHandlers {
  shift(detail: ConnectionDetail): void
  follow(id: number): void
}

/** Opens it for one connection; it is read again while it is open. */
export function showDetail(id: number, cluster: Cluster, handlers: DetailHandlers): void {
  const dialog = document.body.appendChild(document.createElement('dialog'))
  dialog.className = 'detail'
  dialog.setAttribute('aria-label', `connection ${id}`)
  const refresh = async () => {
    let content: preact.ComponentChild
    try {
      content = (
        <Life
          detail={await api.connection(id)}
          cluster={cluster}
          handlers={handlers}
          close={() => dialog.close()}
        />
      )
    } catch (error) {
      content = <p class="bad">{messageOf(error)}</p>
    }
    if (dialog.open) render(content, dialog)
  }
  const timer = setInterval(() => void refresh(), REFRESH_MS)
  dialog.addEventListener('click', event => {
    if (event.target === dialog) dialog.close()
  })
  dialog.addEventListener('close', () => {
    clearInterval(timer)
    render(null, dialog)
    dialog.remove()
  })
  dialog.showModal()
  void refresh()
}

interface LifeProps {
  readonly detail: ConnectionDetail
  readonly cluster: Cluster
  readonly handlers: DetailHandlers
  readonly close: () => void
}

function Life({ detail, cluster, handlers, close }: LifeProps) {
  const { id, client, request, since, owner, shifts, tcp, log } = detail
  const name = (of: number) => <Name owner={of} cluster={cluster} />
  const done = log.filter(([, , , , refusal]) => refusal === '')
  const shown = log.slice(-MAX_SHOWN)
  // Who accepted it is known while all of its moves are.
  const accepter = done.length === shifts ? (done[0]?.[1] ?? owner) : null
  return (
    <div>
      <header>
        <h2>{client === '' ? `Connection ${id}` : client}</h2>
        <button type="button" onClick={close} aria-label="Close">
          ✕
        </button>
      </header>
      <p class="request">{request === '' ? 'no request yet' : request}</p>
      <p>
        {since !== null && `Accepted ${formatDuration(Math.max(0, Date.now() - since))} ago`}
        {since !== null && accepter !== null && <span> by {name(accepter)}</span>}
        {since !== null && ', '}
        {owner === null ? 'it is over' : <span>lives at {name(owner)}</span>}, shifted {shifts}{' '}
        {shifts === 1 ? 'time' : 'times'}.
      </p>
      {owner !== null && (
        <p class="buttons">
          <button type="button" class="main" onClick={() => handlers.shift(detail)}>
            Shift…
          </button>
          <button
            type="button"
            onClick={() => {
              handlers.follow(id)
              close()
            }}
          >
            Show as staircase
          </button>
        </p>
      )}
      <h3>Its moves, each cloned first and then shifted</h3>
      {shown.length === 0 ? <p>None that is still known.</p> : <Waterfalls moves={shown} name={name} />}
      {log.length > shown.length && <p class="soft">And {log.length - shown.length} before.</p>}
      {tcp !== null && (
        <div>
          <h3>TCP, as ss -i names it</h3>
          <dl class="tcp">
            {Object.entries(tcp).map(([key, value]) => (
              <div key={key}>
                <dt>{key}</dt>
                <dd>{value}</dd>
              </div>
            ))}
          </dl>
        </div>
      )}
    </div>
  )
}

interface WaterfallsProps {
  readonly moves: readonly LoggedMove[]
  readonly name: (owner: number) => preact.ComponentChild
}

/** A bar for each shift, all to one scale. */
function Waterfalls({ moves, name }: WaterfallsProps) {
  const longest = Math.max(0.001, ...moves.map(([, , , , , , ms]) => ms))
  return (
    <div class="scroll">
      <ul class="keys">
        {STEPS.map((step, index) => (
          <li key={step}>
            <i class={`step${index}`} />
            {step}
          </li>
        ))}
      </ul>
      <table class="falls">
        <thead>
          <tr>
            <th>who</th>
            <th class="wide">from its start on</th>
            <th class="number">prepared</th>
            <th class="number">commit</th>
            <th class="number">first packet</th>
          </tr>
        </thead>
        <tbody>
          {moves.map(move => (
            <Waterfall key={`${move[5]} ${move[1]}`} move={move} longest={longest} name={name} />
          ))}
        </tbody>
      </table>
    </div>
  )
}

interface WaterfallProps {
  readonly move: LoggedMove
  readonly longest: number
  readonly name: WaterfallsProps['name']
}

function Waterfall({ move, longest, name }: WaterfallProps) {
  const [, from, to, cause, refusal, at, ms] = move
  const { preparedAt, committedAt, firstPacketAt, steps } = fallOf(move)
  return (
    <tr>
      <td>
        {name(from)} → {name(to)}
        <br />
        <span class="soft">
          {cause}, {formatDuration(Math.max(0, Date.now() - at))} ago
        </span>
      </td>
      {refusal === '' ? (
        <td class="wide">
          <svg
            viewBox="0 0 100 10"
            preserveAspectRatio="none"
            role="img"
            aria-label={`${formatDuration(ms)} in all`}
          >
            {steps.map(([step, begin, end]) => (
              <rect
                key={begin}
                class={`step${step}`}
                x={(begin / longest) * 100}
                y={step === UNDER_WAY ? 3.5 : 1}
                width={((end - begin) / longest) * 100}
                height={step === UNDER_WAY ? 3 : 8}
              />
            ))}
          </svg>
        </td>
      ) : (
        <td class="wide bad">stayed: {refusal}</td>
      )}
      {refusal === '' && <td class="number">{formatDuration(preparedAt)}</td>}
      {refusal === '' && <td class="number">{formatDuration(committedAt)}</td>}
      {refusal === '' && (
        <td class="number" title={firstPacketAt === undefined ? 'the new owner did not tell' : ''}>
          {firstPacketAt === undefined ? '–' : formatDuration(firstPacketAt)}
        </td>
      )}
    </tr>
  )
}

export function Name({ owner, cluster }: { readonly owner: number; readonly cluster: Cluster }) {
  const known = cluster.owner(owner)
  return (
    <span class="owner">
      <i style={{ background: colourOf(owner, known?.role ?? 'node') }} />
      {cluster.name(owner)}
    </span>
  )
}
