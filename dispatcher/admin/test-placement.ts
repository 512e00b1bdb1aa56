/** The part of a test's cluster that is about placement: two nodes, of which one holds the file that is asked about. */
import { POLICIES, type PolicyName } from '../placement/policy.ts'
import type { ExplainQuery, ExplainReport, PolicyReport } from './api.ts'
import { AdminError } from './errors.ts'
import { TestDrains } from './test-drains.ts'

export class TestPlacement extends TestDrains {
  inForce: PolicyName = 'locality'

  async policy(): Promise<PolicyReport> {
    return { policy: this.inForce, policies: POLICIES, decisions: { holder: 12, first: 3 } }
  }

  async setPolicy(policy: PolicyName): Promise<PolicyReport> {
    this.inForce = policy
    return this.policy()
  }

  async explain({ target, from }: ExplainQuery): Promise<ExplainReport> {
    if (target.startsWith('http://unknown/'))
      throw new AdminError('UNKNOWN_HOST', 'requests for unknown are answered by 421')
    const node = { state: 'up', connections: 3, load: 3.2, holds: 'no', cost: null } as const
    return {
      ...{
        target,
        path: target,
        from: from === undefined ? null : 2,
        policy: this.inForce,
        to: 1,
        reason: 'holder',
        replicas: 1,
      },
      nodes: [
        { ...node, id: 1, name: 'node1', holds: 'yes', cost: { wait: 0.2, read: 0, shift: 0, total: 0.2 } },
        { ...node, id: 2, name: 'node2' },
      ],
      decisions: [
        { agoMs: 1_500, from: null, to: 1, policy: 'locality', reason: 'first' },
        { agoMs: 61_000, from: 2, to: 1, policy: 'locality', reason: 'holder' },
      ],
    }
  }
}
