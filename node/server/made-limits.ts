/** What is worth making, and how much of it at once. */

/** Below this a coded body saves no packet. */
export const MIN_CODED_OCTETS = 1_024
/** Larger files take a thread for long, and are rarely text. */
export const MAX_CODED_OCTETS = 8 * 1_048_576
/** Its variant has a longer one, which other nodes must take as well. */
export const MAX_CODED_PATH_CHARS = 4_096
/** A variant larger than its file is none, so the same holds for it. */
export const MAX_MADE_OCTETS = MAX_CODED_OCTETS
/** A variant must be smaller than this share of its file, or it is not kept. */
export const WORTH_SHARE = 0.9
/** Variants being made or fetched; what is wanted beyond them is wanted again. */
export const MAX_MADE_JOBS = 16
/** Coded at once by one node: the other threads are for reading files. */
export const MAX_CODING = 1
/** Until the maker of a variant has sent its first piece; it may have others to make first. */
export const FIRST_PIECE_MS = 10_000
export const NEXT_PIECE_MS = 5_000
/** Other nodes that wait here for a variant that is being made. */
export const MAX_MADE_WAITERS = 256
