/** For tests only: a peer that asks for a link by hand and then sends whatever it likes. */
import { type IncomingMessage, request } from 'node:http'
import type { Socket } from 'node:net'
import { FRAME_HEADER_OCTETS, MESSAGES, writeFrameHeader } from './frame.ts'
import { HELLO_HEADER, UPGRADE } from './hello.ts'

export interface Answer {
  readonly response: IncomingMessage
  /** Undefined where the upgrade was refused. */
  readonly socket: Socket | undefined
}

/** Asks for the upgrade, with this hello or none. */
export function askForLink(port: number, hello: string | undefined, protocol = UPGRADE): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const asking = request(`http://127.0.0.1:${port}/`, {
      agent: false,
      headers: { Connection: 'Upgrade', Upgrade: protocol, ...(hello && { [HELLO_HEADER]: hello }) },
    })
    asking.on('upgrade', (response, socket, head) => {
      socket.on('error', () => {})
      if (head.length > 0) socket.unshift(head)
      resolve({ response, socket })
    })
    asking.on('response', response => {
      resolve({ response, socket: undefined })
      asking.destroy()
    })
    asking.on('error', reject)
    asking.end()
  })
}

/** A frame of messages with these octets in it, and whatever length it claims. */
export function frameOf(octets: Uint8Array, claimed = octets.length): Uint8Array {
  const frame = new Uint8Array(FRAME_HEADER_OCTETS + octets.length)
  writeFrameHeader(frame, MESSAGES, claimed)
  frame.set(octets, FRAME_HEADER_OCTETS)
  return frame
}
