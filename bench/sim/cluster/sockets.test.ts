/** Applications on streams (`node/app`) while their connections move. */
import { PassThrough } from 'node:stream'
import { LINGER_MS, MAX_MOVED_OCTETS, MAX_QUEUED_OCTETS } from '../../../node/app/app-connection.ts'
import {
  type ListenOptions,
  listen,
  listenOn,
  MAX_STATE_OCTETS,
  type ShiftServer,
} from '../../../node/app/listen.ts'
import type { ShiftableSocket, Shifted } from '../../../node/app/shiftable-socket.ts'
import { duplicate } from '../network/damage.ts'
import { delay, reorder } from '../network/delay.ts'
import { chain } from '../network/element.ts'
import { drop } from '../network/loss.ts'
import { segment } from '../network/segment.ts'
import { Apps, PORT } from './apps.ts'
import type { Client } from './client.ts'
import type { Cluster } from './cluster.ts'

const badWan = () => chain([segment(1_500), drop(0.02), duplicate(0.01), reorder(0.05, 12), delay(10, 1)])

function echo(socket: ShiftableSocket): void {
  socket.on('error', () => {})
  socket.on('data', (octets: Buffer) => {
    if (socket.write(octets)) return
    socket.pause()
    socket.once('drain', () => socket.resume())
  })
}

function octetsOf(sim: Cluster, length: number): Uint8Array {
  return Uint8Array.from({ length }, () => sim.world.random.int(256))
}

describe('an echo on a stream', () => {
  it.each(Array.from({ length: 12 }, (_, index) => 100 + index))(
    'returns every octet once, in order, over a bad network and many shifts (SEED=%i)',
    async seed => {
      const apps = new Apps({ seed, wan: badWan }, { export: () => null }, echo)
      const random = apps.sim.world.random
      const clients = [true, false].map(timestamps => {
        const request = octetsOf(apps.sim, 150_000)
        return apps.client({ exchanges: [{ request, response: request }], timestamps, closes: false })
      })
      let moves = 0
      for (let steps = 0; steps < 4_000 && clients.some(({ done }) => !done); steps++) {
        await apps.run(random.int(15))
        apps.sim.shift(random.pick(clients), 1 + random.int(3), ({ ok }) => {
          if (ok) moves++
        })
      }
      for (const { failure, resets, done } of clients) {
        expect({ seed, failure, resets, done }).toEqual({ seed, failure: undefined, resets: 0, done: true })
      }
      expect(moves).toBeGreaterThan(5)
    },
  )

  it('keeps little for a client that does not read, and goes on when it does', async () => {
    const apps = new Apps({ seed: 2 }, { export: () => null }, echo)
    const request = octetsOf(apps.sim, 3_000_000)
    const tcp = { sendMaxOctets: 4_000_000, receiveInitialOctets: 65_535, receiveMaxOctets: 65_535 }
    const client = apps.client({ exchanges: [{ request, response: request }], tcp, closes: false })
    client.reading = false
    for (let round = 0; round < 20; round++) {
      await apps.run(200)
      const held = apps.sim.ownerOf(client)?.connection.tcb.sendQueue.octets ?? 0
      // Each shift empties the stream's buffer into the queue; there is an end to that.
      expect(held).toBeLessThanOrEqual(round < 4 ? MAX_QUEUED_OCTETS : MAX_MOVED_OCTETS)
      expect(apps.socketOf(client).writableLength).toBeLessThan(3 * 65_536)
      if (round % 4 === 3) expect(await apps.moved(client)).toMatchObject({ ok: true })
    }
    client.reading = true
    client.write('')
    expect(await apps.until(() => client.done, 20_000)).toBe(true)
    expect(client.failure).toBeUndefined()
  })
})

