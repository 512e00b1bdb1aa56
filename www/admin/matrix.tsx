/** From × to: the shifts of the last minute, by who gave and who took; by reason on request. */
import type { MatrixCell } from './api.ts'
import type { Cluster } from './cluster.ts'
import { Name } from './detail.tsx'
import { countText } from './format.ts'
import { Component, h } from './vendor/preact.js'

/** More owners than this are too many for a table: the pairs with most shifts are listed. */
const MAX_OWNERS = 12
const ALL = 'all'

interface MatrixState {
  readonly reason: string
}

export class Matrix extends Component<{ readonly cluster: Cluster }, MatrixState> {
  override state: MatrixState = { reason: ALL }

  override render() {
    const { cluster } = this.props
    const reasons = [...new Set(cluster.matrix.map(reasonOf))].sort()
    const reason = reasons.includes(this.state.reason) ? this.state.reason : ALL
    const cells = cluster.matrix.filter(cell => reason === ALL || reasonOf(cell) === reason)
    const total = cells.reduce((sum, [, , , , count]) => sum + count, 0)
    return (
      <div>
        <p class="tools">
          <label>
            Why{' '}
            <select onChange={event => this.setState({ reason: event.currentTarget.value })}>
              {[ALL, ...reasons].map(each => (
                <option key={each} value={each} selected={each === reason}>
                  {each}
                </option>
              ))}
            </select>
          </label>
          <span>{countText(total)} in the last minute</span>
        </p>
        {cluster.owners.length > MAX_OWNERS ? (
          <Pairs cells={cells} cluster={cluster} />
        ) : (
          <Square cells={cells} cluster={cluster} />
        )}
      </div>
    )
  }
}

/** Why it was begun, or why it did not happen. */
function reasonOf([, , cause, refusal]: MatrixCell): string {
  return refusal === '' ? cause : `refused: ${refusal}`
}

interface CellsProps {
  readonly cells: readonly MatrixCell[]
  readonly cluster: Cluster
}

function Square({ cells, cluster }: CellsProps) {
  const counts = sums(cells)
  const most = Math.max(1, ...counts.values())
  return (
    <div class="scroll">
      <table class="matrix">
        <thead>
          <tr>
            <th>from ↓ to →</th>
            {cluster.nodes.map(({ id }) => (
              <th key={id}>
                <Name owner={id} cluster={cluster} />
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {cluster.owners.map(({ id: from }) => (
            <tr key={from}>
              <th>
                <Name owner={from} cluster={cluster} />
              </th>
              {cluster.nodes.map(({ id: to }) => {
                const count = counts.get(`${from} ${to}`) ?? 0
                const share = count / most
                return (
                  <td key={to} class={from === to ? 'self' : ''}>
                    <i style={{ opacity: count === 0 ? 0 : 0.12 + 0.55 * share }} />
                    <span>{count === 0 ? (from === to ? '' : '·') : countText(count)}</span>
                  </td>
                )
              })}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

function Pairs({ cells, cluster }: CellsProps) {
  const pairs = [...sums(cells)].sort((a, b) => b[1] - a[1]).slice(0, MAX_OWNERS)
  if (pairs.length === 0) return <p class="soft">None.</p>
  return (
    <ol class="pairs">
      {pairs.map(([pair, count]) => {
        const [from = 0, to = 0] = pair.split(' ').map(Number)
        return (
          <li key={pair}>
            <Name owner={from} cluster={cluster} /> → <Name owner={to} cluster={cluster} />{' '}
            <b>{countText(count)}</b>
          </li>
        )
      })}
    </ol>
  )
}

function sums(cells: readonly MatrixCell[]): Map<string, number> {
  const counts = new Map<string, number>()
  for (const [from, to, , , count] of cells)
    counts.set(`${from} ${to}`, (counts.get(`${from} ${to}`) ?? 0) + count)
  return counts
}
