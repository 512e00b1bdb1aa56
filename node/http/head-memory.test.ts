import fc from 'fast-check'
import { HeadMemory, MAX_REMEMBERED_HEAD_OCTETS, MAX_REMEMBERED_HEADS } from './head-memory.ts'
import { createRequestHead, parseRequestHead, type RequestHead } from './request-head.ts'

function octetsOf(text: string): Uint8Array {
  return Uint8Array.from(text, character => character.charCodeAt(0))
}

function parsed(octets: Uint8Array, start = 0): RequestHead {
  const head = createRequestHead()
  expect(parseRequestHead(octets, start, octets.length, head)).toBe('complete')
  return head
}

/** What a head says, without where it lies. */
function meaning(head: RequestHead): unknown {
  const { octets, start, scanFrom: _scan, fields, ...rest } = head
  const placed = ['methodStart', 'targetStart', 'targetEnd', 'pathStart', 'pathEnd', 'hostStart', 'hostEnd']
  const entries = Object.entries(rest).map(([name, value]) => [
    name,
    placed.includes(name) ? (value as number) - start : value,
  ])
  const lines = Array.from({ length: 5 * head.fieldCount }, (_, at) =>
    at % 5 === 4 ? fields[at] : (fields[at] as number) - start,
  )
  return [Object.fromEntries(entries), lines, [...octets.subarray(start, start + head.headLength)]]
}

const HEADS = [
  'GET / HTTP/1.1\r\nHost: a\r\n\r\n',
  'GET /1k HTTP/1.1\r\nHost: a\r\n\r\n',
  'GET /1k HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
  'GET /1k HTTP/1.0\r\n\r\n',
  'HEAD /x?y HTTP/1.1\r\nHost: a\r\nRange: bytes=0-1\r\nIf-None-Match: "e"\r\n\r\n',
  'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n',
  'GET http://a/z HTTP/1.1\r\nHost: a\r\nAccept-Encoding: br\r\n\r\n',
]

describe('the memory of request heads', () => {
  it('says of octets what the parser says of them, or nothing, wherever they lie', () => {
    const request = fc.record({
      head: fc.constantFrom(...HEADS),
      before: fc.nat(5),
      behind: fc.constantFrom('', 'x', 'GET / HTTP/1.1\r\nHost: b\r\n\r\n'),
    })
    fc.assert(
      fc.property(fc.array(request, { maxLength: 60 }), requests => {
        const memory = new HeadMemory()
        for (const { head, before, behind } of requests) {
          const octets = octetsOf('-'.repeat(before) + head + behind)
          const truth = parsed(octets, before)
          const known = memory.find(octets, before, octets.length)
          if (known === undefined) memory.note(truth)
          else if (truth.hostEnd > truth.hostStart) expect(meaning(known)).toEqual(meaning(truth))
          else expect(known.headLength).toBe(truth.headLength)
        }
      }),
    )
  })

  it('remembers the first, and has its own copy of the octets', () => {
    const memory = new HeadMemory()
    const octets = octetsOf(HEADS[1] as string)
    memory.note(parsed(octets))
    const again = octets.slice()
    octets.fill(0)
    expect(memory.find(again, 0, again.length)?.pathEnd).toBe(7)
    expect(memory.find(octets, 0, octets.length)).toBeUndefined()
  })

  it('does not take a part, or an octet that differs, for the whole', () => {
    const memory = new HeadMemory()
    const octets = octetsOf(HEADS[2] as string)
    memory.note(parsed(octets))
    for (let length = 0; length < octets.length; length++) {
      expect(memory.find(octets, 0, length)).toBeUndefined()
      const other = octets.slice()
      other[length] = (other[length] as number) ^ 1
      expect(memory.find(other, 0, other.length)).toBeUndefined()
    }
  })

  it('is bounded', () => {
    const memory = new HeadMemory()
    const heads = Array.from({ length: 100 }, (_, n) => octetsOf(`GET /${n} HTTP/1.1\r\nHost: a\r\n\r\n`))
    for (const octets of heads) memory.note(parsed(octets))
    const known = heads.filter(octets => memory.find(octets, 0, octets.length) !== undefined)
    expect(known.length).toBe(MAX_REMEMBERED_HEADS)
    const long = octetsOf(
      `GET / HTTP/1.1\r\nHost: a\r\nCookie: ${'c'.repeat(MAX_REMEMBERED_HEAD_OCTETS)}\r\n\r\n`,
    )
    for (let n = 0; n < 20; n++) memory.note(parsed(long))
    expect(memory.find(long, 0, long.length)).toBeUndefined()
  })
})
