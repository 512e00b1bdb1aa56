/** Node's own http server with every file in memory: what JavaScript does over the kernel's TCP. Arguments: address, port, root. */
import { readdirSync, readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'

const [address = '127.0.0.1', port = '0', root = '.'] = process.argv.slice(2)
const files = new Map(readdirSync(root).map(name => [`/${name}`, readFileSync(join(root, name))]))
const server = createServer((request, response) => {
  if (request.method === 'POST') {
    request.resume().on('end', () => response.writeHead(204).end())
    return
  }
  const file = files.get(request.url ?? '')
  if (file === undefined) {
    response.writeHead(404).end()
    return
  }
  response.writeHead(200, { 'Content-Type': 'application/octet-stream', 'Content-Length': file.length })
  response.end(file)
})
server.keepAliveTimeout = 75_000
server.listen(Number(port), address)
process.on('SIGTERM', () => process.exit(0))
