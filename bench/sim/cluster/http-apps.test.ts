/** HTTP servers of Node.js, and what is made for them, on `node/app`: their connections move between two requests. */
import { createServer, type RequestListener, type Server } from 'node:http'
import express from 'express'
import { betweenRequests } from '../../../node/app/listen.ts'
import { Apps } from './apps.ts'
import type { Client } from './client.ts'

/** Each node with a server of its own. */
function serving(seed: number, listener: (id: number) => RequestListener): Apps {
  const webs = new Map<number, Server>()
  const exports = new Map<number, ReturnType<typeof betweenRequests>>()
  const webOf = (id: number) => {
    const web = webs.get(id) ?? createServer(listener(id))
    if (!webs.has(id)) exports.set(id, betweenRequests(web))
    webs.set(id, web)
    return web
  }
  afterWebs.push(() => {
    for (const web of webs.values()) web.close()
  })
  const apps: Apps = new Apps(
    { seed },
    { allowHalfOpen: true, export: socket => exports.get(idOf(apps, socket))?.(socket) },
    (socket, _state, { id }) => void webOf(id).emit('connection', socket),
  )
  return apps
}

const idOf = (apps: Apps, socket: unknown) =>
  apps.servers.find(({ sockets }) => (sockets as ReadonlySet<unknown>).has(socket))?.id ?? 0

const afterWebs: (() => void)[] = []
afterEach(() => {
  for (const close of afterWebs.splice(0)) close()
})

async function asked(apps: Apps, client: Client, request: string): Promise<string> {
  const before = client.transcript.length
  client.write(request)
  await apps.run(100)
  return client.transcript.slice(before)
}

const get = (path: string, more = '') => `GET ${path} HTTP/1.1\r\nHost: a\r\n${more}\r\n`
const post = (body: string) =>
  `POST /notes HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`

describe('Express, unchanged', () => {
  const appOf = (id: number) => {
    const app = express()
    app.use(express.json())
    app.get('/from/:name', (request, response) => {
      response.json({ hello: request.params.name, query: request.query, id })
    })
    app.post('/notes', (request, response) => void response.status(201).json({ noted: request.body }))
    app.get('/stream', async (_request, response) => {
      for (let line = 0; line < 3; line++) {
        response.write(`${line};`)
        await new Promise(setImmediate)
      }
      response.end()
    })
    app.get('/failure', () => {
      throw new RangeError('of the application')
    })
    app.use(
      (error: Error, _request: express.Request, response: express.Response, _next: express.NextFunction) => {
        response.status(500).send(error.message)
      },
    )
    return app
  }

  it('routes, parses bodies, streams, validates and reports errors, on a connection that moves', async () => {
    const apps = serving(30, appOf)
    const client = apps.client({ raw: true })
    await apps.run(50)
    const owners = new Set<number>()
    let tag = ''
    for (let round = 0; round < 6; round++) {
      const id = apps.ownerOf(client)
      owners.add(id)
      expect(await asked(apps, client, post('{"text":"a note"}'))).toMatch(
        /^HTTP\/1\.1 201 Created\r\n[\s\S]*\r\n\r\n\{"noted":\{"text":"a note"\}\}$/,
      )
      expect(await asked(apps, client, post('{"text":'))).toMatch(/^HTTP\/1\.1 500 [\s\S]*JSON/)
      expect(await asked(apps, client, get('/stream'))).toMatch(
        /chunked\r\n[\s\S]*2\r\n0;\r\n[\s\S]*\r\n0\r\n\r\n$/,
      )
      expect(await asked(apps, client, get('/failure'))).toMatch(/^HTTP\/1\.1 500 [\s\S]*of the application$/)
      expect(await asked(apps, client, get('/none'))).toMatch(/^HTTP\/1\.1 404 /)
      const answer = await asked(apps, client, get('/from/b%20c?d=1'))
      expect(answer).toMatch(/^HTTP\/1\.1 200 /)
      expect(answer).toContain(`{"hello":"b c","query":{"d":"1"},"id":${id}}`)
      tag = /^ETag: (.*)\r$/m.exec(answer)?.[1] ?? ''
      expect(await asked(apps, client, get('/from/b%20c?d=1', `If-None-Match: ${tag}\r\n`))).toMatch(
        /^HTTP\/1\.1 304 /,
      )
      expect(await apps.moved(client)).toMatchObject({ ok: true })
    }
    expect(owners.size).toBe(3)
    client.finish()
    await apps.run(100)
    expect([client.failure, client.finished]).toEqual([undefined, true])
  })
})

