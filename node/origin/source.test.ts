import type { IncomingMessage, ServerResponse } from 'node:http'
import { type FrontOptions, TestFront, TestOrigin } from './test-origin.ts'

const SECOND_MS = 1_000

let origin: TestOrigin
let front: TestFront

/** The origin answers every request with the same, and with 304 where its tag is known. */
function serves(fields: Record<string, string | string[]>, body = 'content', status = 200): void {
  origin.handle = (request, response) => {
    const known = request.headers['if-none-match']
    if (known !== undefined && known === fields.ETag) response.writeHead(304, fields).end()
    else response.writeHead(status, fields).end(body)
  }
}

function stand(options: FrontOptions = {}): void {
  front = new TestFront(origin.url, options)
  origin.nowSecond = () => front.nowSecond
}

beforeEach(async () => {
  origin = new TestOrigin()
  await origin.start()
  stand()
})

afterEach(async () => {
  front.source.retire()
  await origin.stop()
})

describe('what is fresh', () => {
  it('is asked for once, and has an Age afterwards (RFC 9111 §5.1)', async () => {
    serves({ 'Cache-Control': 'max-age=60', 'Content-Type': 'text/plain' })
    const first = await front.get('/a?b=c')
    expect(first).toMatchObject({ status: 200, body: 'content' })
    expect(first.fields).toMatchObject({
      'content-length': '7',
      'cache-status': 'gyre; fwd=uri-miss; stored',
    })
    front.passedMs += 10 * SECOND_MS
    const second = await front.get('/a?b=c')
    expect(second).toMatchObject({ status: 200, body: 'content' })
    expect(second.fields).toMatchObject({ age: '10', 'cache-status': 'gyre; hit', date: first.fields.date })
    expect(origin.requests).toHaveLength(1)
    front.passedMs += 50 * SECOND_MS
    await front.get('/a?b=c')
    expect(origin.requests).toHaveLength(2)
  })

  it('is told apart by the query, and by nothing that a client may write otherwise', async () => {
    serves({ 'Cache-Control': 'max-age=60' })
    for (const target of ['/a', '/a?', '/a?x', '/b', '/a', '/a?x']) await front.get(target)
    expect(origin.requests.map(({ url }) => url)).toEqual(['/a', '/a?', '/a?x', '/b'])
  })

  it('is asked for once by all who want it at the same time', async () => {
    let answer: (() => void) | undefined
    origin.handle = (_request, response) => {
      answer = () => response.writeHead(200, { 'Cache-Control': 'max-age=60' }).end('shared')
    }
    const all = Array.from({ length: 20 }, () => front.get('/a'))
    while (answer === undefined) await new Promise(resolve => setTimeout(resolve, 1))
    answer()
    expect((await Promise.all(all)).map(({ body }) => body)).toEqual(Array(20).fill('shared'))
    expect(origin.requests).toHaveLength(1)
    expect(front.source.counters).toMatchObject({ misses: 1, collapsed: 19 })
  })

  it('answers HEAD, and a HEAD fills the cache', async () => {
    serves({ 'Cache-Control': 'max-age=60' })
    expect(await front.get('/a', {}, 'HEAD')).toMatchObject({
      status: 200,
      body: '',
      fields: { 'content-length': '7' },
    })
    expect(await front.get('/a')).toMatchObject({ status: 200, body: 'content' })
    expect(origin.requests.map(({ method }) => method)).toEqual(['GET'])
  })

  it('answers ranges and conditions as any file (RFC 9110 §14, RFC 9111 §4.3.2)', async () => {
    serves(
      { 'Cache-Control': 'max-age=60', ETag: '"v"', 'Content-Type': 'text/plain', Vary: 'X-Not-There' },
      '0123456789',
    )
    expect(await front.get('/a', { Range: 'bytes=2-4' })).toMatchObject({
      ...{ status: 206, body: '234' },
      fields: { 'content-range': 'bytes 2-4/10', 'content-length': '3', etag: '"v"' },
    })
    expect(origin.requests[0]?.headers.range).toBeUndefined()
    expect((await front.get('/a', { Range: 'bytes=20-' })).status).toBe(416)
    const parts = await front.get('/a', { Range: 'bytes=0-1,8-9' })
    expect(parts.body).toContain('Content-Range: bytes 8-9/10\r\n\r\n89\r\n--gyre-')
    expect(parts.fields['content-type']).toMatch(/^multipart\/byteranges; boundary=gyre-[0-9a-f]{16}$/)
    const unchanged = await front.get('/a', { 'If-None-Match': 'W/"v"' })
    expect(unchanged).toMatchObject({ status: 304, body: '', fields: { etag: '"v"', vary: 'X-Not-There' } })
    expect(unchanged.fields).not.toHaveProperty('content-type')
    expect((await front.get('/a', { Range: 'bytes=2-4', 'If-Range': '"v"' })).status).toBe(206)
    expect((await front.get('/a', { Range: 'bytes=2-4', 'If-Range': '"w"' })).status).toBe(200)
    expect(origin.requests).toHaveLength(1)
  })

  it('RFC 9110 §13.1.5: no range after a weak tag', async () => {
    serves({ 'Cache-Control': 'max-age=60', ETag: 'W/"v"' }, '0123456789')
    expect((await front.get('/a', { Range: 'bytes=2-4', 'If-Range': 'W/"v"' })).status).toBe(200)
    expect((await front.get('/a', { 'If-None-Match': '"v"' })).status).toBe(304)
  })

  it.each([301, 404, 410])('may be a %i, with its fields and body', async status => {
    serves(
      { 'Cache-Control': 'max-age=60', Location: `${origin.url}/there`, 'X-A': 'b' },
      'elsewhere',
      status,
    )
    for (let time = 0; time < 2; time++) {
      expect(await front.get('/a', { Range: 'bytes=0-1', 'If-None-Match': '*' })).toMatchObject({
        ...{ status, body: 'elsewhere' },
        fields: { location: '/there', 'x-a': 'b' },
      })
    }
    expect(origin.requests).toHaveLength(1)
  })
})

