import type { Socket } from 'node:net'
import { rawOrigin, TestFront, TestOrigin } from './test-origin.ts'

const HEAD = 'HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nETag: "v"\r\n'

/** What a client gets of an origin that answers so, and whether anything of it was kept. */
async function answered(answer: (socket: Socket) => void, limits = {}) {
  const origin = await rawOrigin(answer)
  const front = new TestFront(origin.url, { limits })
  try {
    const { status, body } = await front.get('/a')
    return { status, body: status === 200 ? body : '', kept: front.store.count, reasons: front.failures }
  } finally {
    front.source.retire()
    await origin.stop()
  }
}

describe('an origin that does not behave: 502, and nothing kept', () => {
  it.each<[string, (socket: Socket) => void]>([
    ['a body that ends early (RFC 9112 §8)', socket => socket.end(`${HEAD}Content-Length: 10\r\n\r\nabc`)],
    ['chunks that end early', socket => socket.end(`${HEAD}Transfer-Encoding: chunked\r\n\r\n5\r\nab`)],
    [
      'chunks without their last',
      socket => socket.end(`${HEAD}Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n`),
    ],
    ['a chunk size that is none', socket => socket.end(`${HEAD}Transfer-Encoding: chunked\r\n\r\nzz\r\n`)],
    ['two lengths', socket => socket.end(`${HEAD}Content-Length: 2\r\nContent-Length: 3\r\n\r\nabc`)],
    [
      'a length with a coding',
      socket => socket.end(`${HEAD}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\nab`),
    ],
    ['no HTTP', socket => socket.end('SSH-2.0-OpenSSH_9.2\r\n')],
    ['nothing', socket => socket.end()],
    ['a reset', socket => socket.resetAndDestroy()],
    [
      'a head without an end',
      socket => void endless(socket, `${HEAD}`, 'X-A: bcdefghijklmnopqrstuvwxyz\r\n'),
    ],
    [
      'a part that nobody asked for',
      socket =>
        socket.end(
          'HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-0/5\r\nContent-Length: 1\r\n\r\na',
        ),
    ],
    [
      'a validation that nobody asked for',
      socket => socket.end('HTTP/1.1 304 Not Modified\r\nETag: "v"\r\n\r\n'),
    ],
    ['a status that is none', socket => socket.end('HTTP/1.1 999 Strange\r\nContent-Length: 0\r\n\r\n')],
    ['a field with a NUL', socket => socket.end('HTTP/1.1 200 OK\r\nX-A: a\0b\r\nContent-Length: 0\r\n\r\n')],
  ])('%s', async (_what, answer) => {
    const { status, kept, reasons } = await answered(answer)
    expect({ status, kept }).toEqual({ status: 502, kept: 0 })
    expect(reasons).toHaveLength(1)
  })

  it('a body larger than allowed, whether or not it says so', async () => {
    const limits = { objectOctets: 1_000 }
    const said = (socket: Socket) =>
      void endless(socket, `${HEAD}Content-Length: 1000000\r\n\r\n`, 'a'.repeat(500))
    const unsaid = (socket: Socket) => void endless(socket, `${HEAD}\r\n`, 'a'.repeat(500))
    for (const answer of [said, unsaid]) {
      const { status, kept, reasons } = await answered(answer, limits)
      expect({ status, kept, reasons }).toEqual({
        status: 502,
        kept: 0,
        reasons: ['a response of more than 1000 octets'],
      })
    }
  })
})

describe('an origin that is slow: 504', () => {
  it('with its head', async () => {
    expect(await answered(() => {}, { headMs: 150 })).toMatchObject({ status: 504, kept: 0 })
  })

  it('with its head, one octet after the other', async () => {
    const limits = { headMs: 200, connectMs: 100 }
    const answer = (socket: Socket) => void endless(socket, HEAD, 'a', 20)
    expect(await answered(answer, limits)).toMatchObject({ status: 504, kept: 0 })
  })

  it('with its body', async () => {
    const answer = (socket: Socket) => void socket.write(`${HEAD}Content-Length: 10\r\n\r\nabc`)
    expect(await answered(answer, { bodyMs: 150 })).toMatchObject({ status: 504, kept: 0 })
  })
})

it('takes a body that ends with its connection (RFC 9112 §6.3)', async () => {
  expect(await answered(socket => socket.end(`${HEAD}\r\nabc`))).toMatchObject({
    status: 200,
    body: 'abc',
    kept: 1,
  })
})

it('takes interim responses, and what follows them (RFC 9110 §15.2)', async () => {
  const answer = (socket: Socket) =>
    socket.end(`HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${HEAD}\r\nabc`)
  expect(await answered(answer)).toMatchObject({ status: 200, body: 'abc', kept: 1 })
})

it('gives 502 where nobody listens, and 503 where there is no memory', async () => {
  const origin = new TestOrigin()
  await origin.start()
  origin.handle = (_request, response) => response.writeHead(200, { 'Content-Length': 8 }).end('12345678')
  const front = new TestFront(origin.url, { cacheOctets: 1 })
  front.store.room = () => false
  expect((await front.get('/a')).status).toBe(503)
  await origin.stop()
  expect((await front.get('/a')).status).toBe(502)
  front.source.retire()
})

it('asks no more than so many at a time, and the others in their turn', async () => {
  const origin = new TestOrigin()
  await origin.start()
  let active = 0
  let most = 0
  origin.handle = (_request, response) => {
    most = Math.max(most, ++active)
    setTimeout(() => {
      active--
      response.writeHead(200, { 'Cache-Control': 'no-store' }).end()
    }, 5)
  }
  const front = new TestFront(origin.url, { limits: { parallel: 3 } })
  const all = await Promise.all(Array.from({ length: 12 }, (_, index) => front.get(`/${index}`)))
  expect(all.every(({ status }) => status === 200)).toBe(true)
  expect(most).toBe(3)
  front.source.retire()
  await origin.stop()
})

/** Sends `head`, and `more` again and again until the other side has had enough. */
async function endless(socket: Socket, head: string, more: string, everyMs = 0): Promise<void> {
  socket.write(head)
  while (!socket.destroyed && !socket.writableEnded) {
    const goesOn = socket.write(more)
    if (everyMs > 0 || !goesOn) await new Promise(resolve => setTimeout(resolve, Math.max(1, everyMs)))
    else await new Promise(resolve => setImmediate(resolve))
  }
}

it('RFC 9110 §9.2.2: asks once more where an idle connection ends under the request', async () => {
  const origin = await rawOrigin(socket => {
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab')
    socket.once('data', () => socket.resetAndDestroy())
  })
  const front = new TestFront(origin.url)
  try {
    for (const target of ['/a', '/b', '/c']) {
      expect(await front.get(target)).toMatchObject({ status: 200, body: 'ab' })
    }
  } finally {
    front.source.retire()
    await origin.stop()
  }
})
