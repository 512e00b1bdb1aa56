/**
 * The settings of a site. At the top of a configuration they are those of the default site, and of every other site that
 * does not say otherwise.
 */
import { z } from 'zod'
import { CODINGS, MADE_CODINGS } from '../../node/http/content-coding.ts'
import { fieldsFault, MAX_RULES, ruleFault } from '../../node/http/field-rules.ts'
import { DEFAULT_HTTP_SETTINGS } from '../../node/http/http-settings.ts'
import { originUrl } from '../flags.ts'
import { HOST_FORM, normaliseHost } from './host-name.ts'
import { booleanSetting, setting, textSetting } from './setting.ts'

export const MAX_SITES = 1_000
const MAX_ALIASES = 100
const MAX_PATH_CHARS = 4_096

const hostName = z.string({ error: `expected ${HOST_FORM}` }).transform((text, context) => {
  const host = normaliseHost(text)
  if (host !== undefined) return host
  context.addIssue({ code: 'custom', message: `expected ${HOST_FORM}` })
  return z.NEVER
})

function folder(text: string): string {
  if (text === '' || text.length > MAX_PATH_CHARS || text.includes('\0')) throw new RangeError()
  return text
}

/** Who answers requests for a host that no site has. */
export const UNKNOWN_HOST = setting(
  z.union([z.literal('default'), z.literal(404), z.literal(421)], {
    error: 'expected "default", 404 or 421',
  }),
  {
    about: 'what a request for a host gets that no site has: the default site, or this status',
    default: 'default',
    range: 'default, 404, 421',
    reload: true,
  },
)

const FIELDS = z.record(z.string(), z.string({ error: 'expected a text' }), {
  error: 'expected texts by field name',
})
const PATTERNS = z.array(z.string({ error: 'expected a pattern' }), { error: 'expected a list of patterns' })

const fields = FIELDS.superRefine((value, context) => refuse(fieldsFault(value), context))
const rule = z
  .strictObject(
    {
      paths: PATTERNS,
      hashedNames: z.boolean({ error: 'expected true or false' }).optional(),
      fields: FIELDS,
    },
    { error: 'expected a rule: paths, hashedNames, fields' },
  )
  .transform(({ hashedNames, ...rest }) => (hashedNames === undefined ? rest : { ...rest, hashedNames }))
  .superRefine((value, context) => refuse(ruleFault(value), context))

function refuse(fault: string | undefined, context: z.RefinementCtx): void {
  if (fault !== undefined)
    context.addIssue({ code: 'custom', message: `expected what can be sent: ${fault}` })
}

const MAX_MEDIA_TYPES = 1_000
const EXTENSION = /^[a-z0-9_+-]{1,32}$/
const EXTENSION_FORM = 'an extension in lower case, without its point'
/** RFC 9110 §8.3.1: type and subtype, and parameters whose values are tokens or quoted. */
const MEDIA_TYPE = z
  .string({ error: 'expected a media type' })
  .regex(
    /^[\w!#$%&'*+.^`|~-]+\/[\w!#$%&'*+.^`|~-]+(?:; ?[\w!#$%&'*+.^`|~-]+=(?:[\w!#$%&'*+.^`|~-]+|"[\w !#-[\]-~]*"))*$/,
    { error: 'expected a media type, as text/markdown; charset=utf-8' },
  )

export const SITE_SHAPE = {
  root: textSetting(folder, 'a folder', {
    about: 'the files of the site; a relative path begins at the folder of the configuration',
    default: '`www/site` of gyre itself; a site of `sites` must name one',
    reload: true,
  }),
  origin: textSetting(originUrl, 'http://HOST[:PORT] or https://HOST[:PORT]', {
    about: 'the server whose responses the site gives and caches, instead of files; it has no `root` then',
    default: 'none',
    reload: true,
  }),
  aliases: setting(
    z.array(hostName, { error: 'expected a list of hosts' }).max(MAX_ALIASES, {
      error: `expected up to ${MAX_ALIASES} hosts`,
    }),
    {
      about: 'further hosts of the site; `*.example.org` is every host below it',
      default: 'none',
      range: `up to ${MAX_ALIASES} hosts`,
      reload: true,
    },
  ),
  precompressed: setting(
    z
      .array(z.enum(CODINGS, { error: `expected one of ${CODINGS.join(', ')}` }), {
        error: 'expected a list of codings',
      })
      .refine(codings => new Set(codings).size === codings.length, { error: 'expected each coding once' }),
    {
      about: 'codings whose files are served where they stand beside a file, the preferred first',
      default: JSON.stringify(DEFAULT_HTTP_SETTINGS.precompressed),
      range: `a list of ${CODINGS.join(', ')}`,
      reload: true,
    },
  ),
  compress: setting(
    z
      .array(z.enum(MADE_CODINGS, { error: `expected one of ${MADE_CODINGS.join(', ')}` }), {
        error: 'expected a list of codings',
      })
      .refine(codings => new Set(codings).size === codings.length, { error: 'expected each coding once' }),
    {
      about:
        'codings in which files that shrink by it are compressed in the background, once for the cluster; `[]`: never',
      default: JSON.stringify(DEFAULT_HTTP_SETTINGS.compress),
      range: `a list of ${MADE_CODINGS.join(', ')}`,
      reload: true,
    },
  ),
  mediaTypes: setting(
    z
      .record(z.string().regex(EXTENSION, { error: `expected ${EXTENSION_FORM}` }), MEDIA_TYPE, {
        error: 'expected media types by extension',
      })
      .refine(types => Object.keys(types).length <= MAX_MEDIA_TYPES, {
        error: `expected up to ${MAX_MEDIA_TYPES} types`,
      }),
    {
      about:
        'Content-Type by the end of a name, where it is not the usual one: `{ md: "text/markdown; charset=utf-8" }`',
      default: '{}',
      range: 'media types by extension',
      reload: true,
    },
  ),
  listing: booleanSetting({
    about: 'whether a directory without an index shows what it holds',
    default: String(DEFAULT_HTTP_SETTINGS.listing),
    reload: true,
  }),
  errorPages: booleanSetting({
    about: 'whether `/404.html` and its like in the root replace the pages of errors',
    default: String(DEFAULT_HTTP_SETTINGS.errorPages),
    reload: true,
  }),
  fields: setting(fields, {
    about: 'fields of every response',
    default: '{}',
    range: 'texts by field name',
    reload: true,
  }),
  rules: setting(
    z.array(rule, { error: 'expected a list of rules' }).max(MAX_RULES, {
      error: `expected up to ${MAX_RULES} rules`,
    }),
    {
      about:
        'fields of files by path, as Cache-Control: `{ paths, hashedNames?, fields }`; `*` within a segment, `**` any',
      default: '[]',
      range: `up to ${MAX_RULES} rules`,
      reload: true,
    },
  ),
}

/** Sites by their host. */
export function hostRecord<S extends z.ZodType>(site: S) {
  const key = z.string().refine(name => normaliseHost(name) !== undefined, { error: `expected ${HOST_FORM}` })
  return z
    .record(key, site, { error: 'expected sites by their host' })
    .refine(sites => Object.keys(sites).length <= MAX_SITES, { error: `expected up to ${MAX_SITES} sites` })
}