describe('what is stale', () => {
  it('is validated, and has the fields of the 304 then (RFC 9111 §4.3.4)', async () => {
    serves({ 'Cache-Control': 'max-age=10', ETag: '"v"', 'X-A': 'old' })
    await front.get('/a')
    front.passedMs += 20 * SECOND_MS
    origin.handle = (_request, response) => {
      response.writeHead(304, { 'Cache-Control': 'max-age=100', ETag: '"v"', 'X-A': 'new' }).end()
    }
    const validated = await front.get('/a')
    expect(origin.requests[1]?.headers['if-none-match']).toBe('"v"')
    expect(validated).toMatchObject({
      ...{ status: 200, body: 'content' },
      fields: {
        'x-a': 'new',
        'cache-control': 'max-age=100',
        'cache-status': 'gyre; hit; fwd=stale; fwd-status=304',
      },
    })
    front.passedMs += 50 * SECOND_MS
    expect((await front.get('/a')).fields).toMatchObject({ 'x-a': 'new', age: '50' })
    expect(origin.requests).toHaveLength(2)
    expect(front.source.counters).toMatchObject({ misses: 1, revalidated: 1 })
  })

  it('is validated by the time where there is no tag (§4.3.1)', async () => {
    const lastModified = 'Sun, 06 Nov 1994 08:49:37 GMT'
    serves({ 'Cache-Control': 'no-cache', 'Last-Modified': lastModified })
    await front.get('/a')
    await front.get('/a')
    expect(origin.requests[1]?.headers['if-modified-since']).toBe(lastModified)
  })

  it('is replaced by another version', async () => {
    serves({ 'Cache-Control': 'max-age=10', ETag: '"v"' })
    await front.get('/a')
    front.passedMs += 20 * SECOND_MS
    serves({ 'Cache-Control': 'max-age=10', ETag: '"w"' }, 'another')
    expect((await front.get('/a')).body).toBe('another')
    expect((await front.get('/a')).body).toBe('another')
    expect(origin.requests).toHaveLength(2)
  })

  it('is used meanwhile where that is allowed (RFC 5861 §3)', async () => {
    serves({ 'Cache-Control': 'max-age=10, stale-while-revalidate=100', ETag: '"v"' })
    await front.get('/a')
    front.passedMs += 20 * SECOND_MS
    serves({ 'Cache-Control': 'max-age=10', ETag: '"w"' }, 'another')
    const stale = await front.get('/a')
    expect(stale).toMatchObject({ body: 'content', fields: { age: '20' } })
    while (front.source.counters.misses < 2) await new Promise(resolve => setTimeout(resolve, 1))
    expect((await front.get('/a')).body).toBe('another')
    expect(origin.requests[1]?.headers).not.toHaveProperty('x-forwarded-for')
    expect(origin.requests[1]?.headers.forwarded).toBe('proto=http')
  })

  it.each<[string, number]>([
    ['max-age=10, stale-if-error=100', 200],
    ['max-age=10', 503],
    ['max-age=10, must-revalidate, stale-if-error=100', 503],
  ])('after %s an error of the origin gives %i (RFC 5861 §4)', async (control, status) => {
    serves({ 'Cache-Control': control, ETag: '"v"' })
    await front.get('/a')
    front.passedMs += 20 * SECOND_MS
    serves({}, 'sorry', 503)
    const sent = await front.get('/a')
    expect(sent.status).toBe(status)
    expect(sent.body).toBe(status === 200 ? 'content' : 'sorry')
    if (status === 200) expect(sent.fields.age).toBe('20')
  })

  it.each<[string, number]>([
    ['max-age=10', 200],
    ['max-age=10, must-revalidate', 502],
    ['max-age=10, proxy-revalidate', 502],
    ['no-cache', 502],
    ['s-maxage=10', 502],
  ])('after %s an origin that is away gives %i (RFC 9111 §4.2.4)', async (control, status) => {
    serves({ 'Cache-Control': control, ETag: '"v"' })
    await front.get('/a')
    front.passedMs += 20 * SECOND_MS
    await origin.stop()
    for (let time = 0; time < 2; time++) expect((await front.get('/a')).status).toBe(status)
    if (status === 200) expect((await front.get('/a')).fields['cache-status']).toContain('fwd=stale')
    await origin.start(origin.port)
    front.passedMs += 2 * SECOND_MS
    expect((await front.get('/a')).status).toBe(200)
  })
})

