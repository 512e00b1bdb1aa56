import fc from 'fast-check'
import { type FlowKey, FlowTable, hashOfFlow } from './flow-table.ts'

function flow(host: number, port: number, family6 = false): FlowKey & { readonly tag: string } {
  return {
    remote0: family6 ? 0xfd78 << 16 : 0,
    remote1: 0,
    remote2: family6 ? 1 : 0xffff,
    remote3: host,
    remotePort: port,
    localPort: 80,
    tag: `${family6}/${host}/${port}`,
  }
}

describe('the flow table', () => {
  it('holds what a plain map holds, through any order of sets and deletes', () => {
    const step = fc.record({
      host: fc.integer({ min: 0, max: 7 }),
      port: fc.integer({ min: 1, max: 9 }),
      v6: fc.boolean(),
      remove: fc.boolean(),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 400 }), fc.integer(), (steps, seed) => {
        const table = new FlowTable<FlowKey & { readonly tag: string }>(seed)
        const model = new Map<string, FlowKey & { readonly tag: string }>()
        for (const { host, port, v6, remove } of steps) {
          const entry = flow(host, port, v6)
          if (remove) {
            const known = model.get(entry.tag)
            expect(known === undefined ? table.delete(entry) : table.delete(known)).toBe(known !== undefined)
            model.delete(entry.tag)
          } else {
            expect(table.set(entry)).toBe(true)
            model.set(entry.tag, entry)
          }
        }
        expect(table.size).toBe(model.size)
        for (let host = 0; host < 8; host++) {
          for (let port = 1; port < 10; port++) {
            for (const v6 of [false, true]) {
              const key = flow(host, port, v6)
              expect(table.find(key)).toBe(model.get(key.tag))
            }
          }
        }
        expect([...table.values()].map(entry => entry.tag).sort()).toEqual([...model.keys()].sort())
      }),
    )
  })

  it('grows, and refuses a flow beyond its bound without losing one', () => {
    const table = new FlowTable<FlowKey>(7, 5_000)
    for (let port = 1; port <= 5_000; port++) expect(table.set(flow(1, port))).toBe(true)
    expect(table.set(flow(2, 1))).toBe(false)
    expect(table.set(flow(1, 77))).toBe(true)
    for (let port = 1; port <= 5_000; port++) expect(table.find(flow(1, port))).toBeDefined()
  })

  it('does not let a late delete remove the successor of an entry', () => {
    const table = new FlowTable<FlowKey>(7)
    const first = flow(1, 1)
    const second = flow(1, 1)
    table.set(first)
    table.set(second)
    expect(table.delete(first)).toBe(false)
    expect(table.find(first)).toBe(second)
  })

  it.each([
    ['the interface identifiers of one /64', (bits: number) => [0, bits << 19, 1, 40_000] as const],
    ['their upper and lower halves', (bits: number) => [0, bits << 16, bits << 16, 40_000] as const],
    ['ports', (bits: number) => [0, 0, 1, bits] as const],
    ['subnets', (bits: number) => [bits << 19, 0, 1, 40_000] as const],
  ])('spreads 8,192 flows that differ in %s, whatever the seed', (_, wordsOf) => {
    for (const seed of [0, 1, 0x5eed5eed, -7]) {
      const hashes = new Set<number>()
      for (let bits = 0; bits < 8_192; bits++) {
        const [r1, r2, r3, port] = wordsOf(bits)
        hashes.add(hashOfFlow(seed, 0xfd78 << 16, r1, r2, r3, port, 80))
      }
      expect(hashes.size).toBeGreaterThan(8_100)
    }
  })
})