describe('half-closed connections', () => {
  it.each([0, 1, 5, 20])('an upload is summed up after its end, moved every %i ms', async everyMs => {
    const serve = (socket: ShiftableSocket, state: unknown) => {
      let count = typeof state === 'number' ? state : 0
      counts.set(socket, () => count)
      socket.on('data', octets => {
        count += octets.length
      })
      socket.on('end', () => socket.end(`${count} octets\n`))
    }
    const counts = new Map<ShiftableSocket, () => number>()
    const apps = new Apps(
      { seed: 3, wan: badWan },
      { allowHalfOpen: true, export: socket => counts.get(socket)?.() },
      serve,
    )
    const client = apps.client({ raw: true })
    await apps.run(100)
    client.write('x'.repeat(200_000))
    client.finish()
    for (let steps = 0; steps < 20_000 && !client.ended; steps++) {
      await apps.run(everyMs || 20)
      if (everyMs > 0) apps.sim.shift(client, apps.elsewhere(client))
    }
    expect(client.transcript).toBe('200000 octets\n')
    expect(client.failure).toBeUndefined()
  })

  it('what the application has ended stays ended at the target', async () => {
    const apps = new Apps({ seed: 4 }, { allowHalfOpen: true, export: () => null }, (socket, state) => {
      socket.resume()
      if (state === undefined) socket.end('bye')
    })
    const client = apps.client({ raw: true })
    expect(await apps.until(() => client.finished, 1_000)).toBe(true)
    expect(await apps.moved(client)).toMatchObject({ ok: true })
    await apps.run(10)
    expect(apps.socketOf(client).writableFinished).toBe(true)
    expect(apps.socketOf(client).readyState).toBe('readOnly')
    client.write('more')
    await apps.run(50)
    expect(apps.socketOf(client).bytesRead).toBe(4)
    client.finish()
    expect(await apps.until(() => client.ended || client.tcb.state === 'TIME-WAIT', 1_000)).toBe(true)
    expect([client.failure, client.transcript]).toEqual([undefined, 'bye'])
  })
})

describe('a client that is silent after our FIN', () => {
  const halfClosed = async (seed: number) => {
    const apps = new Apps({ seed }, { allowHalfOpen: true, export: () => null }, (socket, state) => {
      socket.resume()
      if (state === undefined) socket.end('bye')
    })
    const client = apps.client({ raw: true })
    expect(await apps.until(() => client.finished, 1_000)).toBe(true)
    await apps.run(100)
    expect(apps.sim.ownerOf(client)?.connection.peek().state).toBe('FIN-WAIT-2')
    return { apps, client }
  }

  it('may take its time while the application reads, wherever it lives by then', async () => {
    const { apps, client } = await halfClosed(19)
    for (let round = 1; round <= 4; round++) {
      await apps.run(180_000, 1_000)
      if (round % 2 === 0) expect(await apps.moved(client)).toMatchObject({ ok: true })
      client.write('late')
      await apps.run(50)
      expect(apps.socketOf(client).bytesRead).toBe(4 * round)
    }
    expect(client.failure).toBeUndefined()
  })

  it.each([false, true])('is dropped in the end when the socket was destroyed (moved: %s)', async isMoved => {
    const { apps, client } = await halfClosed(20)
    await apps.run(90_000, 1_000)
    apps.socketOf(client).destroy()
    await apps.run(30_000, 1_000)
    if (isMoved) expect(await apps.moved(client)).toMatchObject({ ok: true })
    expect(apps.sim.ownerOf(client)?.connection.peek().state).toBe('FIN-WAIT-2')
    await apps.run(31_000, 1_000)
    expect(apps.sim.ownerOf(client)).toBeUndefined()
  })
})

