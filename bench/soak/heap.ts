/** The heap and the buffers outside of it, after full collections of garbage. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

export function heapOctets(): number {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  collect()
  collect()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}
