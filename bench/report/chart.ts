/**
 * Bars and lines as SVG text, from medians, with a whisker from the lowest to the highest round. Written here because what
 * is kept of chart libraries needs a DOM, a canvas or 50 MB; nothing is measured or read by it.
 */
import { type Chart, type Column, type Result, type Row, summary } from './result.ts'

const WIDTH = 960
const HEIGHT = 420
const LEFT = 70
const RIGHT = 16
const TOP = 44
const BOTTOM = 46
const LEGEND_LINE = 18
/** Of a swatch in the legend, and of a letter. */
const SWATCH = 12
const LETTER = 7
/** Parts of a group's place that are bars. */
const BAR_SHARE = 0.8
const TICKS = 5

/** Told apart without colours as well by their order; Okabe and Ito's palette, for all kinds of eyes. */
const COLOURS = [
  '#0072b2',
  '#e69f00',
  '#009e73',
  '#d55e00',
  '#cc79a7',
  '#56b4e9',
  '#f0e442',
  '#555555',
  '#999999',
]

interface Plot {
  readonly groups: readonly string[]
  readonly systems: readonly string[]
  readonly rows: readonly Row[]
  readonly column: Column
  readonly chart: Chart
  readonly bottom: number
  /** Pixels of a value. */
  readonly y: (value: number) => number
}

/** All charts of a result, below each other; undefined where it has none. */
export function chartOf(result: Result): string | undefined {
  const drawn = result.charts.map(chart => drawChart(result, chart)).filter(text => text !== undefined)
  if (drawn.length === 0) return undefined
  let top = 0
  const parts = drawn.map(({ text, height }) => {
    const part = `<g transform="translate(0 ${top})">${text}</g>`
    top += height
    return part
  })
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${top}" font-family="sans-serif" font-size="12">\n` +
    `<rect width="${WIDTH}" height="${top}" fill="#fff"/>\n${parts.join('\n')}\n</svg>\n`
  )
}

function drawChart(result: Result, chart: Chart): { text: string; height: number } | undefined {
  const column = result.columns.find(({ name }) => name === chart.column)
  const rows = result.rows.filter(row => !Number.isNaN(summary(row.figures[chart.column]).median))
  if (column === undefined || rows.length === 0) return undefined
  const groups = [...new Set(rows.map(({ group }) => group))]
  const systems = [...new Set(rows.map(({ system }) => system))]
  const highest = Math.max(
    ...rows.map(row => summary(row.figures[column.name]).high),
    ...Object.values(chart.ideal ?? {}),
  )
  const step = tickStep(highest / TICKS)
  const top = step * Math.max(1, Math.ceil(highest / step - 1e-9))
  const bottom = HEIGHT - BOTTOM
  const y = (value: number) => round(bottom - (value / top) * (bottom - TOP))
  const plot: Plot = { groups, systems, rows, column, chart, bottom, y }
  const unit = column.unit === '' ? '' : `, ${column.unit}`
  const legend = drawLegend(systems)
  const text = [
    `<text x="${LEFT}" y="20" font-size="15" font-weight="bold">${escaped(`${result.title}: ${column.name}${unit}`)}</text>`,
    ...drawAxes(plot, step, top),
    ...(chart.kind === 'bars' ? drawBars(plot) : drawLines(plot)),
    ...drawIdeal(plot),
    `<g transform="translate(0 ${HEIGHT})">${legend.text}</g>`,
  ].join('\n')
  return { text, height: HEIGHT + legend.height }
}

/** 1, 2 or 5 times a power of ten, not below `least`. */
function tickStep(least: number): number {
  if (!(least > 0)) return 1
  const power = 10 ** Math.floor(Math.log10(least))
  return power * ([1, 2, 5, 10].find(step => step * power >= least - 1e-12) ?? 10)
}

/** The middle of a group's place. */
function xOf(groups: readonly string[], at: number): number {
  return round(LEFT + ((at + 0.5) * (WIDTH - LEFT - RIGHT)) / groups.length)
}

