/** Every setting of the schema as data, and as the table of the README. */
import { type Config, configSchema } from './schema.ts'
import { SETTINGS, type SettingFacts } from './setting.ts'
import { SITE_SHAPE } from './site-schema.ts'
import { shapeOf } from './validate.ts'

export interface ListedSetting {
  /** `limits.bodyOctets`. */
  readonly key: string
  readonly facts: SettingFacts
  /** Whether a site of `sites` may say it too. */
  readonly site: boolean
}

export function listSettings(): ListedSetting[] {
  const { sites: _sites, ...shape } = configSchema.shape
  return Object.entries(shape).flatMap(([key, schema]) => listed(key, schema, key in SITE_SHAPE))
}

function listed(key: string, schema: unknown, site: boolean): ListedSetting[] {
  const facts = SETTINGS.get(schema as Parameters<typeof SETTINGS.get>[0])
  if (facts !== undefined) return [{ key, facts, site }]
  return Object.entries(shapeOf(schema)).flatMap(([name, inner]) => listed(`${key}.${name}`, inner, site))
}

/** The keys, at the top of a file, that a reload does not change. */
export function fixedSettings(): (keyof Config)[] {
  const fixed = listSettings().filter(({ facts }) => facts.reload !== true)
  return [...new Set(fixed.map(({ key }) => key.split('.')[0] as keyof Config))]
}

/** Between these two lines of the README stands the table. */
export const TABLE_BEGIN = '<!-- settings: written by `npm run settings` -->'
export const TABLE_END = '<!-- end of settings -->'

export function settingsTable(): string {
  const rows = listSettings().map(({ key, facts, site }) => {
    const { about, unit, range } = facts
    const value = [unit, range].filter(text => text !== undefined && text !== '').join(': ')
    const where = `${site ? 'site' : ''}${site && facts.reload ? ', ' : ''}${facts.reload ? 'reload' : ''}`
    return `| \`${key}\` | ${facts.default} | ${value} | ${where} | ${about} |`
  })
  return ['| setting | default | values | | meaning |', '|---|---|---|---|---|', ...rows].join('\n')
}

/** A README with the table of today between its marks. Throws where it has none. */
export function withTable(readme: string): string {
  const begin = readme.indexOf(TABLE_BEGIN)
  const end = readme.indexOf(TABLE_END)
  if (begin < 0 || end < begin) throw new RangeError('the README has no place for the table of settings')
  return `${readme.slice(0, begin + TABLE_BEGIN.length)}\n\n${settingsTable()}\n\n${readme.slice(end)}`
}
