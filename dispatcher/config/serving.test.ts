import { DEFAULT_HTTP_SETTINGS } from '../../node/http/http-settings.ts'
import { servingSettings } from './serving.ts'

const DEFAULTS = { root: '/www', cluster: { port: 80 } }

it('serves one site where nothing is configured', () => {
  expect(servingSettings({}, DEFAULTS)).toMatchObject({
    sites: [{ name: '', hosts: [], root: '/www', http: DEFAULT_HTTP_SETTINGS }],
    unknownHost: 'default',
  })
})

it('gives sites the settings of the top that they do not say otherwise', () => {
  const rules = [{ paths: ['/**'], fields: { 'Cache-Control': 'no-store' } }]
  const { sites } = servingSettings(
    {
      listing: true,
      rules,
      sites: {
        'B.example': { root: '/b', listing: false, aliases: ['*.b.example'] },
        c: { root: '/c', rules: [] },
      },
    },
    DEFAULTS,
  )
  expect(sites.map(({ name, hosts, root, http }) => [name, hosts, root, http.listing, http.rules])).toEqual([
    ['', [], '/www', true, rules],
    ['b.example', ['b.example', '*.b.example'], '/b', false, rules],
    ['c', ['c'], '/c', true, []],
  ])
})

it('has an origin of the default site, by flag or file, and of others, none of which inherits it', () => {
  const config = { origin: 'http://a', sites: { b: { root: '/b' }, c: { origin: 'http://c' } } }
  const { sites } = servingSettings(config, { ...DEFAULTS, origin: 'http://flag' })
  expect(sites.map(({ root, origin }) => [root, origin])).toEqual([
    ['', 'http://flag'],
    ['/b', undefined],
    ['', 'http://c'],
  ])
})

it('has one digest for one meaning', () => {
  const digest = (...of: Parameters<typeof servingSettings>) => servingSettings(...of).digest
  const plain = digest({}, DEFAULTS)
  expect(plain).toMatch(/^[0-9a-f]{12}$/)
  expect(digest({ listing: false, aliases: [], cacheOctets: 2 ** 20 }, DEFAULTS)).toBe(plain)
  expect(digest({ fields: { a: '1', b: '2' } }, DEFAULTS)).toBe(
    digest({ fields: { b: '2', a: '1' } }, DEFAULTS),
  )
  expect(digest({ listing: true }, DEFAULTS)).not.toBe(plain)
  expect(digest({}, { ...DEFAULTS, root: '/other' })).not.toBe(plain)
  expect(digest({}, { ...DEFAULTS, cluster: { port: 81 } })).not.toBe(plain)
})