describe('socket.shift', () => {
  const state = { name: 'a', since: new Date(5), seen: new Map([['b', 3]]), octets: new Uint8Array([1, 2]) }

  it('hands the state over and says what happened; the socket here closes without an error', async () => {
    const states: unknown[] = []
    const apps = new Apps({ seed: 5 }, {}, (_socket, given) => states.push(given))
    const client = apps.client({ raw: true })
    await apps.run(50)
    const socket = apps.socketOf(client)
    const events: string[] = []
    for (const name of ['error', 'close', 'end']) socket.on(name, () => events.push(name))
    socket.write('before ')
    const to = apps.elsewhere(client)
    let shifted: Shifted | undefined
    void socket.shift(to, state).then(result => {
      shifted = result
    })
    socket.write('late')
    expect(await apps.until(() => shifted !== undefined, 1_000)).toBe(true)
    await apps.run(50)
    expect(shifted).toMatchObject({ owner: to, epoch: 2, confirmed: true })
    expect(apps.ownerOf(client)).toBe(to)
    expect(states).toEqual([undefined, state])
    expect([socket.isShifted, socket.destroyed, events]).toEqual([true, true, ['close']])
    apps.socketOf(client).write('after')
    await apps.run(50)
    expect(client.transcript).toBe('before after')
    expect(apps.socketOf(client)).toMatchObject({ shifts: 2, bytesWritten: 12 })
  })

  it('asks a function for the state at the instant of the shift', async () => {
    const apps = new Apps({ seed: 6 }, {}, (socket, given) => {
      let count = typeof given === 'number' ? given : 0
      counts.set(socket, () => count)
      socket.on('data', octets => {
        count += octets.length
      })
    })
    const counts = new Map<ShiftableSocket, () => number>()
    const client = apps.client({ raw: true })
    await apps.run(50)
    for (let round = 0; round < 30; round++) {
      const socket = apps.socketOf(client)
      client.write('abcde')
      let done = false
      void socket
        .shift(apps.elsewhere(client), () => counts.get(socket)?.())
        .finally(() => {
          done = true
        })
      expect(await apps.until(() => done, 1_000)).toBe(true)
    }
    await apps.run(50)
    expect(counts.get(apps.socketOf(client))?.()).toBe(150)
  })

  type Bend = (socket: ShiftableSocket, apps: Apps, to: number) => Promise<Shifted>
  const refusals: readonly [string, string, Partial<ListenOptions>, Bend][] = [
    ['pinned', 'PINNED', { shiftable: false }, (socket, _apps, to) => socket.shift(to)],
    ['a function', 'BAD_STATE', {}, (socket, _apps, to) => socket.shift(to, { act: () => 1 })],
    ['a stream', 'BAD_STATE', {}, (socket, _apps, to) => socket.shift(to, { other: socket })],
    [
      'a state above the limit',
      'STATE_TOO_LARGE',
      {},
      (socket, _apps, to) => socket.shift(to, new Uint8Array(MAX_STATE_OCTETS)),
    ],
    ['nobody of that id', 'UNKNOWN_TARGET', {}, socket => socket.shift(77, null)],
    ['nobody of that name', 'UNKNOWN_TARGET', {}, socket => socket.shift('nobody', null)],
    ['not now', 'NOT_NOW', {}, (socket, _apps, to) => socket.shift(to, () => undefined)],
    [
      'a state that cannot be told',
      'BAD_STATE',
      {},
      (socket, _apps, to) =>
        socket.shift(to, () => {
          throw new Error('no')
        }),
    ],
    [
      'a pipe',
      'PIPED',
      {},
      async (socket, _apps, to) => {
        const sink = new PassThrough()
        socket.pipe(sink)
        try {
          return await socket.shift(to, null)
        } finally {
          socket.unpipe(sink)
          socket.resume()
        }
      },
    ],
    [
      'octets that wait corked',
      'UNWRITTEN',
      {},
      async (socket, _apps, to) => {
        socket.cork()
        socket.write('corked')
        try {
          return await socket.shift(to, null)
        } finally {
          socket.uncork()
        }
      },
    ],
    [
      'nobody listening there',
      'NO_APPLICATION',
      {},
      (socket, apps, to) => {
        apps.servers[to - 1]?.close()
        return socket.shift(to, null)
      },
    ],
    [
      'a target that drains',
      'DRAINING',
      {},
      (socket, apps, to) => {
        apps.sim.node(to).apps.draining = true
        return socket.shift(to, null)
      },
    ],
    [
      'two at once',
      'ALREADY_SHIFTING',
      {},
      (socket, apps, to) => {
        // Refused in the end as well, so that the socket stays.
        apps.sim.node(to).apps.draining = true
        socket.shift(to, null).catch(() => {})
        return socket.shift(to, null)
      },
    ],
  ]
  it.each(refusals)('refuses %s as %s, and the socket goes on', async (_name, reason, listening, act) => {
    const apps = new Apps({ seed: 7 }, listening, echo)
    const client = apps.client({ raw: true })
    await apps.run(50)
    const own = apps.ownerOf(client)
    const socket = apps.socketOf(client)
    const outcome = act(socket, apps, apps.elsewhere(client)).then(
      () => 'shifted',
      error => [error.name, error.code, error.reason],
    )
    await apps.run(100)
    expect(await outcome).toEqual(['GyreError', `ERR_GYRE_${reason}`, reason])
    expect(apps.ownerOf(client)).toBe(own)
    socket.write('written ')
    client.write('read')
    await apps.run(100)
    expect(client.transcript).toMatch(/written read$/)
  })

  it('what is written while a shift is asked for is sent if it fails', async () => {
    const apps = new Apps({ seed: 8 }, {}, echo)
    const client = apps.client({ raw: true })
    await apps.run(50)
    const to = apps.elsewhere(client)
    apps.sim.node(to).apps.draining = true
    const socket = apps.socketOf(client)
    const refused = expect(socket.shift(to, null)).rejects.toMatchObject({ code: 'ERR_GYRE_DRAINING' })
    socket.write('held')
    client.write(', and read late')
    await apps.run(100)
    await refused
    expect(client.transcript).toBe('held, and read late')
  })
})

