/** Whether those who read these files take them: systemd, keepalived, BIRD, and the schema of the configuration. */
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { validateConfig } from '../config/validate.ts'

const ROLES = ['gyre-gateway.service', 'gyre-dispatcher.service', 'gyre-node@.service'] as const
const UNITS = [...ROLES, 'gyre-announce.service'] as const
/** Tenths of what systemd calls the exposure: 10.0 is a service that may do all, below 2 it says "OK". */
const MOST_EXPOSED = 20
/** Programs that a machine of its own has in these places. */
const PROGRAMS = /^ExecStart=\S+/gm

const asRoot = process.getuid?.() === 0 ? it : it.skip
const read = (file: string) => readFileSync(join(__dirname, file), 'utf8')

describe('the units', () => {
  let folder = ''
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'gyre-units-'))
    for (const unit of UNITS)
      writeFileSync(join(folder, unit), read(unit).replace(PROGRAMS, 'ExecStart=/bin/true'))
  })
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  const analyze = (...args: string[]) => {
    const { SYSTEMD_LOG_LEVEL: _, ...env } = process.env
    return execFileSync('systemd-analyze', args, { encoding: 'utf8', env, stdio: ['ignore', 'pipe', 'pipe'] })
  }

  it.each(UNITS)('%s is understood by systemd, every line of it', unit => {
    const path = join(folder, unit.replace('@', '@1'))
    expect(analyze('verify', '--man=no', path)).toBe('')
  })

  it.each(UNITS)('%s leaves little open', unit => {
    const report = analyze(
      'security',
      '--offline=true',
      '--no-pager',
      `--threshold=${MOST_EXPOSED}`,
      join(folder, unit),
    )
    expect(report).toMatch(/Overall exposure level for .*: [01]\.\d/)
  })

  it.each(ROLES)('%s is given CAP_NET_ADMIN and nothing else', unit => {
    const text = read(unit)
    expect(text.match(/^(Ambient|Bounding).*$/gm) ?? []).toHaveLength(1)
    expect(text).toMatch(/^AmbientCapabilities=CAP_NET_ADMIN$/m)
    expect(text).toMatch(/^CapabilityBoundingSet=CAP_NET_ADMIN$/m)
    expect(text).toMatch(/^User=gyre$/m)
  })
})

/** What keepalived finds wrong with a configuration, on a machine that has the devices. */
function complaints(file: string): string {
  const check = `set -e; ip link add wan0 type veth peer name lan0; exec keepalived -t -l -f ${file}`
  const { error, stdout, stderr } = spawnSync('unshare', ['-n', 'sh', '-c', check], { encoding: 'utf8' })
  if (error !== undefined) throw error
  // Not its status: where there is a script, 2.2.7 ends a check that found nothing by SIGTERM to itself.
  return `${stdout}${stderr}`
}

asRoot('keepalived takes its configuration', () => {
  expect(complaints(join(__dirname, 'keepalived.conf'))).toBe('')
  const folder = mkdtempSync(join(tmpdir(), 'gyre-keepalived-'))
  try {
    const wrong = join(folder, 'keepalived.conf')
    writeFileSync(wrong, read('keepalived.conf').replace('priority 100', 'urgency 100'))
    expect(complaints(wrong)).toContain('urgency')
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})

it('BIRD takes its configuration', () => {
  execFileSync('bird', ['-p', '-c', join(__dirname, 'bird.conf')], { stdio: 'pipe' })
})

it('the example configuration says nothing that is no setting', () => {
  expect(validateConfig(JSON.parse(read('gyre.config.json')))).not.toHaveProperty('issues')
})
