/** Counts packets in a namespace by nftables, beside whatever the product has there: what is claimed is not counted by itself. */
import { spawn } from 'node:child_process'
import { inNamespace, run } from '../process.ts'

const TABLE = 'gyre_acceptance'
const QUIET_MS = 700
const QUIET_TIMEOUT_MS = 20_000

export async function nft(namespace: string, text: string): Promise<string> {
  const [command, args] = inNamespace(namespace, 'nft', ['-j', '-f', '-'])
  return new Promise((resolve, reject) => {
    // Text is read as JSON under -j, and does nothing: rules go in without it.
    const child = spawn(
      command,
      args.filter(argument => argument !== '-j'),
      { stdio: ['pipe', 'pipe', 'pipe'] },
    )
    let output = ''
    child.stderr.on('data', (chunk: Buffer) => {
      output += chunk.toString()
    })
    child.on('error', reject)
    child.on('exit', code => (code === 0 ? resolve(output) : reject(new Error(`nft: ${output}`))))
    child.stdin.end(text)
  })
}

export interface ServiceCounters {
  readonly fromClient: number
  readonly toClient: number
}

/** Counts the packets of the service that cross `device`, before any rule of the product sees them. */
export async function countService(namespace: string, device: string, vip: string): Promise<void> {
  await nft(
    namespace,
    `table netdev ${TABLE} {
  counter from_client { }
  counter to_client { }
  chain in { type filter hook ingress device "${device}" priority -500; policy accept;
    ip daddr ${vip} tcp flags & (syn | ack) == ack counter name from_client
  }
  chain out { type filter hook egress device "${device}" priority -500; policy accept;
    ip saddr ${vip} counter name to_client
  }
}
`,
  )
}

export async function readService(namespace: string): Promise<ServiceCounters> {
  const output = await run(
    ...inNamespace(namespace, 'nft', ['-j', 'list', 'counters', 'table', 'netdev', TABLE]),
  )
  const { nftables } = JSON.parse(output) as {
    nftables: { counter?: { name: string; packets: number } }[]
  }
  const of = (name: string) =>
    nftables.find(({ counter }) => counter?.name === name)?.counter?.packets ?? Number.NaN
  return { fromClient: of('from_client'), toClient: of('to_client') }
}

/** What has crossed when something has, and nothing more does for a moment: on a busy machine clients begin when they can. */
export async function readWhenQuiet(namespace: string): Promise<ServiceCounters> {
  const until = performance.now() + QUIET_TIMEOUT_MS
  for (let before = await readService(namespace); ; ) {
    await new Promise(resolve => setTimeout(resolve, QUIET_MS))
    const now = await readService(namespace)
    const isQuiet = now.fromClient === before.fromClient && now.toClient === before.toClient
    if (isQuiet && now.fromClient > 0) return now
    if (performance.now() > until) throw new Error(`packets cross ${namespace} without end, or none does`)
    before = now
  }
}

/** Loses `percent` of the packets of the service that reach and leave the client, at random. */
export async function loseRandomly(namespace: string, device: string, percent: number): Promise<void> {
  const rule = `numgen random mod 1000 < ${Math.round(percent * 10)} drop`
  await nft(
    namespace,
    `table netdev ${TABLE}_loss {
  chain in { type filter hook ingress device "${device}" priority 0; policy accept; meta l4proto tcp ${rule}
  }
  chain out { type filter hook egress device "${device}" priority 0; policy accept; meta l4proto tcp ${rule}
  }
}
`,
  )
}

export async function stopLosing(namespace: string): Promise<void> {
  await nft(namespace, `delete table netdev ${TABLE}_loss\n`)
}

/**
 * Keeps segments on the way until they may pass: the server's FINs to the local ports `fins` of the client, and the client's
 * acknowledgements, that of the handshake among them, from `acks`.
 */
export async function keepBack(
  namespace: string,
  fins: readonly number[],
  acks: readonly number[],
): Promise<void> {
  await nft(
    namespace,
    `table inet ${TABLE}_kept {
  chain in { type filter hook input priority 0; policy accept; tcp dport { ${fins.join(', ')} } tcp flags & fin == fin drop
  }
  chain out { type filter hook output priority 0; policy accept; tcp sport { ${acks.join(', ')} } tcp flags & (syn | ack) == ack drop
  }
}
`,
  )
}

export async function letPass(namespace: string): Promise<void> {
  await nft(namespace, `delete table inet ${TABLE}_kept\n`)
}

/** Counts RST segments that reach the namespace. Its own, for what still comes for a socket it has closed, are no fault. */
export async function countResets(namespace: string): Promise<void> {
  await nft(
    namespace,
    `table inet ${TABLE}_resets {
  counter resets { }
  chain in { type filter hook input priority -500; policy accept; tcp flags & rst == rst counter name resets
  }
}
`,
  )
}

export async function readResets(namespace: string): Promise<number> {
  const output = await run(
    ...inNamespace(namespace, 'nft', ['-j', 'list', 'counters', 'table', 'inet', `${TABLE}_resets`]),
  )
  const { nftables } = JSON.parse(output) as { nftables: { counter?: { packets: number } }[] }
  return nftables.find(({ counter }) => counter !== undefined)?.counter?.packets ?? Number.NaN
}
