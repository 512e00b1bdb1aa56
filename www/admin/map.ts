/**
 * The map: clients, gateway, dispatcher and nodes, sockets as dots that fly at a shift, and the way that packets of clients
 * take before a shift (through the dispatcher) and after it (straight). Above 64 nodes it is a heat grid. A dot can be dragged
 * to another node, or chosen by the arrow keys.
 */
import type { FeedOwner } from './api.ts'
import { clear, FONT, type Picture, type View } from './canvas.ts'
import { BUSY_MS, type Cluster, type Socket } from './cluster.ts'
import { Flights, type Point } from './flights.ts'
import { colourOf, themeOf } from './palette.ts'

/** More nodes are a heat grid. */
export const MAX_TILES = 64
/** More nodes stand in several columns. */
const MAX_COLUMN = 8
const NEAR = 12

interface Box {
  readonly x: number
  readonly y: number
  readonly width: number
  readonly height: number
}

export interface MapHandlers {
  dropped(socket: Socket, owner: FeedOwner): void
  chosen(socket: Socket): void
}

export class ClusterMap implements Picture {
  readonly canvas: HTMLCanvasElement
  /** A picture of its own, above this one. */
  readonly flights: Flights
  readonly #cluster: Cluster
  readonly #handlers: MapHandlers
  #boxes = new Map<number, Box>()
  readonly #dots = new Map<number, Point>()
  #dragged: { socket: Socket; at: Point } | undefined
  #pressed: { socket: Socket; at: Point } | undefined
  #selected: number | undefined
  /** Something is to be drawn that is not. */
  #changed = true

