/** `gyre policy`: by what requests are placed, and another policy from now on. */
import { Argument, type Command } from 'commander'
import type { PolicyReport } from '../admin/api.ts'
import { POLICIES, type PolicyName, type Reason } from '../placement/policy.ts'
import { type AdminFlags, addAdminFlags, runAdminCommand } from './admin-command.ts'
import { REASONS } from './reasons.ts'
import { formatTable } from './table.ts'

export function registerPolicy(program: Command): void {
  const command = program
    .command('policy')
    .description('show by what policy requests are placed, or change it until the dispatcher ends')
  addAdminFlags(command)
    .addArgument(new Argument('[policy]', 'the policy from now on').choices(POLICIES))
    .action(async (policy: PolicyName | undefined, flags: AdminFlags) => {
      await runAdminCommand(
        command,
        flags,
        client => (policy === undefined ? client.policy() : client.setPolicy(policy)),
        formatPolicy,
      )
    })
}

export function formatPolicy({ policy, policies, decisions }: PolicyReport): string {
  const others = policies.filter(other => other !== policy).join(', ')
  const rows = Object.entries(decisions)
    .sort((a, b) => b[1] - a[1])
    .map(([reason, count]) => [`${count}`, REASONS[reason as Reason] ?? reason])
  const table = formatTable([{ title: 'DECISIONS', align: 'right' }, { title: 'REASON' }], rows)
  return `requests are placed by ${policy} (others: ${others})\n${rows.length === 0 ? '' : `\n${table}`}`
}
