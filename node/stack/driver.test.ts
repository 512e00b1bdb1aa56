import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import type { Device } from '../tun/device.ts'
import { PacketBatch } from '../tun/packet-batch.ts'
import { Driver } from './driver.ts'

/** A device whose packets come over a socket, from the same loop as those of a TUN. */
class SocketDevice {
  onReceive: (batch: PacketBatch) => void = () => {}
  onError: (error: Error) => void = () => {}
  readonly #batch = new PacketBatch(1024)

  constructor(socket: Socket) {
    socket.on('data', octets => {
      this.#batch.clear()
      this.#batch.push(octets)
      this.onReceive(this.#batch)
    })
  }

  close(): void {}
}

it('gives a machine what has arrived before it tells it what is due', async () => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  const far = connect(port, '127.0.0.1')
  const [near] = (await once(server, 'connection')) as [Socket]
  if (far.connecting) await once(far, 'connect')
  const heard: string[] = []
  let dueAt = performance.now() + 5
  const machine = {
    receiveBatch: () => {
      heard.push('packet')
      dueAt = Number.POSITIVE_INFINITY
    },
    pollAt: () => dueAt,
    poll: () => {
      if (dueAt <= performance.now()) heard.push('due')
    },
  }
  const driver = new Driver(machine, new SocketDevice(near) as unknown as Device)
  try {
    driver.schedule()
    far.write('a packet')
    // Neither is looked at meanwhile: the process does not run.
    for (const until = performance.now() + 50; performance.now() < until; );
    while (heard.length === 0) await new Promise(resolve => setTimeout(resolve, 1))
    expect(heard).toEqual(['packet'])
  } finally {
    driver.close()
    far.destroy()
    near.destroy()
    server.close()
  }
})