function* drawAxes({ groups, bottom, y }: Plot, step: number, top: number): Generator<string> {
  for (let value = 0; value <= top + step / 2; value += step) {
    const at = y(value)
    yield `<path d="M${LEFT} ${at}H${WIDTH - RIGHT}" stroke="#ddd"/>`
    yield `<text x="${LEFT - 6}" y="${at + 4}" text-anchor="end">${Number(value.toPrecision(6))}</text>`
  }
  for (const [at, group] of groups.entries()) {
    yield `<text x="${xOf(groups, at)}" y="${bottom + 18}" text-anchor="middle">${escaped(group)}</text>`
  }
}

function* drawBars(plot: Plot): Generator<string> {
  const { groups, systems, rows, column, bottom, y } = plot
  const place = (BAR_SHARE * (WIDTH - LEFT - RIGHT)) / groups.length
  const width = place / systems.length
  for (const row of rows) {
    const { median, low, high } = summary(row.figures[column.name])
    const left = round(
      xOf(groups, groups.indexOf(row.group)) - place / 2 + systems.indexOf(row.system) * width,
    )
    const title = `<title>${escaped(`${row.system}, ${row.group}: ${median.toFixed(column.digits)} ${column.unit}`)}</title>`
    const size = `x="${left}" y="${y(median)}" width="${round(width * 0.9)}" height="${round(bottom - y(median))}"`
    yield `<rect ${size} fill="${colourOf(systems, row.system)}">${title}</rect>`
    if (high > low) yield whisker(round(left + width * 0.45), y(low), y(high))
  }
}

function* drawLines(plot: Plot): Generator<string> {
  const { groups, systems, rows, column, y } = plot
  for (const system of systems) {
    const colour = colourOf(systems, system)
    const points: string[] = []
    for (const row of rows.filter(one => one.system === system)) {
      const { median, low, high } = summary(row.figures[column.name])
      const x = xOf(groups, groups.indexOf(row.group))
      points.push(`${x} ${y(median)}`)
      if (high > low) yield whisker(x, y(low), y(high))
      yield `<circle cx="${x}" cy="${y(median)}" r="3.5" fill="${colour}"/>`
    }
    yield `<path d="M${points.join('L')}" fill="none" stroke="${colour}" stroke-width="2"/>`
  }
}

function* drawIdeal({ groups, chart, y }: Plot): Generator<string> {
  const points = groups.flatMap((group, at) => {
    const value = chart.ideal?.[group]
    return value === undefined ? [] : [`${xOf(groups, at)} ${y(value)}`]
  })
  if (points.length === 0) return
  yield `<path d="M${points.join('L')}" fill="none" stroke="#000" stroke-dasharray="6 4"><title>ideal</title></path>`
}

function whisker(x: number, low: number, high: number): string {
  return `<path d="M${x} ${low}V${high}M${x - 3} ${low}h6M${x - 3} ${high}h6" stroke="#333" fill="none"/>`
}

/** As many lines as its words need. */
function drawLegend(systems: readonly string[]): { text: string; height: number } {
  let [x, line] = [LEFT, 0]
  const parts = systems.map(system => {
    const width = SWATCH + 8 + LETTER * system.length + 16
    if (x + width > WIDTH - RIGHT) [x, line] = [LEFT, line + 1]
    const at = `<rect x="${x}" y="${line * LEGEND_LINE}" width="${SWATCH}" height="${SWATCH}" fill="${colourOf(systems, system)}"/>`
    const text = `<text x="${x + SWATCH + 6}" y="${line * LEGEND_LINE + SWATCH - 1}">${escaped(system)}</text>`
    x += width
    return at + text
  })
  return { text: parts.join(''), height: (line + 2) * LEGEND_LINE }
}

function colourOf(systems: readonly string[], system: string): string {
  return COLOURS[systems.indexOf(system) % COLOURS.length] as string
}

function round(pixels: number): number {
  return Math.round(10 * pixels) / 10
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;')
}
