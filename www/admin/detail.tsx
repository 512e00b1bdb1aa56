/** The life of one connection: by whom it was accepted, cloned and shifted, how long each step took, and its TCP as `ss -i` has it. */
import { api, type ConnectionDetail, type FeedShift } from './api.ts'
import type { Cluster } from './cluster.ts'
import { messageOf } from './dialog.tsx'
import { ageText, msText } from './format.ts'
import { colourOf } from './palette.ts'
import { h, render } from './vendor/preact.js'

const REFRESH_MS = 1_000
/** Waterfalls shown, the newest. */
const MAX_SHOWN = 40
const STEPS = ['prepare', 'to commit', 'to the first packet at the new owner'] as const

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
  const { id, client, request, since, owner, tcp, log } = detail
  const name = (of: number) => <Name owner={of} cluster={cluster} />
  const done = log.filter(([, , , , refusal]) => refusal === '')
  const shown = log.slice(-MAX_SHOWN)
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
        {owner === null ? 'It is over.' : <span>Lives at {name(owner)}.</span>}{' '}
        {since !== null && `Accepted ${ageText(Date.now() - since)} ago.`} Shifted {done.length}{' '}
        {done.length === 1 ? 'time' : 'times'}.
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
      <h3>Its moves</h3>
      {shown.length === 0 ? <p>None that is still known.</p> : <Waterfalls shifts={shown} name={name} />}
      {log.length > shown.length && <p class="soft">and {log.length - shown.length} before</p>}
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
  readonly shifts: readonly FeedShift[]
  readonly name: (owner: number) => preact.ComponentChild
}

/** A bar for each shift, all to one scale: prepare, prepared to commit, commit to the first packet at the new owner. */
function Waterfalls({ shifts, name }: WaterfallsProps) {
  const longest = Math.max(0.001, ...shifts.map(([, , , , , , ms]) => ms))
  return (
    <div>
      <ul class="keys">
        {STEPS.map((step, index) => (
          <li key={step}>
            <i class={`step${index}`} />
            {step}
          </li>
        ))}
      </ul>
      <ol class="falls">
        {shifts.map(([, from, to, cause, refusal, at, ms, preparedMs, committedMs]) => (
          <li key={`${at} ${from}`}>
            <span class="who">
              {name(from)} → {name(to)} <span class="soft">{cause}</span>
            </span>
            {refusal === '' ? (
              <svg viewBox="0 0 100 10" preserveAspectRatio="none" role="img" aria-label={`${ms} ms in all`}>
                <rect class="step0" x="0" y="1" width={(preparedMs / longest) * 100} height="8" />
                <rect
                  class="step1"
                  x={(preparedMs / longest) * 100}
                  y="1"
                  width={((committedMs - preparedMs) / longest) * 100}
                  height="8"
                />
                <rect
                  class="step2"
                  x={(committedMs / longest) * 100}
                  y="1"
                  width={((ms - committedMs) / longest) * 100}
                  height="8"
                />
              </svg>
            ) : (
              <span class="bad">stayed: {refusal}</span>
            )}
            <span class="ms">
              {refusal === '' &&
                `${msText(preparedMs)} + ${msText(committedMs - preparedMs)} + ${msText(ms - committedMs)}`}
            </span>
          </li>
        ))}
      </ol>
    </div>
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