  /** `air` lies above `canvas`, and is as large. */
  constructor(canvas: HTMLCanvasElement, air: HTMLCanvasElement, cluster: Cluster, handlers: MapHandlers) {
    this.canvas = canvas
    this.flights = new Flights(air)
    this.#cluster = cluster
    this.#handlers = handlers
    cluster.watch({
      moved: ({ id }) => {
        const from = this.#dots.get(id)
        if (from !== undefined) this.flights.begin(id, from)
      },
      ended: ({ id }) => {
        this.#dots.delete(id)
        this.flights.end(id)
      },
      framed: () => {
        this.#changed = true
      },
    })
    canvas.addEventListener('pointerdown', event => this.#down(event))
    canvas.addEventListener('pointermove', event => this.#move(event))
    canvas.addEventListener('pointerup', event => this.#up(event))
    canvas.addEventListener('pointercancel', () => this.#drop())
    canvas.addEventListener('keydown', event => this.#key(event))
  }

  /** Where a socket's dot is, in CSS pixels of the canvas. */
  dotOf(id: number): Point | undefined {
    return this.#dots.get(id)
  }

  boxOf(owner: number): Box | undefined {
    return this.#boxes.get(owner)
  }

  get selected(): Socket | undefined {
    return this.#selected === undefined ? undefined : this.#cluster.sockets.get(this.#selected)
  }

  draw(context: CanvasRenderingContext2D, view: View): boolean {
    const { width, height, fresh } = view
    const { nodes, owners } = this.#cluster
    if (owners.length === 0) return false
    if (!this.flights.land() && !this.#changed && !fresh) return true
    this.#changed = false
    clear(context, view)
    context.font = FONT
    const isNarrow = width < 480
    const middle = isNarrow ? 78 : 104
    const gatewayLeft = isNarrow ? 14 : 72
    const gateway = { x: gatewayLeft, y: height * 0.58, width: middle, height: 40 }
    const top = { x: gatewayLeft, y: 4, width: isNarrow ? middle : middle + 40, height: height * 0.24 }
    const left = gatewayLeft + middle + (isNarrow ? 40 : width * 0.16)
    this.#boxes = new Map()
    this.#layTiles({ x: left, y: 4, width: width - left - 4, height: height - 8 }, nodes)
    const dispatcher = owners.find(({ role }) => role === 'dispatcher')
    if (dispatcher !== undefined) this.#boxes.set(dispatcher.id, top)
    this.#paths(context, gateway, top, isNarrow)
    this.#plainBox(context, gateway, 'gateway')
    if (nodes.length > MAX_TILES) this.#heat(context, nodes)
    else for (const node of nodes) this.#tile(context, node)
    if (dispatcher !== undefined) this.#tile(context, dispatcher)
    if (nodes.length <= MAX_TILES) this.#drawDots(context)
    return true
  }

  #layTiles(area: Box, nodes: readonly FeedOwner[]): void {
    if (nodes.length === 0) return
    // In one column as long as that is legible, so that the way to each can be seen.
    const square = Math.max(1, Math.round(Math.sqrt((nodes.length * area.width) / area.height / 1.5)))
    const columns = nodes.length <= MAX_COLUMN ? 1 : square
    const rows = Math.ceil(nodes.length / columns)
    const gap = nodes.length > MAX_TILES ? 3 : 10
    const width = (area.width - gap * (columns - 1)) / columns
    const height = (area.height - gap * (rows - 1)) / rows
    for (const [index, { id }] of nodes.entries()) {
      const x = area.x + (index % columns) * (width + gap)
      const y = area.y + Math.floor(index / columns) * (height + gap)
      this.#boxes.set(id, { x, y, width, height })
    }
  }

  /** Dashed: before a shift, through the dispatcher; whole: after it, and its width says how much each node sends now. */
  #paths(context: CanvasRenderingContext2D, gateway: Box, dispatcher: Box, isNarrow: boolean): void {
    const { soft } = themeOf()
    const entry = { x: gateway.x, y: gateway.y + gateway.height / 2 }
    context.strokeStyle = soft
    context.lineWidth = 2
    line(context, { x: isNarrow ? 0 : 50, y: entry.y }, entry)
    if (!isNarrow) {
      context.fillStyle = soft
      context.textBaseline = 'middle'
      context.fillText('clients', 0, entry.y)
    }
    context.lineWidth = 1.25
    context.setLineDash([4, 5])
    const above = gateway.x + gateway.width / 2
    line(context, { x: above, y: gateway.y }, { x: above, y: dispatcher.y + dispatcher.height })
    const { nodes } = this.#cluster
    if (nodes.length > MAX_TILES) return context.setLineDash([])
    const firsts = nodes.filter(({ id }) => this.#leftmost(id))
    const from = { x: dispatcher.x + dispatcher.width, y: dispatcher.y + dispatcher.height / 2 }
    context.globalAlpha = 0.55
    for (const { id } of firsts) {
      const box = this.#boxes.get(id) as Box
      curve(context, from, { x: box.x, y: box.y + box.height * 0.35 })
    }
    context.setLineDash([])
    const out = { x: gateway.x + gateway.width, y: entry.y }
    const most = Math.max(1, ...nodes.map(({ octets }) => octets))
    for (const { id, role, octets } of firsts) {
      const box = this.#boxes.get(id) as Box
      context.strokeStyle = colourOf(id, role)
      context.lineWidth = octets > 0 ? 1.5 + 5 * Math.sqrt(octets / most) : 1.25
      context.globalAlpha = octets > 0 ? 0.75 : 0.35
      curve(context, out, { x: box.x, y: box.y + box.height * 0.65 })
    }
    context.globalAlpha = 1
    context.lineWidth = 1
  }

  /** Nothing stands between it and the gateway. */
  #leftmost(id: number): boolean {
    const box = this.#boxes.get(id)
    return (
      box !== undefined &&
      box.x === Math.min(...this.#cluster.nodes.map(each => this.#boxes.get(each.id)?.x ?? 0))
    )
  }

  #plainBox(context: CanvasRenderingContext2D, box: Box, name: string): void {
    const { card, line, ink } = themeOf()
    context.fillStyle = card
    context.strokeStyle = line
    rounded(context, box, 8)
    context.fill()
    context.stroke()
    context.fillStyle = ink
    context.textAlign = 'center'
    context.textBaseline = 'middle'
    context.fillText(name, box.x + box.width / 2, box.y + box.height / 2)
    context.textAlign = 'left'
  }

  #tile(context: CanvasRenderingContext2D, owner: FeedOwner): void {
    const { card, line, ink, soft, bad } = themeOf()
    const box = this.#boxes.get(owner.id) as Box
    const isTarget = this.#dragged !== undefined && owner.id === this.#ownerAt(this.#dragged.at)?.id
    context.fillStyle = card
    context.strokeStyle = isTarget ? colourOf(owner.id, owner.role) : line
    context.lineWidth = isTarget ? 3 : 1
    if (owner.state !== 'up') context.setLineDash([5, 4])
    rounded(context, box, 8)
    context.fill()
    context.stroke()
    context.setLineDash([])
    context.fillStyle = owner.state === 'down' ? bad : colourOf(owner.id, owner.role)
    context.fillRect(box.x, box.y + 8, 3, Math.max(0, box.height - 16))
    if (box.height < 26 || box.width < 54) return
    context.textBaseline = 'top'
    context.fillStyle = ink
    context.fillText(owner.name, box.x + 10, box.y + 7, box.width - 16)
    const said = owner.state === 'up' ? `${owner.connections}` : owner.state
    const wide = context.measureText(said).width
    if (context.measureText(owner.name).width + wide + 30 > box.width) return
    context.fillStyle = owner.state === 'down' ? bad : soft
    context.fillText(said, box.x + box.width - wide - 9, box.y + 7)
  }

  /** Darker: more connections. */
  #heat(context: CanvasRenderingContext2D, nodes: readonly FeedOwner[]): void {
    const most = Math.max(1, ...nodes.map(({ connections }) => connections))
    const { sunk, bad } = themeOf()
    const colour = colourOf(1, 'node')
    for (const { id, state, connections } of nodes) {
      const box = this.#boxes.get(id) as Box
      context.fillStyle = sunk
      context.fillRect(box.x, box.y, box.width, box.height)
      context.fillStyle = state === 'down' ? bad : colour
      context.globalAlpha = state === 'down' ? 1 : 0.08 + 0.92 * (connections / most)
      context.fillRect(box.x, box.y, box.width, box.height)
      context.globalAlpha = 1
    }
  }

  #drawDots(context: CanvasRenderingContext2D): void {
    const now = this.#cluster.now()
    const radius = this.#cluster.sockets.size > 150 ? 3 : 5
    this.flights.radius = radius
    const places = new Map<number, number>()
    const resting = new Map<number, { readonly busy: Point[]; readonly idle: Point[] }>()
    for (const socket of this.#cluster.sockets.values()) {
      const box = this.#boxes.get(socket.owner)
      if (box === undefined) continue
      const place = places.get(socket.owner) ?? 0
      places.set(socket.owner, place + 1)
      const home = homeOf(box, place, radius)
      this.#dots.set(socket.id, home)
      this.flights.aim(socket.id, home, this.#colour(socket.owner))
      if (this.#dragged?.socket.id === socket.id || this.flights.has(socket.id)) continue
      const group = resting.get(socket.owner) ?? { busy: [], idle: [] }
      resting.set(socket.owner, group)
      if (now - socket.busyAt < BUSY_MS) group.busy.push(home)
      else group.idle.push(home)
    }
    for (const [owner, { busy, idle }] of resting) {
      context.fillStyle = this.#colour(owner)
      context.globalAlpha = 0.45
      dots(context, idle, radius)
      context.globalAlpha = 1
      dots(context, busy, radius)
    }
    const selected = this.#selected === undefined ? undefined : this.#dots.get(this.#selected)
    if (selected === undefined) return
    context.strokeStyle = themeOf().ink
    context.lineWidth = 2
    context.beginPath()
    context.arc(selected.x, selected.y, radius + 4, 0, 7)
    context.stroke()
  }

  #colour(owner: number): string {
    return colourOf(owner, this.#cluster.owner(owner)?.role ?? 'node')
  }

  #ownerAt({ x, y }: Point): FeedOwner | undefined {
    for (const [id, box] of this.#boxes) {
      if (x < box.x || y < box.y || x > box.x + box.width || y > box.y + box.height) continue
      return this.#cluster.owner(id)
    }
    return undefined
  }

  #socketAt({ x, y }: Point): Socket | undefined {
    let near: Socket | undefined
    let least = NEAR
    for (const [id, at] of this.#dots) {
      const distance = Math.hypot(at.x - x, at.y - y)
      const socket = this.#cluster.sockets.get(id)
      if (distance >= least || socket === undefined) continue
      near = socket
      least = distance
    }
    return near
  }

  #down(event: PointerEvent): void {
    const at = { x: event.offsetX, y: event.offsetY }
    const socket = this.#socketAt(at)
    if (socket === undefined) return
    this.#pressed = { socket, at }
    this.canvas.setPointerCapture(event.pointerId)
  }