describe('a COMMIT that is refused', () => {
  /** The target's listener goes away when it has already agreed. */
  async function refused(
    act: (socket: ShiftableSocket) => void,
  ): Promise<{ client: Client; outcome: unknown }> {
    const apps = new Apps({ seed: 18, linkMs: 5 }, {}, echo)
    const client = apps.client({ raw: true })
    await apps.run(100)
    const [socket, to] = [apps.socketOf(client), apps.elsewhere(client)]
    const outcome = socket
      .shift(to, () => {
        apps.servers[to - 1]?.close()
        process.nextTick(() => act(socket))
        return null
      })
      .catch(error => error.code)
    await apps.run(12)
    client.write('meanwhile')
    await apps.run(300)
    expect(apps.sim.dispatcher.owner.counters.resetsSent).toBe(0)
    return { client, outcome: await outcome }
  }

  it('gives the connection back, with all that was written and that has arrived', async () => {
    const { client, outcome } = await refused(socket => socket.write('late, '))
    expect(outcome).toBe('ERR_GYRE_BAD_SNAPSHOT')
    expect([client.failure, client.transcript]).toEqual([undefined, 'late, meanwhile'])
  })

  it('ends the connection where its socket was destroyed by then', async () => {
    const { client, outcome } = await refused(socket => socket.destroy())
    expect(outcome).toBe('ERR_GYRE_BAD_SNAPSHOT')
    // Octets that nobody reads are answered by a reset.
    expect(client.failure ?? 'finished').toBe(client.finished ? 'finished' : 'reset by the server')
    expect(client.finished || client.ended).toBe(true)
  })
})

describe('an application that misbehaves at the instant of its shift', () => {
  const acts: readonly [string, (socket: ShiftableSocket) => void][] = [
    ['resets the connection', socket => void socket.resetAndDestroy()],
    ['destroys its socket', socket => void socket.destroy()],
  ]
  it.each(acts)('%s: the shift is refused as CLOSED, and the node goes on', async (_name, act) => {
    const apps = new Apps({ seed: 19 }, {}, echo)
    const client = apps.client({ raw: true })
    await apps.run(50)
    const [own, socket] = [apps.ownerOf(client), apps.socketOf(client)]
    const outcome = socket
      .shift(apps.elsewhere(client), () => {
        act(socket)
        return null
      })
      .catch(error => error.code)
    await apps.run(100)
    expect(await outcome).toBe('ERR_GYRE_CLOSED')
    expect(apps.sim.node(own).owner.shifting.size).toBe(0)
    expect(client.failure ?? 'finished').toBe(client.finished ? 'finished' : 'reset by the server')
    const others = [0, 1, 2, 3].map(() => apps.client({ raw: true }))
    await apps.run(50)
    for (const other of others) other.write('on')
    await apps.run(50)
    expect(others.map(({ transcript }) => transcript)).toEqual(['on', 'on', 'on', 'on'])
  })

  it('an exception of a callback ends its own socket, and nothing of the node', async () => {
    const apps = new Apps({ seed: 20 }, { export: () => null }, socket => void socket.resume())
    const client = apps.client({ raw: true, tcp: { receiveInitialOctets: 4_096, receiveMaxOctets: 4_096 } })
    client.reading = false
    await apps.run(50)
    const socket = apps.socketOf(client)
    const errors: string[] = []
    socket.on('error', ({ message }) => errors.push(message))
    // The shift empties the stream's buffer into the queue, which completes the write.
    socket.write(new Uint8Array(MAX_QUEUED_OCTETS + 10_000), () => {
      throw new Error('of the application')
    })
    await apps.run(20)
    expect(errors).toEqual([])
    expect(await apps.moved(client)).toEqual({ ok: false, reason: 'CLOSED' })
    await apps.run(20)
    expect(errors).toEqual(['of the application'])
    expect(socket.destroyed).toBe(true)
  })
})

