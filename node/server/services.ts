/**
 * What runs on a node's connections: the site on the port of the service, and applications on their ports. It only says
 * whose a connection is.
 */
import type { Prepare, ShiftRefusal } from '../../shift/messages.ts'
import { AppConnection } from '../app/app-connection.ts'
import type { AppConnections } from '../app/app-connections.ts'
import type { Application } from '../stack/application.ts'
import type { Connection } from '../stack/connection.ts'
import type { Content } from '../tcp/content.ts'

export class Services implements Application {
  readonly #site: Application
  readonly #sitePort: number
  readonly #apps: AppConnections

  constructor(site: Application, sitePort: number, apps: AppConnections) {
    this.#site = site
    this.#sitePort = sitePort
    this.#apps = apps
  }

  listens(port: number): boolean {
    return port === this.#sitePort || this.#apps.listens(port)
  }

  accepted(connection: Connection, now: number): void {
    this.#at(connection.localPort).accepted(connection, now)
  }

  advanced(connection: Connection, events: number, now: number): void {
    this.#of(connection).advanced(connection, events, now)
  }

  expired(connection: Connection, now: number): void {
    this.#of(connection).expired(connection, now)
  }

  released(connection: Connection, now: number): void {
    this.#of(connection).released(connection, now)
  }

  movable(connection: Connection, final: boolean, now: number): ShiftRefusal | undefined {
    return this.#of(connection).movable?.(connection, final, now)
  }

  kept(connection: Connection, now: number): void {
    this.#of(connection).kept?.(connection, now)
  }

  exportState(connection: Connection, now: number): unknown {
    return this.#of(connection).exportState(connection, now)
  }

  importState(connection: Connection, plain: unknown, now: number): boolean {
    const { localPort } = connection
    // Nobody may be left of those who listened when it was asked for.
    return this.listens(localPort) && this.#at(localPort).importState(connection, plain, now)
  }

  resumed(connection: Connection, now: number): void {
    this.#of(connection).resumed(connection, now)
  }

  admits(prepare: Prepare): ShiftRefusal | undefined {
    const { localPort } = prepare.flow
    return this.listens(localPort) ? this.#at(localPort).admits(prepare) : 'NO_APPLICATION'
  }

  /** Only the site has contents. */
  fetch(keys: readonly string[], done: (refusal: ShiftRefusal | undefined) => void, from: number): void {
    this.#site.fetch(keys, done, from)
  }

  resolve(key: string): Content | undefined {
    return this.#site.resolve(key)
  }

  /** Whoever took it has it until its end, whoever listens on the port by then. */
  #of({ state }: Connection): Application {
    return state instanceof AppConnection ? this.#apps : this.#site
  }

  #at(port: number): Application {
    return this.#apps.listens(port) ? this.#apps : this.#site
  }
}