describe('what nobody else may have', () => {
  it.each<[string, Record<string, string>]>([
    ['no-store', { 'Cache-Control': 'no-store' }],
    ['private', { 'Cache-Control': 'private, max-age=60' }],
    ['Set-Cookie', { 'Cache-Control': 'public, max-age=60', 'Set-Cookie': 'a=b' }],
    ['Vary: *', { 'Cache-Control': 'max-age=60', Vary: '*' }],
  ])('%s is served, and asked for by each', async (_what, fields) => {
    origin.handle = ({ headers }, response) => response.writeHead(200, fields).end(`for ${headers.cookie}`)
    const both = await Promise.all(['a', 'b', 'c'].map(cookie => front.get('/me', { Cookie: cookie })))
    expect(both.map(({ body }) => body)).toEqual(['for a', 'for b', 'for c'])
    expect(both[0]?.fields).not.toHaveProperty('age')
    expect(front.store.count).toBe(0)
    expect((await front.get('/me', { Cookie: 'd' })).body).toBe('for d')
  })

  it.each<[string, Record<string, string>]>([
    ['says nothing but a tag', { ETag: '"v"' }],
    ['is no-cache', { 'Cache-Control': 'no-cache', ETag: '"v"' }],
    ['is stale at once', { 'Cache-Control': 'max-age=0', ETag: '"v"' }],
  ])('RFC 9111 §5.2.2.4: what %s is validated for each who waits for it', async (_what, fields) => {
    origin.handle = ({ headers }, response) => {
      const tag = `"${headers.cookie}"`
      if (headers['if-none-match'] === tag) response.writeHead(304, { ...fields, ETag: tag }).end()
      else response.writeHead(200, { ...fields, ETag: tag }).end(`for ${headers.cookie}`)
    }
    const all = (cookies: string[]) =>
      Promise.all(cookies.map(async cookie => (await front.get('/me', { Cookie: cookie })).body))
    expect(await all(['a', 'b', 'c'])).toEqual(['for a', 'for b', 'for c'])
    front.passedMs += 20 * SECOND_MS
    // The one that is stored may be any of them: each of them is validated first once.
    for (const cookie of ['a', 'b', 'c']) {
      await front.get('/me', { Cookie: cookie })
      front.passedMs += 20 * SECOND_MS
      expect(await all([cookie, 'a', 'b'])).toEqual([`for ${cookie}`, 'for a', 'for b'])
      front.passedMs += 20 * SECOND_MS
    }
    await origin.stop()
    expect((await front.get('/me', { Cookie: 'd' })).status).toBe(502)
    await origin.start(origin.port)
  })

  it.each<[string, string | undefined, string]>([
    ['nothing of how long', undefined, 'for b'],
    ['that it is public', 'public', 'for a'],
    ['how long', 'max-age=60', 'for a'],
  ])('RFC 9111 §4.2.2: of an answer to a Cookie that says %s', async (_what, control, second) => {
    origin.handle = ({ headers }, response) => {
      response.setHeader('Last-Modified', 'Sun, 06 Nov 1994 08:49:37 GMT')
      if (control !== undefined) response.setHeader('Cache-Control', control)
      response.end(`for ${headers.cookie}`)
    }
    expect((await front.get('/a', { Cookie: 'a' })).body).toBe('for a')
    expect((await front.get('/a', { Cookie: 'b' })).body).toBe(second)
  })

  it('keeps several Set-Cookie lines apart (RFC 9110 §5.3)', async () => {
    serves({ 'Set-Cookie': ['a=b; Expires=Sun, 06 Nov 1994 08:49:37 GMT', 'c=d'] })
    expect((await front.get('/a')).head).toContain('Set-Cookie: c=d\r\n')
  })

  it('RFC 9111 §3.5: a response to Authorization is for its client alone, unless it says otherwise', async () => {
    origin.handle = ({ headers }, response) => {
      const control = headers.authorization === 'shared' ? 'public, max-age=60' : 'max-age=60'
      response.writeHead(200, { 'Cache-Control': control }).end(`for ${headers.authorization}`)
    }
    expect((await front.get('/a', { Authorization: 'mine' })).body).toBe('for mine')
    expect((await front.get('/a', { Authorization: 'yours' })).body).toBe('for yours')
    expect((await front.get('/a', { Authorization: 'shared' })).body).toBe('for shared')
    expect((await front.get('/a')).body).toBe('for shared')
  })

  it('passes conditions that are the origin’s alone on, and its answer back (RFC 9111 §4.3.2)', async () => {
    serves({ 'Cache-Control': 'max-age=60', ETag: '"v"' })
    await front.get('/a')
    origin.handle = ({ headers }, response) =>
      response.writeHead(headers['if-match'] === '"x"' ? 412 : 200).end()
    expect((await front.get('/a', { 'If-Match': '"x"' })).status).toBe(412)
    expect(await front.get('/a')).toMatchObject({ status: 200, body: 'content' })
  })

  it('answers a range under such a condition, of the whole that it asks for', async () => {
    origin.handle = ({ headers }, response) => {
      if (headers.range === undefined) response.writeHead(200, { ETag: '"v"' }).end('0123456789')
      else response.writeHead(206, { ETag: '"v"', 'Content-Range': 'bytes 2-4/10' }).end('234')
    }
    const sent = await front.get('/a', { 'If-Match': '"v"', Range: 'bytes=2-4' })
    expect(sent).toMatchObject({ status: 206, body: '234', fields: { 'content-range': 'bytes 2-4/10' } })
  })
})

