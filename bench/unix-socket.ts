/** One question to a server on a Unix socket that closes behind its answer. */
import { connect } from 'node:net'

/** All that it answers. */
export function askUnixSocket(path: string, question: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const connection = connect(path)
    let text = ''
    connection.on('data', chunk => {
      text += chunk.toString('latin1')
    })
    connection.once('error', reject)
    connection.once('end', () => resolve(text))
    connection.write(question)
  })
}
