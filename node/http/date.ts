/**
 * HTTP dates (RFC 9110 §5.6.7) to and from seconds since the Unix epoch. No clock: whoever needs "now" gets it
 * passed in. The only state is a memo of the octets of the last second formatted.
 */
import { asciiOctets } from './grammar.ts'

const DAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat']
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
const DAY_SECONDS = 86_400
/** 0001-01-01 and the last second of 9999: what four digits of a year can say. */
const MIN_SECOND = -62_135_596_800
const MAX_SECOND = 253_402_300_799

/** Octets of an IMF-fixdate. */
export const DATE_OCTETS = 29

/** Days since 1970-01-01 of a proleptic Gregorian date; `month` is 1 to 12. */
function daysFromCivil(year: number, month: number, day: number): number {
  const y = month <= 2 ? year - 1 : year
  const era = Math.floor(y / 400)
  const yearOfEra = y - era * 400
  const dayOfYear = Math.floor((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5) + day - 1
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear
  return era * 146_097 + dayOfEra - 719_468
}

interface Civil {
  year: number
  month: number
  day: number
}

function civilFromDays(days: number): Civil {
  const z = days + 719_468
  const era = Math.floor(z / 146_097)
  const dayOfEra = z - era * 146_097
  const yearOfEra = Math.floor(
    (dayOfEra -
      Math.floor(dayOfEra / 1_460) +
      Math.floor(dayOfEra / 36_524) -
      Math.floor(dayOfEra / 146_096)) /
      365,
  )
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100))
  const shifted = Math.floor((5 * dayOfYear + 2) / 153)
  const month = shifted < 10 ? shifted + 3 : shifted - 9
  return {
    year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0),
    month,
    day: dayOfYear - Math.floor((153 * shifted + 2) / 5) + 1,
  }
}

function pad(value: number, width: number): string {
  return String(value).padStart(width, '0')
}

/** IMF-fixdate, e.g. `Sun, 06 Nov 1994 08:49:37 GMT`; seconds outside years 1 to 9999 are clamped. */
export function formatHttpDate(epochSecond: number): string {
  const second = Math.min(MAX_SECOND, Math.max(MIN_SECOND, Math.floor(epochSecond)))
  const days = Math.floor(second / DAY_SECONDS)
  const rest = second - days * DAY_SECONDS
  const { year, month, day } = civilFromDays(days)
  const weekday = DAYS[(((days + 4) % 7) + 7) % 7] as string
  const time = `${pad(Math.floor(rest / 3_600), 2)}:${pad(Math.floor(rest / 60) % 60, 2)}:${pad(rest % 60, 2)}`
  return `${weekday}, ${pad(day, 2)} ${MONTHS[month - 1] as string} ${pad(year, 4)} ${time} GMT`
}

let memoSecond = Number.NaN
let memoOctets = new Uint8Array(0)

/** The octets of an IMF-fixdate. They are shared: copy them, never write into them. */
export function dateOctets(epochSecond: number): Uint8Array {
  if (epochSecond !== memoSecond) {
    memoOctets = asciiOctets(formatHttpDate(epochSecond)) as Uint8Array<ArrayBuffer>
    memoSecond = epochSecond
  }
  return memoOctets
}

const MONTH = MONTHS.join('|')
const TIME = '(\\d\\d):(\\d\\d):(\\d\\d)'
const IMF_FIXDATE = new RegExp(`^(?:${DAYS.join('|')}), (\\d\\d) (${MONTH}) (\\d{4}) ${TIME} GMT$`)
const RFC_850 = new RegExp(
  `^(?:Sun|Mon|Tues|Wednes|Thurs|Fri|Satur)day, (\\d\\d)-(${MONTH})-(\\d\\d) ${TIME} GMT$`,
)
const ASCTIME = new RegExp(`^(?:${DAYS.join('|')}) (${MONTH}) ([ \\d]\\d) ${TIME} (\\d{4})$`)
/** No date of the three forms is longer (`Wednesday, 09-Nov-94 08:49:37 GMT`). */
const MAX_DATE_LENGTH = 33

/**
 * Seconds since the epoch of an HTTP-date in any of the three forms that a recipient must accept (RFC 9110
 * §5.6.7), or undefined when it is none. `nowSecond` places the two-digit years of the RFC 850 form.
 */
export function parseHttpDate(text: string, nowSecond: number): number | undefined {
  if (text.length > MAX_DATE_LENGTH) return undefined
  let match = IMF_FIXDATE.exec(text)
  if (match !== null) return seconds(match[3], match[2], match[1], match[4], match[5], match[6])
  match = ASCTIME.exec(text)
  if (match !== null) return seconds(match[6], match[1], match[2], match[3], match[4], match[5])
  match = RFC_850.exec(text)
  if (match === null) return undefined
  // A year that would lie more than 50 years ahead is the most recent past year with these two digits.
  const thisYear = civilFromDays(Math.floor(nowSecond / DAY_SECONDS)).year
  let year = Math.floor(thisYear / 100) * 100 + Number(match[3])
  if (year > thisYear + 50) year -= 100
  return seconds(String(year), match[2], match[1], match[4], match[5], match[6])
}

function seconds(
  year: string | undefined,
  monthName: string | undefined,
  day: string | undefined,
  hour: string | undefined,
  minute: string | undefined,
  second: string | undefined,
): number | undefined {
  const month = MONTHS.indexOf(monthName as string) + 1
  const [y, d, h, m, s] = [Number(year), Number(day), Number(hour), Number(minute), Number(second)]
  // 60 is a leap second, which the grammar allows.
  if (d < 1 || h > 23 || m > 59 || s > 60) return undefined
  const days = daysFromCivil(y, month, d)
  const civil = civilFromDays(days)
  if (civil.month !== month || civil.day !== d) return undefined
  return days * DAY_SECONDS + h * 3_600 + m * 60 + s
}
