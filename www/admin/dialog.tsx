/** What the page asks before it acts, and what it says afterwards. */
import { giveToken } from './api.ts'
import { h, render } from './vendor/preact.js'

const TOLD_MS = 7_000
const MAX_TOLD = 4

export interface Question {
  readonly title: string
  readonly text: string
  readonly yes: string
  readonly hurts?: boolean
}

/** Resolves to whether it was confirmed. */
export function confirm({ title, text, yes, hurts = false }: Question): Promise<boolean> {
  return show<boolean>(close => (
    <form method="dialog">
      <h2>{title}</h2>
      <p>{text}</p>
      <div class="menu">
        <button type="button" onClick={() => close(false)}>
          Cancel
        </button>
        <button type="button" class={hurts ? 'hurts' : 'main'} onClick={() => close(true)}>
          {yes}
        </button>
      </div>
    </form>
  )).then(answer => answer ?? false)
}

export interface Choice {
  readonly id: number
  readonly name: string
}

/** Resolves to the id of what was chosen, or undefined. */
export function choose(title: string, text: string, choices: readonly Choice[]): Promise<number | undefined> {
  return show<number>(close => (
    <form method="dialog">
      <h2>{title}</h2>
      <p>{text}</p>
      <div class="menu choices">
        {choices.map(({ id, name }) => (
          <button key={id} type="button" onClick={() => close(id)}>
            {name}
          </button>
        ))}
        <button type="button" onClick={() => close(undefined)}>
          Cancel
        </button>
      </div>
    </form>
  ))
}

/** Resolves to whether the server knows the token. */
export async function askForToken(): Promise<boolean> {
  const given = await show<string>(close => (
    <form
      method="dialog"
      onSubmit={event => {
        event.preventDefault()
        close(String(new FormData(event.currentTarget).get('token') ?? '').trim())
      }}
    >
      <h2>Acts need the admin token</h2>
      <p>
        <code>gyre up</code> printed it with the address of this page; it also stands in{' '}
        <code>/run/gyre/NAME/admin-token</code>.
      </p>
      <label>
        Token <input name="token" type="password" autocomplete="off" required />
      </label>
      <div class="menu">
        <button type="button" onClick={() => close(undefined)}>
          Cancel
        </button>
        <button type="submit" class="main">
          Use it
        </button>
      </div>
    </form>
  ))
  if (given === undefined || given === '') return false
  try {
    await giveToken(given)
    tell('Acts are allowed from this tab now.')
    return true
  } catch (error) {
    tell(`Not taken: ${messageOf(error)}.`, true)
    return false
  }
}

function show<T>(
  content: (close: (value: T | undefined) => void) => preact.ComponentChild,
): Promise<T | undefined> {
  return new Promise(resolve => {
    const dialog = document.body.appendChild(document.createElement('dialog'))
    let answer: T | undefined
    const close = (value: T | undefined) => {
      answer = value
      dialog.close()
    }
    render(content(close), dialog)
    dialog.addEventListener('close', () => {
      render(null, dialog)
      dialog.remove()
      resolve(answer)
    })
    dialog.showModal()
  })
}

/** A line at the edge of the page, read out by screen readers. */
export function tell(text: string, isBad = false): void {
  const list = document.querySelector('#told') as HTMLElement
  const line = list.appendChild(document.createElement('p'))
  line.textContent = text
  if (isBad) line.className = 'bad'
  while (list.children.length > MAX_TOLD) list.firstElementChild?.remove()
  setTimeout(() => line.remove(), TOLD_MS)
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