  #move(event: PointerEvent): void {
    const at = { x: event.offsetX, y: event.offsetY }
    if (this.#pressed === undefined) {
      this.canvas.classList.toggle('grab', this.#socketAt(at) !== undefined)
      return
    }
    const { socket, at: from } = this.#pressed
    if (this.#dragged !== undefined || Math.hypot(at.x - from.x, at.y - from.y) > 4) {
      this.#dragged = { socket, at }
      this.flights.dragged = { at, colour: this.#colour(socket.owner) }
      this.#changed = true
    }
  }

  #up(event: PointerEvent): void {
    const pressed = this.#pressed
    const dragged = this.#dragged
    this.#drop()
    if (pressed === undefined) return
    if (dragged === undefined) {
      this.#select(pressed.socket.id)
      return this.#handlers.chosen(pressed.socket)
    }
    const owner = this.#ownerAt({ x: event.offsetX, y: event.offsetY })
    if (owner === undefined || owner.role !== 'node' || owner.id === dragged.socket.owner) return
    this.#handlers.dropped(dragged.socket, owner)
  }

  #drop(): void {
    this.#pressed = undefined
    this.#dragged = undefined
    this.flights.dragged = undefined
    this.#changed = true
  }

  #select(id: number | undefined): void {
    this.#selected = id
    this.#changed = true
  }

  /** Left and right choose a socket, Enter shows it, a digit shifts it to the node of that number. */
  #key(event: KeyboardEvent): void {
    const all = [...this.#cluster.sockets.values()]
    const index = all.findIndex(({ id }) => id === this.#selected)
    const step = event.key === 'ArrowRight' || event.key === 'ArrowDown' ? 1 : -1
    if (event.key.startsWith('Arrow') && all.length > 0) {
      event.preventDefault()
      this.#select(all[(index + step + all.length) % all.length]?.id)
      return
    }
    const socket = all[index]
    if (socket === undefined) return
    if (event.key === 'Enter' || event.key === ' ') {
      event.preventDefault()
      this.#handlers.chosen(socket)
    } else if (/^[1-9]$/.test(event.key)) {
      const node = this.#cluster.nodes[Number(event.key) - 1]
      if (node !== undefined && node.id !== socket.owner) this.#handlers.dropped(socket, node)
    }
  }
}

