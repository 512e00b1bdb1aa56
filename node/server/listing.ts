/**
 * The page of a directory that has no index. The same names make the same octets on every node, so it says nothing
 * of times and owners, which differ between copies of a site.
 */
import { encodePath, isHidden } from '../http/target.ts'

/** A page of 2 MB or so; whoever has larger directories writes an index. */
export const MAX_LISTED_NAMES = 10_000

export interface ListedName {
  readonly name: string
  readonly directory: boolean
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, character => ENTITIES[character] as string)
}

/** U+FFFD: a name that is no UTF-8, which no request can ask for. */
function isShown({ name }: ListedName, depth: number): boolean {
  return !isHidden(name, depth) && !name.includes('\ufffd')
}

/** `path`: normalised, with a slash at its end. Names come in any order, hidden ones included. */
export function listingPage(path: string, names: readonly ListedName[]): string {
  const depth = path.split('/').length - 2
  const shown = names.filter(name => isShown(name, depth))
  // By code units: what a locale thinks of order differs between machines.
  shown.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0))
  const title = `Index of ${escaped(path)}`
  const items = shown.slice(0, MAX_LISTED_NAMES).map(({ name, directory }) => {
    const text = directory ? `${name}/` : name
    return `<li><a href="./${encodePath(text)}">${escaped(text)}</a></li>\n`
  })
  const up = path === '/' ? '' : '<li><a href="../">../</a></li>\n'
  const left = shown.length - items.length
  const rest = left > 0 ? `<p>${left} more are not shown.</p>\n` : ''
  return (
    `<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<title>${title}</title>\n<h1>${title}</h1>\n` +
    `<ul>\n${up}${items.join('')}</ul>\n${rest}</html>\n`
  )
}
