/** `gyre key`: makes a key for a cluster's control links. */
import { writeFile } from 'node:fs/promises'
import type { Command } from 'commander'
import { createKeyText } from '../../node/control/link-keys.ts'

export function registerKey(program: Command): void {
  const command = program.command('key').description('make a key for the control links of a cluster')
  command
    .argument('[file]', 'a new file, which its owner alone may read; without it the key is printed')
    .action(async (file: string | undefined) => {
      const text = createKeyText()
      if (file === undefined) return void process.stdout.write(text)
      try {
        await writeFile(file, text, { mode: 0o600, flag: 'wx' })
        console.log(`${file}: copy it to every machine of the cluster, and start each role with --key`)
      } catch (error) {
        const { code, message } = error as NodeJS.ErrnoException
        const why = code === 'EEXIST' ? `${file} is there already` : message
        command.error(`error: ${why}`, { exitCode: 1, code: code ?? 'KEY_UNWRITTEN' })
      }
    })
}