function line(context: CanvasRenderingContext2D, from: Point, to: Point): void {
  context.beginPath()
  context.moveTo(from.x, from.y)
  context.lineTo(to.x, to.y)
  context.stroke()
}

function curve(context: CanvasRenderingContext2D, from: Point, to: Point): void {
  const middle = (from.x + to.x) / 2
  context.beginPath()
  context.moveTo(from.x, from.y)
  context.bezierCurveTo(middle, from.y, middle, to.y, to.x, to.y)
  context.stroke()
}

function rounded(context: CanvasRenderingContext2D, { x, y, width, height }: Box, radius: number): void {
  context.beginPath()
  context.roundRect(x, y, width, height, Math.min(radius, height / 2, width / 2))
}

/** All at once, for a fill of its own each costs ten times as much. */
function dots(context: CanvasRenderingContext2D, places: readonly Point[], radius: number): void {
  context.beginPath()
  for (const { x, y } of places) {
    context.moveTo(x + radius, y)
    context.arc(x, y, radius, 0, 7)
  }
  context.fill()
}

function homeOf(box: Box, place: number, radius: number): Point {
  const cell = radius * 2 + 4
  const columns = Math.max(1, Math.floor((box.width - 20) / cell))
  const rows = Math.max(1, Math.floor((box.height - 34) / cell))
  const row = Math.floor(place / columns) % rows
  return { x: box.x + 14 + (place % columns) * cell, y: box.y + 32 + row * cell }
}
