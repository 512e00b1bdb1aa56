import { Dispatchers } from './dispatchers.ts'
import type { Member } from './messages.ts'

function member(id: number, incarnation = 'a'): Member {
  return { id, name: `node${id}`, url: `10.78.0.${10 + id}:7700`, incarnation }
}

describe('the dispatchers of a node', () => {
  it('are asked in the order of their ids, whichever came first', () => {
    const dispatchers = new Dispatchers()
    for (const id of [202, 0, 201, 0]) dispatchers.up(id)
    expect(dispatchers.linked).toEqual([0, 201, 202])
    dispatchers.down(0)
    expect(dispatchers.first).toBe(201)
  })

  it('together know all nodes: one that has just started takes none away', () => {
    const dispatchers = new Dispatchers()
    dispatchers.up(0)
    dispatchers.told(0, [member(1), member(2)])
    dispatchers.up(201)
    dispatchers.told(201, [member(2, 'b')])
    expect(dispatchers.roster()).toEqual([member(1), member(2, 'b')])
  })

  it('forgets what one said that is gone while another is there', () => {
    const dispatchers = new Dispatchers()
    dispatchers.up(0)
    dispatchers.up(201)
    dispatchers.told(0, [member(1), member(2)])
    dispatchers.told(201, [member(2)])
    dispatchers.down(0)
    expect(dispatchers.roster()).toEqual([member(2)])
  })

  it('goes on with the word of the last until another speaks', () => {
    const dispatchers = new Dispatchers()
    dispatchers.up(0)
    dispatchers.told(0, [member(1)])
    dispatchers.down(0)
    expect(dispatchers.roster()).toEqual([member(1)])
    dispatchers.up(201)
    expect(dispatchers.roster()).toEqual([member(1)])
    dispatchers.told(201, [member(3)])
    expect(dispatchers.roster()).toEqual([member(3)])
  })

  it('follows what each of them says has changed', () => {
    const dispatchers = new Dispatchers()
    dispatchers.up(0)
    dispatchers.up(201)
    dispatchers.told(0, [member(1), member(2)])
    dispatchers.told(201, [member(1)])
    dispatchers.changed(0, [member(2, 'b'), member(3)], [1])
    expect(dispatchers.roster()).toEqual([member(1), member(2, 'b'), member(3)])
    dispatchers.changed(201, [], [1])
    expect(dispatchers.roster()).toEqual([member(2, 'b'), member(3)])
  })
})