describe('shifts that others want', () => {
  it.each<[string, Partial<ListenOptions>, string]>([
    ['no export', {}, 'NO_EXPORT'],
    ['pinned', { shiftable: false, export: () => null }, 'PINNED'],
    ['not now', { export: () => undefined }, 'NOT_NOW'],
  ])('%s: refused, and nothing happens', async (_name, listening, reason) => {
    const apps = new Apps({ seed: 9 }, listening, echo)
    const client = apps.client({ raw: true })
    await apps.run(50)
    const own = apps.ownerOf(client)
    expect(await apps.moved(client)).toEqual({ ok: false, reason })
    expect(apps.ownerOf(client)).toBe(own)
    client.write('on')
    await apps.run(50)
    expect(client.transcript).toBe('on')
  })

  it('octets that the stream holds unread are not lost: the shift waits for their reader', async () => {
    const apps = new Apps({ seed: 10 }, { export: () => null }, socket => socket.on('readable', () => {}))
    const client = apps.client({ raw: true })
    await apps.run(20)
    client.write('unread')
    await apps.run(50)
    expect(await apps.moved(client)).toEqual({ ok: false, reason: 'UNREAD' })
    expect(apps.socketOf(client).read()?.toString()).toBe('unread')
    expect(await apps.moved(client)).toMatchObject({ ok: true })
  })

  it('octets of a paused socket wait in the receive queue, and travel', async () => {
    const read: string[] = []
    const apps = new Apps({ seed: 11 }, { export: () => null }, (socket, state) => {
      socket.on('data', octets => read.push(octets.toString()))
      if (state === undefined) socket.pause()
    })
    const client = apps.client({ raw: true })
    await apps.run(20)
    client.write('waiting')
    await apps.run(50)
    expect(apps.socketOf(client).bytesRead).toBe(0)
    expect(read).toEqual([])
    expect(await apps.moved(client)).toMatchObject({ ok: true })
    await apps.run(10)
    expect(read).toEqual(['waiting'])
  })
})

