/** Sockets that are piped into something, or from it, which does not move with them: they stay whole where they are. */
import { PassThrough, pipeline, Transform } from 'node:stream'
import { createGzip } from 'node:zlib'
import type { ShiftableSocket } from '../../../node/app/shiftable-socket.ts'
import { Apps } from './apps.ts'

/** Pipes a socket, and gives what ends the pipe. */
type Pipe = (socket: ShiftableSocket) => () => void

const upper = () =>
  new Transform({
    transform: (octets, _encoding, done) => done(null, octets.toString().toUpperCase()),
  })

/** With what the client has received in the end. */
const PIPES: readonly [string, string, Pipe][] = [
  [
    'into a sink',
    'wholemoved',
    socket => {
      const sink = new PassThrough().resume()
      socket.pipe(sink)
      return () => socket.unpipe(sink)
    },
  ],
  [
    'from a source',
    'wholemoremoved',
    socket => {
      const source = new PassThrough()
      source.pipe(socket)
      return () => source.unpipe(socket)
    },
  ],
  [
    'into two sinks, of which one is gone',
    'wholemoved',
    socket => {
      const [gone, sink] = [new PassThrough().resume(), new PassThrough().resume()]
      socket.pipe(gone)
      socket.pipe(sink)
      socket.unpipe(gone)
      return () => socket.unpipe(sink)
    },
  ],
  [
    'into a compressor, whose window is in native memory',
    'wholemoved',
    socket => {
      const gzip = createGzip()
      socket.pipe(gzip).resume()
      return () => socket.unpipe(gzip)
    },
  ],
  [
    'through a pipeline into itself',
    'wholeMOREmoved',
    socket => {
      const through = upper()
      pipeline(socket, through, socket, () => {})
      return () => {
        socket.unpipe(through)
        through.unpipe(socket)
      }
    },
  ],
]

it.each(PIPES)(
  'a socket that is piped %s is refused as PIPED, whoever asks, and moves when it is not',
  async (_name, received, pipe) => {
    const apps = new Apps({ seed: 23 }, { export: () => null }, (socket, shifted) => {
      socket.on('error', () => {})
      if (shifted === undefined) return
      socket.on('data', octets => socket.write(octets))
    })
    const client = apps.client({ raw: true })
    await apps.run(50)
    const own = apps.ownerOf(client)
    const to = apps.elsewhere(client)
    const socket = apps.socketOf(client)
    const end = pipe(socket)
    const adopted = () => apps.sim.node(to).owner.counters.adopted
    const before = adopted()
    await expect(Promise.all([socket.shift(to, null), apps.run(50)])).rejects.toMatchObject({
      code: 'ERR_GYRE_PIPED',
      reason: 'PIPED',
    })
    expect(await apps.moved(client)).toEqual({ ok: false, reason: 'PIPED' })
    expect([apps.ownerOf(client), adopted(), socket.destroyed]).toEqual([own, before, false])
    // The pipe has not been touched: what comes by it goes on.
    socket.write('whole')
    client.write('more')
    await apps.run(50)
    end()
    socket.resume()
    expect(await apps.moved(client)).toMatchObject({ ok: true })
    expect(apps.ownerOf(client)).not.toBe(own)
    client.write('moved')
    await apps.run(50)
    expect(client.transcript).toBe(received)
  },
)
