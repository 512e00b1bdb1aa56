/** Colours: an owner has one everywhere. The hues are Okabe and Ito's, which colour-blind people tell apart, in a set for each theme. */

const LIGHT = ['#0072b2', '#d98200', '#009e73', '#c4609b', '#3a9fdc', '#d55e00', '#8a7a00']
const DARK = ['#56b4e9', '#f0a830', '#2ecf9f', '#e39ac6', '#8ab4ff', '#ff8a4c', '#f0e442']
const DISPATCHER = { light: '#6b7a82', dark: '#9fb0b8' }

const dark = matchMedia('(prefers-color-scheme: dark)')

export interface Theme {
  readonly ink: string
  readonly soft: string
  readonly line: string
  readonly card: string
  readonly sunk: string
  readonly bad: string
}

let theme: Theme | undefined
dark.addEventListener('change', () => {
  theme = undefined
})

/** What the style sheet says, read once for each theme. */
export function themeOf(): Theme {
  if (theme !== undefined) return theme
  const style = getComputedStyle(document.documentElement)
  const get = (name: string) => style.getPropertyValue(`--${name}`).trim()
  theme = {
    ink: get('ink'),
    soft: get('soft'),
    line: get('line'),
    card: get('card'),
    sunk: get('sunk'),
    bad: get('bad'),
  }
  return theme
}

export function onTheme(changed: () => void): void {
  dark.addEventListener('change', changed)
}

/** The dispatcher is grey; nodes have the hues in turn. */
export function colourOf(owner: number, role: string): string {
  if (role === 'dispatcher') return dark.matches ? DISPATCHER.dark : DISPATCHER.light
  const hues = dark.matches ? DARK : LIGHT
  return hues[(owner - 1 + hues.length) % hues.length] as string
}

export function hueOf(index: number): string {
  const hues = dark.matches ? DARK : LIGHT
  return hues[index % hues.length] as string
}

/** What can be read on a colour of ours: white on the dark ones (relative luminance of WCAG 2). */
export function inkOn(colour: string): string {
  const channels = [1, 3, 5].map(at => (Number.parseInt(colour.slice(at, at + 2), 16) / 255) ** 2.2)
  const [red = 0, green = 0, blue = 0] = channels
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue < 0.2 ? '#ffffff' : '#07131a'
}
