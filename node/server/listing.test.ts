import { listingPage, MAX_LISTED_NAMES } from './listing.ts'

const file = (name: string) => ({ name, directory: false })
const links = (page: string) => [...page.matchAll(/href="([^"]*)"/g)].map(match => match[1])

describe('the page of a directory', () => {
  it('is the same whatever the order of the names', () => {
    const names = [file('b'), { name: 'a', directory: true }, file('B'), file('é')]
    expect(listingPage('/d/', names)).toBe(listingPage('/d/', [...names].reverse()))
    expect(links(listingPage('/d/', names))).toEqual(['../', './B', './a/', './b', './%C3%A9'])
    expect(links(listingPage('/', names))[0]).toBe('./B')
  })

  it('holds no markup of a name or path', () => {
    const page = listingPage('/<i>&/', [
      file('<script>alert("x")</script>'),
      file(`"'>`),
      file('javascript:alert(1)'),
    ])
    expect(page).not.toMatch(/<script|<i>|href="javascript|href="[^"]*>[^<]*"/)
    expect(page).toContain('Index of /&lt;i&gt;&amp;/')
    expect(links(page)).toContain('./javascript%3Aalert(1)')
  })

  it('shows no hidden name, and none that cannot be asked for', () => {
    expect(links(listingPage('/', [file('.git'), file('.well-known'), file('a\ufffd')]))).toEqual([
      './.well-known',
    ])
    expect(links(listingPage('/d/', [file('.git'), file('.well-known')]))).toEqual(['../'])
  })

  it('is bounded, and says so', () => {
    const page = listingPage(
      '/',
      Array.from({ length: MAX_LISTED_NAMES + 5 }, (_, index) => file(`f${index}`)),
    )
    expect(links(page)).toHaveLength(MAX_LISTED_NAMES)
    expect(page).toContain('5 more are not shown.')
  })
})
