/** What the program that holds connections in every state, and the test that shifts them, both know. */

export const STATE_FILES = ['first.bin', 'small.bin', 'large.bin'] as const
export type FileName = (typeof STATE_FILES)[number]

/** Each takes a second or two at the rate of the test's links. */
export const LARGE_OCTETS = 12 * 1024 * 1024
/** Local ports of connections whose server's FIN is kept on the way. */
export const FIN_PORTS = [50_000, 50_001, 50_002, 50_003] as const
/** Local ports of connections whose acknowledgements are kept on the way, the last of the handshake among them. */
export const ACK_PORTS = [50_004, 50_005] as const

/** The application's: its port, what it gives, and the file that lets it answer, in the folder that the variable names. */
export const APP_PORT = 9_011
export const APP_FILE: FileName = 'small.bin'
export const GO_FILE = 'go'
export const FOLDER_VARIABLE = 'GYRE_STATES_FOLDER'
/** In a request to it: the head comes at once, the body when it may. */
export const HEAD_FIRST = 'Head: first\r\n'
