/** Numbers as people read them, beside what `dispatcher/admin/amounts.ts` has for the command line as well. */

/** 12,345 or 1.2 M. */
export function countText(count: number): string {
  if (count >= 1e6) return `${(count / 1e6).toFixed(1)} M`
  if (count >= 100 || Number.isInteger(count)) return Math.round(count).toLocaleString('en')
  return count.toFixed(1)
}

/** `1 socket`, `2,000 sockets`. */
export function numbered(count: number, noun: string): string {
  return `${countText(count)} ${noun}${count === 1 ? '' : 's'}`
}

export function shareText(share: number | null): string {
  return share === null ? '–' : `${(share * 100).toFixed(share < 0.1 ? 1 : 0)} %`
}
