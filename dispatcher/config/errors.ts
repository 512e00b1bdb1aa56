/** What is wrong with a configuration: all of it at once, each issue with the path of its key. */

export interface ConfigIssue {
  /** `sites["example.org"].root`; '' for the file itself. */
  readonly path: string
  /** What was expected there, and what was found. */
  readonly message: string
}

/** Issues in the message of an error, which is one line. */
const MAX_TOLD = 10

/** One line of a report. */
export function formatIssue({ path, message }: ConfigIssue): string {
  return path === '' ? message : `${path}: ${message}`
}

/** `CONFIG_INVALID`: it was read and is wrong. `CONFIG_UNREADABLE`: it could not be read or run at all. */
export class ConfigError extends Error {
  readonly code: 'CONFIG_INVALID' | 'CONFIG_UNREADABLE'
  readonly file: string
  readonly issues: readonly ConfigIssue[]

  constructor(code: ConfigError['code'], file: string, issues: readonly ConfigIssue[], cause?: unknown) {
    const told = issues.slice(0, MAX_TOLD).map(formatIssue)
    const more = issues.length > MAX_TOLD ? `; and ${issues.length - MAX_TOLD} more: see gyre check` : ''
    super(`${file}: ${told.join('; ')}${more}`, cause === undefined ? undefined : { cause })
    this.name = 'ConfigError'
    this.code = code
    this.file = file
    this.issues = issues
  }
}
