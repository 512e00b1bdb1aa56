/** For programs that go on until the test tells them to end: by the end of their standard input. */
export class Told {
  /** Whether the test has said so. */
  isOver = false
  readonly over: Promise<void>

  constructor() {
    this.over = new Promise(resolve => {
      process.stdin.once('end', () => {
        this.isOver = true
        resolve()
      })
    })
    process.stdin.resume()
  }
}