describe('betweenRequests', () => {
  const answers: (() => void)[] = []
  const slow = () =>
    serving(31, id => (request, response) => {
      request.resume()
      answers.push(() => response.end(`by ${id}`))
    })
  const NOT_NOW = { ok: false, reason: 'NOT_NOW' }

  const begun = async () => {
    answers.length = 0
    const apps = slow()
    const client = apps.client({ raw: true })
    await apps.run(50)
    const answer = async () => {
      for (const end of answers.splice(0)) end()
      await apps.run(50)
    }
    return { apps, client, answer }
  }

  it('lets a connection go before its first request, and after each response, not before', async () => {
    const { apps, client, answer } = await begun()
    expect(await apps.moved(client)).toMatchObject({ ok: true })
    for (let round = 0; round < 3; round++) {
      await asked(apps, client, get('/'))
      expect(await apps.moved(client)).toEqual(NOT_NOW)
      await answer()
      expect(await apps.moved(client)).toMatchObject({ ok: true })
    }
    expect(client.transcript.match(/by \d/g)).toHaveLength(3)
    expect(client.failure).toBeUndefined()
  })

  it.each([1, 14, 31, 33])(
    'keeps it while the parser holds %i octets of a head, alone or behind a request',
    async held => {
      const { apps, client, answer } = await begun()
      const request = get('/held/of/the/parser')
      for (const before of ['', get('/')]) {
        await asked(apps, client, before + request.slice(0, held))
        await answer()
        expect(await apps.moved(client)).toEqual(NOT_NOW)
        await asked(apps, client, request.slice(held))
        await answer()
        expect(await apps.moved(client)).toMatchObject({ ok: true })
      }
      expect(client.transcript.match(/by \d/g)).toHaveLength(3)
      expect(client.failure).toBeUndefined()
    },
  )

  it('keeps it behind a body, in which the start of another request may hide', async () => {
    const { apps, client, answer } = await begun()
    await asked(apps, client, `${post('{}')}GET / HT`)
    await answer()
    expect(await apps.moved(client)).toEqual(NOT_NOW)
    await asked(apps, client, 'TP/1.1\r\nHost: a\r\n\r\n')
    await answer()
    expect(await apps.moved(client)).toMatchObject({ ok: true })
    await asked(apps, client, post('\r\n\r\n'))
    await answer()
    expect(await apps.moved(client)).toEqual(NOT_NOW)
    await asked(apps, client, get('/'))
    await answer()
    expect(await apps.moved(client)).toMatchObject({ ok: true })
    expect(client.transcript.match(/by \d/g)).toHaveLength(4)
  })

  it('has no time-out of the former server run while the next one answers', async () => {
    const { apps, client, answer } = await begun()
    await asked(apps, client, get('/'))
    await answer()
    expect(apps.socketOf(client).timeout).toBeGreaterThan(0)
    expect(await apps.moved(client)).toMatchObject({ ok: true })
    await asked(apps, client, get('/'))
    await apps.run(20_000, 100)
    await answer()
    expect(client.transcript.match(/by \d/g)).toHaveLength(2)
    expect(client.failure).toBeUndefined()
  })

  it('leaves upgraded connections to others', async () => {
    const apps = serving(32, () => () => {})
    const client = apps.client({ raw: true })
    await apps.run(50)
    expect(apps.socketOf(client).listenerCount('data')).toBe(2)
    client.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n')
    await apps.run(50)
    expect(await apps.moved(client)).toEqual(NOT_NOW)
  })
})
