/** What can go wrong with steering, as stable codes. A packet that nothing steers is not an error. */

export type SteeringErrorCode =
  /** The command `nft` cannot be run at all. */
  | 'NFT_MISSING'
  /** The kernel or `nft` refused a transaction; `detail` is what it said. */
  | 'NFT_REFUSED'
  /** `nft` did not end in time, or its helper died. */
  | 'NFT_FAILED'
  /** Too many updates wait already. */
  | 'STEERING_BUSY'
  /** Too many elements or owners. */
  | 'STEERING_FULL'
  | 'UNKNOWN_OWNER'
  /** An address, port, id or timeout out of its range. */
  | 'BAD_VALUE'
  /** After `stop`. */
  | 'STEERING_STOPPED'
  /** Setting up a TUN device's routes failed. */
  | 'ROUTES_FAILED'

export class SteeringError extends Error {
  readonly code: SteeringErrorCode
  /** What the command said, for the log. */
  readonly detail: string

  constructor(code: SteeringErrorCode, message: string, detail = '', cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.name = 'SteeringError'
    this.code = code
    this.detail = detail
  }
}
