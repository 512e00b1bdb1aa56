/** Figures over time: one small chart each, the last five minutes, drawn by uPlot once a second. */
import { formatDuration, formatOctets } from '../../dispatcher/admin/amounts.ts'
import type { FeedFigures } from './api.ts'
import type { Cluster } from './cluster.ts'
import { countText } from './format.ts'
import { colourOf, hueOf, onTheme, themeOf } from './palette.ts'
import UPlot from './vendor/uplot.js'

const HEIGHT = 132
const BINARY = Array.from({ length: 48 }, (_, power) => 2 ** power)
/** Lines of a chart by owner: with more owners it shows their sum. */
const MAX_LINES = 8

interface Line {
  readonly label: string
  readonly colour: string
  readonly value: (figures: FeedFigures) => number | null
  /** For a line that may lie on another one. */
  readonly dash?: number[]
}

interface ChartSpec {
  readonly title: string
  /** What is told under the title. */
  readonly about: string
  readonly text: (value: number) => string
  /** The axis is divided by powers of two. */
  readonly binary?: true
  readonly lines: (cluster: Cluster) => readonly Line[]
  /** The axis goes at least so far. */
  readonly most?: number
}

const percent = (value: number) => `${Math.round(value)} %`

const SPECS: readonly ChartSpec[] = [
  {
    title: 'Requests a second',
    about: 'by node',
    text: countText,
    lines: cluster => byOwner(cluster, 1, ({ requests }) => requests),
  },
  {
    title: 'Octets a second',
    about: 'by node',
    text: formatOctets,
    binary: true,
    lines: cluster => byOwner(cluster, 2, ({ octets }) => octets),
  },
  {
    title: 'Shifts and clones a second',
    about: 'of the whole cluster',
    text: countText,
    lines: () => [
      { label: 'shifts', colour: hueOf(0), value: ({ shifts }) => shifts },
      { label: 'clones', colour: hueOf(1), value: ({ clones }) => clones, dash: [5, 5] },
    ],
  },
  {
    title: 'Shifts refused a second',
    about: 'by reason; the connection stays where it is',
    text: countText,
    most: 1,
    lines: refusalLines,
  },
  {
    title: 'Pause of a shift',
    about: 'from COMMIT to the new owner’s word, last minute',
    text: formatDuration,
    lines: () => [
      { label: 'half below', colour: hueOf(0), value: ({ pauseP50Ms }) => pauseP50Ms },
      { label: '99 % below', colour: hueOf(5), value: ({ pauseP99Ms }) => pauseP99Ms },
    ],
  },
  {
    title: 'Relayed and remembered',
    about: 'share of clients’ packets, and of look-ups',
    text: percent,
    most: 100,
    lines: () => [
      { label: 'relayed', colour: hueOf(5), value: figures => times100(figures.relayShare) },
      { label: 'cache hits', colour: hueOf(2), value: figures => times100(figures.hitRatio) },
    ],
  },
  {
    title: 'Connections',
    about: 'all owners',
    text: countText,
    lines: () => [{ label: 'connections', colour: hueOf(0), value: ({ connections }) => connections }],
  },
  {
    title: 'Retransmissions a second',
    about: 'segments sent again',
    text: countText,
    lines: () => [{ label: 'segments', colour: hueOf(5), value: ({ retransmitted }) => retransmitted }],
  },
  {
    title: 'Round-trip time',
    about: 'smoothed, the median of the sample',
    text: formatDuration,
    lines: () => [{ label: 'srtt', colour: hueOf(2), value: ({ srttMs }) => srttMs }],
  },
  {
    title: 'Memory',
    about: 'resident, of each process',
    text: formatOctets,
    binary: true,
    lines: cluster => byOwner(cluster, 3, ({ rssOctets }) => rssOctets, true),
  },
  {
    title: 'Event-loop lag',
    about: 'the longest in each second, of each process',
    text: formatDuration,
    lines: cluster => byOwner(cluster, 4, ({ lagMs }) => lagMs, true),
  },
]

function times100(share: number | null): number | null {
  return share === null ? null : share * 100
}

function byOwner(
  cluster: Cluster,
  at: 1 | 2 | 3 | 4,
  sum: (figures: FeedFigures) => number,
  withDispatcher = false,
): Line[] {
  const owners = cluster.owners.filter(({ role }) => withDispatcher || role === 'node')
  if (owners.length > MAX_LINES) return [{ label: 'all', colour: hueOf(0), value: sum }]
  return owners.map(({ id, name, role }) => ({
    label: name,
    colour: colourOf(id, role),
    value: ({ byOwner }) => byOwner.find(([owner]) => owner === id)?.[at] ?? null,
  }))
}