describe('RFC 9111 §4.1: variants', () => {
  const byCoding = ({ headers }: IncomingMessage, response: ServerResponse) => {
    const coding = String(headers['accept-encoding']).includes('br') ? 'br' : 'identity'
    response
      .writeHead(200, { 'Cache-Control': 'max-age=60', Vary: 'Accept-Encoding', 'X-Coding': coding })
      .end(coding)
  }

  it('are each kept, and found by what the client accepts however it is written', async () => {
    origin.handle = byCoding
    expect((await front.get('/a', { 'Accept-Encoding': 'gzip, br' })).body).toBe('br')
    expect((await front.get('/a')).body).toBe('identity')
    expect((await front.get('/a', { 'Accept-Encoding': 'br,gzip' })).body).toBe('br')
    expect((await front.get('/a', { 'Accept-Encoding': 'br;q=1.0, gzip;q=0.9' })).body).toBe('br')
    expect((await front.get('/a')).fields['cache-status']).toBe('gyre; hit')
    expect(origin.requests).toHaveLength(2)
  })

  it('are not mistaken for one another when one of them is used stale', async () => {
    origin.handle = byCoding
    await front.get('/a', { 'Accept-Encoding': 'br' })
    front.passedMs += 70 * SECOND_MS
    await origin.stop()
    const both = await Promise.all([front.get('/a', { 'Accept-Encoding': 'br' }), front.get('/a')])
    expect(both.map(({ status }) => status)).toEqual([200, 502])
    await origin.start(origin.port)
  })

  it('are bounded in number', async () => {
    origin.handle = ({ headers }, response) => {
      response.writeHead(200, { 'Cache-Control': 'max-age=60', Vary: 'X-Who' }).end(`for ${headers['x-who']}`)
    }
    for (let who = 0; who < 30; who++) {
      expect((await front.get('/a', { 'X-Who': `${who}` })).body).toBe(`for ${who}`)
    }
    expect(front.store.count).toBe(8)
    expect((await front.get('/a', { 'X-Who': '29' })).fields['cache-status']).toBe('gyre; hit')
  })

  it('go together when the origin chooses by other fields', async () => {
    origin.handle = byCoding
    await front.get('/a', { 'Accept-Encoding': 'br' })
    await front.get('/a')
    front.passedMs += 70 * SECOND_MS
    serves({ 'Cache-Control': 'max-age=60' }, 'plain')
    expect((await front.get('/a', { 'Accept-Encoding': 'br' })).body).toBe('plain')
    expect((await front.get('/a')).body).toBe('plain')
    expect(front.store.count).toBe(1)
  })
})