describe('a stream as others know it', () => {
  it('times out, wherever it lives by then, and not while octets come', async () => {
    const timeouts: number[] = []
    const apps = new Apps({ seed: 13 }, { export: () => null }, (socket, state, { id }) => {
      if (state === undefined) socket.setTimeout(1_000)
      socket.resume()
      socket.on('timeout', () => timeouts.push(id))
    })
    const client = apps.client({ raw: true })
    await apps.run(700)
    client.write('still here')
    await apps.run(700)
    expect(timeouts).toEqual([])
    const to = apps.elsewhere(client)
    expect(await apps.moved(client, to)).toMatchObject({ ok: true })
    expect(apps.socketOf(client).timeout).toBe(1_000)
    await apps.run(1_100)
    expect(timeouts).toEqual([to])
  })

  it('knows its ends, and ends by an error when the client resets', async () => {
    const codes: unknown[] = []
    const apps = new Apps({ seed: 14 }, {}, socket => {
      socket.resume()
      socket.on('error', error => codes.push((error as NodeJS.ErrnoException).code))
    })
    const client = apps.client({ raw: true, family: 6 })
    await apps.run(50)
    const socket = apps.socketOf(client)
    expect(socket).toMatchObject({ remoteFamily: 'IPv6', remoteAddress: 'fd09::1', localAddress: 'fd77::1' })
    expect(socket.remotePort).toBe(client.tcb.flow.localPort)
    expect(socket.address()).toEqual({ address: 'fd77::1', family: 'IPv6', port: PORT })
    client.abort()
    await apps.run(50)
    expect(codes).toEqual(['ECONNRESET'])
    expect(socket.readyState).toBe('closed')
  })

  it('resets where it is told to, and ends orderly where it is destroyed', async () => {
    const apps = new Apps({ seed: 15 }, {}, () => {})
    const [reset, destroyed] = [apps.client({ raw: true }), apps.client({ raw: true })]
    await apps.run(50)
    // Both on one node or on two: each socket is found by its port.
    const socketOf = (client: Client) =>
      apps.servers
        .flatMap(({ sockets }) => [...sockets])
        .find(s => s.remotePort === client.tcb.flow.localPort)
    socketOf(reset)?.resetAndDestroy()
    const other = socketOf(destroyed)
    other?.write('last words')
    other?.destroy()
    await apps.run(50)
    expect(reset.failure).toBe('reset by the server')
    expect([destroyed.failure, destroyed.transcript, destroyed.finished]).toEqual([
      undefined,
      'last words',
      true,
    ])
  })

  it('gives a connection up whose socket was destroyed and whose client takes nothing any more, and not before', async () => {
    const apps = new Apps({ seed: 22 }, {}, socket => void socket.resume())
    const client = apps.client({ raw: true, tcp: { receiveInitialOctets: 4_096, receiveMaxOctets: 4_096 } })
    client.reading = false
    await apps.run(50)
    const { owner } = apps.sim.node(apps.ownerOf(client))
    const socket = apps.socketOf(client)
    socket.write(new Uint8Array(100_000))
    socket.destroy()
    socket.setTimeout(0)
    await apps.run(LINGER_MS / 2, 1_000)
    expect(owner.connections).toBe(1)
    // What it took at first counts.
    await apps.run(2 * LINGER_MS, 1_000)
    expect(owner.connections).toBe(0)
    expect(client.failure).toBe('reset by the server')
  })

  it('completes every write, by an error where its socket is destroyed first', async () => {
    const apps = new Apps({ seed: 21 }, {}, () => {})
    const client = apps.client({ raw: true, tcp: { receiveInitialOctets: 4_096, receiveMaxOctets: 4_096 } })
    client.reading = false
    await apps.run(50)
    const socket = apps.socketOf(client)
    const ends: unknown[] = []
    const ended = (error?: Error | null) => ends.push((error as NodeJS.ErrnoException)?.code)
    socket.on('error', () => ends.push('error'))
    socket.write(new Uint8Array(2 * MAX_QUEUED_OCTETS), ended)
    socket.write('queued behind it', ended)
    await apps.run(50)
    expect(ends).toEqual([])
    socket.destroy()
    await apps.run(50)
    expect(ends).toEqual(['ERR_STREAM_DESTROYED', 'ERR_STREAM_DESTROYED'])
  })

  it('a port that nobody listens on any more is refused; one that is taken cannot be taken again', async () => {
    const apps = new Apps({ seed: 16 }, {}, echo)
    expect(() => listenOn(apps.sim.node(1).runtime, { port: PORT })).toThrow(/listened on already/)
    expect(() => listenOn(apps.sim.node(1).runtime, { port: 0 })).toThrow(/1 to 65535/)
    const elsewhere = { port: 1, vip: '10.0.0.1' }
    expect(() => listenOn(apps.sim.node(1).runtime, elsewhere)).toThrow(/is 10.77.0.1 or fd77::1, not/)
    expect(() => listen({ port: 1 })).toThrow(expect.objectContaining({ code: 'ERR_GYRE_NO_NODE' }))
    for (const server of apps.servers) server.close()
    await apps.run(10)
    const client = apps.client({ raw: true })
    await apps.run(50)
    expect(client.failure).toBe('reset by the server')
  })

  it('tells the other nodes what it is told to, in order with its shifts', async () => {
    const heard: unknown[] = []
    const apps = new Apps({ seed: 17 }, {}, (_socket, state) => heard.push(state))
    for (const server of apps.servers) server.on('message', (value, from) => heard.push([value, from]))
    const client = apps.client({ raw: true })
    await apps.run(50)
    const [own, to] = [apps.ownerOf(client), apps.elsewhere(client)]
    const server = apps.servers[own - 1] as ShiftServer
    server.tell(to, { number: 1 })
    void apps.socketOf(client).shift(to, 'state')
    await apps.run(5)
    server.tell(to, { number: 2 })
    await apps.run(20)
    expect(heard).toEqual([undefined, [{ number: 1 }, own], 'state', [{ number: 2 }, own]])
    expect(() => server.tell(to, () => {})).toThrow(/structured data/)
    expect(server.tell(99, 'nobody')).toBe(false)
  })
})
