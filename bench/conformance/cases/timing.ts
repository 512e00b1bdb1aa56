/** RFC 9110 §15.5.9 and RFC 9112 §9.5: clients that take long are let go, and are told where there is something to tell. */
import { type Case, FILE, request } from '../case.ts'

const GONE = { status: [408, 400] }

export const TIMING_CASES: readonly Case[] = [
  {
    section: 'RFC 9110 §15.5.9',
    level: 'timing',
    name: 'half a request line is ended with 408',
    steps: [{ send: 'GET /fi', expect: [GONE] }],
    closes: true,
  },
  {
    section: 'RFC 9110 §15.5.9',
    level: 'timing',
    name: 'a head without its end is ended with 408',
    steps: [{ send: 'GET /file.txt HTTP/1.1\r\nHost: example.test\r\n', expect: [GONE] }],
    closes: true,
  },
  {
    section: 'RFC 9110 §15.5.9',
    level: 'timing',
    name: 'so is a second head',
    steps: [
      { send: request('GET /file.txt'), expect: [FILE] },
      { send: 'GET /file.txt HTTP/1.1\r\n', expect: [GONE] },
    ],
    closes: true,
  },
]
