/** The conformance suite over the kernel's own TCP, against a cluster as users start it, at rest and while all moves. */
import { withRealCluster } from '../conformance/real-cluster.ts'
import { failures } from '../conformance/run.ts'
import { connectTo } from '../conformance/socket-wire.ts'
import { SUITE, titleOf } from '../conformance/suite.ts'

const asRoot = process.getuid?.() === 0 ? it : it.skip

asRoot(
  'passes every case at rest, and while every connection moves at random moments',
  async () => {
    const cases = SUITE.filter(({ level }) => level !== 'timing')
    await withRealCluster(async ({ host, port, moving }) => {
      const faultsOf = async () => {
        const faults = await failures(cases, () => connectTo(host, port))
        return [...faults].map(([test, fault]) => `${titleOf(test)}: ${fault}`)
      }
      expect(await faultsOf()).toEqual([])
      const shifts = await moving(async () => expect(await faultsOf()).toEqual([]))
      expect(shifts).toBeGreaterThan(cases.length)
    })
  },
  120_000,
)
