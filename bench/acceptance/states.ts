/** What the program that holds connections in every state, and the test that shifts them, both know. */

export const STATE_FILES = ['first.bin', 'small.bin', 'large.bin'] as const
export type FileName = (typeof STATE_FILES)[number]

/** Each takes a second or two at the rate of the test's links. */
export const LARGE_OCTETS = 12 * 1024 * 1024
/** Local ports of connections whose server's FIN is kept on the way. */
export const FIN_PORTS = [50_000, 50_001, 50_002, 50_003] as const
