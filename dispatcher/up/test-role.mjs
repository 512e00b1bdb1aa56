// Stands for a role in tests of its supervision: says that it serves, waits, ends when told. FAKE_FAIL names a
// role that ends at its start, FAKE_SLOW one that never says that it serves.
const [role, ...flags] = process.argv.slice(2)
const name = flags[flags.indexOf('--name') + 1]
process.on('disconnect', () => process.exit(0))
process.on('SIGTERM', () => process.exit(0))
if (process.env.FAKE_FAIL === name) {
  console.error(`error: ${role} ${name} cannot start`)
  process.exit(1)
}
if (process.env.FAKE_SLOW !== name) process.send({ ready: true })