describe('the way there and back', () => {
  it('RFC 9110 §7.6: passes end-to-end fields alone, and says who passes them', async () => {
    serves({
      ...{ Connection: 'X-Hop', 'X-Hop': 'a', 'Keep-Alive': 'timeout=5', 'X-End': 'b', Upgrade: 'h2c' },
      ...{ Via: '1.1 other', Server: 'theirs' },
    })
    const sent = await front.get('/a', {
      ...{
        Connection: 'X-Mine',
        'X-Mine': 'a',
        TE: 'trailers',
        'Proxy-Authorization': 'secret',
        'X-End': 'b',
      },
      ...{ 'X-Forwarded-For': '10.0.0.1', 'X-Forwarded-Host': 'evil.example', Via: '1.0 before' },
    })
    expect(sent.fields).toMatchObject({ 'x-end': 'b', server: 'theirs', via: '1.1 other, 1.1 gyre' })
    for (const name of ['x-hop', 'keep-alive', 'upgrade', 'connection'])
      expect(sent.fields).not.toHaveProperty(name)
    const { headers } = origin.requests[0] as IncomingMessage
    expect(headers).toMatchObject({
      ...{ host: `127.0.0.1:${origin.port}`, 'x-end': 'b', via: '1.0 before, 1.1 gyre' },
      ...{
        'x-forwarded-for': '192.0.2.7',
        'x-forwarded-proto': 'http',
        forwarded: 'for=192.0.2.7;proto=http',
      },
    })
    for (const name of ['x-mine', 'te', 'proxy-authorization', 'x-forwarded-host', 'expect']) {
      expect(headers).not.toHaveProperty(name)
    }
  })

  it('passes nothing by which a client could say where it comes from, or what it asks for, in other words', async () => {
    await front.get('/a', {
      ...{ 'X-Forwarded-Port': '1', 'X-Forwarded-Prefix': '/evil', 'X-Forwarded-Server': 'evil.example' },
      ...{ X_Forwarded_Host: 'evil.example', X_Forwarded_For: '10.0.0.1', Content_Length: '9' },
      ...{
        'X-Original-URL': '/b',
        'X-Rewrite-URL': '/b',
        'X-HTTP-Method-Override': 'DELETE',
        'X-Host': 'evil',
      },
      'X-Mine': 'a',
    })
    const { headers } = origin.requests[0] as IncomingMessage
    expect(Object.keys(headers).sort()).toEqual(
      ['connection', 'forwarded', 'host', 'via', 'x-forwarded-for', 'x-forwarded-proto', 'x-mine'].sort(),
    )
    expect(headers).toMatchObject({ 'x-forwarded-for': '192.0.2.7', 'x-mine': 'a' })
  })

  it('names the site, never what a client calls it', async () => {
    stand({ site: 'a.example' })
    await front.get('/a', { Host: 'b.example', 'X-Forwarded-Host': 'c.example' })
    expect(origin.requests[0]?.headers).toMatchObject({ 'x-forwarded-host': 'a.example' })
  })

  it('has the fields of the site instead of the origin’s', async () => {
    stand({ fields: { 'X-Frame-Options': 'DENY' } })
    serves({ 'x-frame-options': 'ALLOWALL', 'Cache-Control': 'max-age=60' })
    expect((await front.get('/a')).fields['x-frame-options']).toBe('DENY')
  })

  it('refuses a fragment, and asks for an empty path by its slash', async () => {
    expect((await front.found(front.head('/a#b'))).kind).toBe('refused')
    await front.get('http://front.example')
    await front.get('http://front.example?x')
    expect(origin.requests.map(({ url }) => url)).toEqual(['/', '/?x'])
  })

  it('goes in no circle', async () => {
    const via = Array(8).fill('1.1 gyre').join(', ')
    expect((await front.get('/a', { Via: via })).status).toBe(502)
    expect(origin.requests).toHaveLength(0)
  })

  it('counts what the cache has no place for as long as it is sent', async () => {
    const octets = 3 * 1_048_576
    stand({ cacheOctets: 1_048_576 })
    serves({ 'Cache-Control': 'max-age=60' }, 'x'.repeat(octets))
    const found = await front.found(front.head('/a'))
    expect(front.store.count).toBe(0)
    expect(front.store.outsideOctets).toBeGreaterThanOrEqual(octets)
    expect(found.kind).toBe('response')
  })

  it('leaves nothing behind in the store once it is retired', async () => {
    serves({ 'Cache-Control': 'max-age=60' })
    const asked = front.get('/a')
    front.source.retire()
    await asked
    expect(front.store.count).toBe(0)
  })
})