function refusalLines(cluster: Cluster): Line[] {
  const reasons = [...new Set(cluster.figures.flatMap(({ refusals }) => Object.keys(refusals)))].slice(
    0,
    MAX_LINES,
  )
  if (reasons.length === 0) return [{ label: 'none', colour: hueOf(2), value: () => 0 }]
  return reasons.map((label, index) => ({
    label,
    colour: hueOf(index),
    value: ({ refusals }) => refusals[label] ?? 0,
  }))
}

class Chart {
  readonly #spec: ChartSpec
  readonly #host: HTMLElement
  readonly #keys: HTMLElement
  #plot: UPlot | undefined
  #drawn = ''

  constructor(spec: ChartSpec, parent: HTMLElement) {
    this.#spec = spec
    const figure = parent.appendChild(document.createElement('figure'))
    const caption = figure.appendChild(document.createElement('figcaption'))
    caption.appendChild(document.createElement('h3')).textContent = spec.title
    caption.appendChild(document.createElement('p')).textContent = spec.about
    this.#host = figure.appendChild(document.createElement('div'))
    this.#keys = figure.appendChild(document.createElement('ul'))
    this.#keys.className = 'keys'
    new ResizeObserver(() => this.#plot?.setSize({ width: this.#host.clientWidth, height: HEIGHT })).observe(
      this.#host,
    )
  }

  update(cluster: Cluster, theme: string): void {
    const lines = this.#spec.lines(cluster)
    const drawn = `${theme} ${lines.map(({ label, colour }) => label + colour).join()}`
    const data = [
      cluster.figures.map(({ at }) => at / 1000),
      ...lines.map(({ value }) => cluster.figures.map(value)),
    ] as UPlot.AlignedData
    if (drawn !== this.#drawn) this.#build(lines, data)
    else this.#plot?.setData(data)
    this.#drawn = drawn
    this.#tell(lines, cluster.figures.at(-1))
  }

  #build(lines: readonly Line[], data: UPlot.AlignedData): void {
    this.#plot?.destroy()
    const { soft, line } = themeOf()
    const axis = {
      stroke: soft,
      grid: { stroke: line, width: 1 },
      ticks: { show: false },
      font: '11px system-ui',
    }
    const options: UPlot.Options = {
      width: Math.max(120, this.#host.clientWidth),
      height: HEIGHT,
      legend: { show: false },
      cursor: { show: false },
      padding: [8, 8, 0, 0],
      scales: { y: { range: (_, __, max) => [0, Math.max(this.#spec.most ?? 0, max * 1.15, 1e-6)] } },
      axes: [
        { ...axis, size: 22, values: (_, splits) => splits.map(clockText) },
        {
          ...axis,
          size: 62,
          ...(this.#spec.binary && { incrs: BINARY }),
          values: (_, splits) => splits.map(value => this.#spec.text(value)),
        },
      ],
      series: [
        {},
        ...lines.map(({ label, colour, dash = [] }) => ({
          label,
          dash,
          stroke: colour,
          width: 1.75,
          points: { show: false },
        })),
      ],
    }
    this.#plot = new UPlot(options, data, this.#host)
  }

  #tell(lines: readonly Line[], last: FeedFigures | undefined): void {
    const items = lines.map(({ label, colour, value }) => {
      const item = document.createElement('li')
      const mark = item.appendChild(document.createElement('i'))
      mark.style.background = colour
      const now = last === undefined ? null : value(last)
      item.append(`${label} `)
      item.appendChild(document.createElement('b')).textContent = now === null ? '–' : this.#spec.text(now)
      return item
    })
    this.#keys.replaceChildren(...items)
  }
}

function clockText(seconds: number): string {
  const at = new Date(seconds * 1000)
  return `${at.getHours()}:${String(at.getMinutes()).padStart(2, '0')}:${String(at.getSeconds()).padStart(2, '0')}`
}

/** Updated with each new second of figures. */
export function hangCharts(parent: HTMLElement, cluster: Cluster): void {
  const charts = SPECS.map(spec => new Chart(spec, parent))
  let theme = 0
  let seen = true
  let waiting: Chart[] = []
  const next = () => {
    waiting.shift()?.update(cluster, `${theme}`)
    if (waiting.length > 0) requestAnimationFrame(next)
  }
  // One in each frame: all at once would be felt in the pictures.
  const update = () => {
    if (!seen) return
    if (waiting.length === 0) requestAnimationFrame(next)
    waiting = [...charts]
  }
  new IntersectionObserver(([entry]) => {
    seen = entry?.isIntersecting === true
    update()
  }).observe(parent)
  onTheme(() => {
    theme++
    update()
  })
  cluster.watch({
    framed: ({ figures }) => {
      if (figures !== undefined) update()
    },
  })
}
