import { connectionQuery, connectionsQuery, shiftRequest } from './validation.ts'

describe('connectionsQuery', () => {
  it.each([
    [{}, { limit: 100, offset: 0, filter: '', sort: 'id', descending: false }],
    [
      { limit: '5', offset: '20', filter: 'GET /', sort: '-octetsSent' },
      { limit: 5, offset: 20, filter: 'GET /', sort: 'octetsSent', descending: true },
    ],
  ])('%j', (input, query) => {
    expect(connectionsQuery.parse(input)).toEqual(query)
  })

  it.each([
    [{ limit: '0' }],
    [{ limit: '1001' }],
    [{ limit: '-1' }],
    [{ limit: '1e3' }],
    [{ limit: '' }],
    [{ offset: 'x' }],
    [{ offset: '9'.repeat(16) }],
    [{ filter: 'x'.repeat(257) }],
    [{ sort: 'toString' }],
    [{ sort: '--id' }],
    [{ sorted: 'id' }],
  ])('%j is refused', input => {
    expect(connectionsQuery.safeParse(input).success).toBe(false)
  })
})

describe('shiftRequest', () => {
  it.each([
    [
      { connection: 'all', to: 'node2' },
      { connection: 'all', to: 'node2' },
    ],
    [
      { connection: 7, to: 2 },
      { connection: 7, to: '2' },
    ],
  ])('%j', (input, request) => {
    expect(shiftRequest.parse(input)).toEqual(request)
  })

  it.each([
    [{ connection: 'all' }],
    [{ to: 'node2' }],
    [{ connection: '7', to: 'node2' }],
    [{ connection: -1, to: 'node2' }],
    [{ connection: 1.5, to: 'node2' }],
    [{ connection: 1, to: '' }],
    [{ connection: 1, to: 'x'.repeat(65) }],
    [{ connection: 1, to: -1 }],
    [{ connection: 1, to: 'node2', force: true }],
    [null],
    [[]],
  ])('%j is refused', input => {
    expect(shiftRequest.safeParse(input).success).toBe(false)
  })
})

it('takes ids of connections up to 2^53', () => {
  expect(connectionQuery.parse({ id: '9007199254740991' })).toEqual({ id: 2 ** 53 - 1 })
  expect(connectionQuery.safeParse({ id: '9007199254740993' }).success).toBe(false)
  expect(connectionQuery.safeParse({ id: '-1' }).success).toBe(false)
})
