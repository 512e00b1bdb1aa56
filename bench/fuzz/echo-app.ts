/** An application of a simulated node without streams: it says back what it hears, and its state is how much that was. */
import type { AppConnection, AppUser } from '../../node/app/app-connection.ts'
import { decode, encode } from '../../node/app/state.ts'
import type { NodeCore } from '../../node/server/core.ts'

export function echoOn(node: NodeCore, port: number): void {
  node.runtime.open({
    port,
    open: (app, moved) => new EchoUser(app, moved?.value),
    takesShifts: () => true,
    told: (_from, octets) => void decode(new Uint8Array(octets)),
  })
}

class EchoUser implements AppUser {
  readonly #app: AppConnection
  #heard: number

  constructor(app: AppConnection, state: unknown) {
    this.#app = app
    this.#heard = typeof state === 'number' ? state : 0
  }

  changed(): void {
    for (let octets = this.#app.read(); octets !== undefined; octets = this.#app.read()) {
      this.#heard += octets.length
      this.#app.write(octets)
    }
    this.#app.settled()
    if (this.#app.isFinished && !this.#app.hasEnded) this.#app.end()
  }

  idle(): void {}

  over(): void {}

  shifted(): void {}

  kept(): void {}

  movable(): undefined {
    return undefined
  }

  exportState(): Uint8Array {
    return encode(this.#heard) as Uint8Array
  }
}
