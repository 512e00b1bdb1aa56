/**
 * Every MUST and SHOULD of RFC 9293 by the number of its appendix B, in our words. What is tested says so by its number
 * in the title of a test; here stands only why a number has none. `musts.ts` joins both.
 */
export interface Requirement {
  readonly number: string
  readonly section: string
  readonly text: string
  /** Why it does not apply to us. */
  readonly notApplicable?: string
  /** Why we do otherwise, or what is missing. SHOULDs only. */
  readonly otherwise?: string
}

type Row = readonly [string, string, string, { notApplicable?: string; otherwise?: string }?]

const NO_SOURCE_ROUTES =
  'we send no IP options, and RFC 7126 §4.3 has packets with source routes dropped on the way; a received one is skipped'

const MUSTS: readonly Row[] = [
  ['MUST-1', '3.1', 'the window is a number without a sign'],
  ['MUST-2', '3.1', 'the sender fills in the checksum'],
  ['MUST-3', '3.1', 'the receiver checks it'],
  ['MUST-4', '3.2', 'end of list, no-operation and MSS are understood'],
  ['MUST-5', '3.2', 'options may come in any segment'],
  ['MUST-6', '3.2', 'unknown options are skipped'],
  ['MUST-7', '3.2', 'an illegal option length does no harm'],
  ['MUST-8', '3.4.1', 'initial sequence numbers follow a clock'],
  ['MUST-9', '3.4.1', 'their secret part cannot be computed from outside'],
  ['MUST-10', '3.5', 'both ends may open at once'],
  ['MUST-11', '3.5', 'SYN-RECEIVED remembers whether it came from LISTEN'],
  ['MUST-12', '3.6', 'the application can tell an abort from a close'],
  ['MUST-13', '3.6', 'TIME-WAIT lasts for two segment lifetimes'],
  ['MUST-14', '3.7.1', 'the MSS option is sent and taken in'],
  ['MUST-15', '3.7.1', 'without it 536 octets are assumed, 1220 over IPv6'],
  ['MUST-16', '3.7.1', 'no segment is larger than peer, path and options allow'],
  ['MUST-17', '3.7.4', 'the Nagle algorithm can be turned off for one connection'],
  ['MUST-18', '3.8.1', 'no round trip is measured from a repetition (Karn)'],
  ['MUST-19', '3.8.2', 'back-off, slow start and congestion avoidance'],
  ['MUST-20', '3.8.3', 'unanswered repetitions count against R1, then R2 ends the connection'],
  ['MUST-21', '3.8.3', 'the application can set R2 for one connection'],
  ['MUST-22', '3.8.3', 'the same for a SYN'],
  ['MUST-23', '3.8.3', 'a SYN is repeated for at least three minutes'],
  ['MUST-24', '3.8.4', 'keepalives are turned on and off by connection'],
  ['MUST-25', '3.8.4', 'they are off by default'],
  ['MUST-26', '3.8.4', 'they are sent only when nothing was sent or heard for the interval'],
  ['MUST-27', '3.8.4', 'their interval can be chosen'],
  ['MUST-28', '3.8.4', 'it is at least two hours by default'],
  ['MUST-29', '3.8.4', 'one unanswered keepalive ends nothing'],
  ['MUST-30', '3.8.5', 'the urgent pointer is supported'],
  ['MUST-31', '3.8.5', 'urgent octets may be any number'],
  ['MUST-32', '3.8.5', 'the application is told of urgent octets as they are announced'],
  ['MUST-33', '3.8.5', 'it can learn how many there are still'],
  ['MUST-34', '3.8.6', 'a window that shrinks is survived'],
  ['MUST-35', '3.8.6.1', 'a closed window is probed'],
  ['MUST-36', '3.8.6.1', 'at regular times, even where it stays closed'],
  ['MUST-37', '3.8.6.1', 'for ever, as long as the probes are acknowledged'],
  ['MUST-38', '3.8.6.2.1', 'the sender avoids silly windows'],
  ['MUST-39', '3.8.6.2.2', 'so does the receiver'],
  ['MUST-40', '3.8.6.3', 'an acknowledgement waits for less than half a second'],
  ['MUST-41', '3.9.1.1', 'a passive OPEN leaves connections as they are'],
  ['MUST-42', '3.9.1.1', 'several LISTEN on one port at different addresses'],
  ['MUST-43', '3.9.1.1', 'OPEN takes a local address'],
  [
    'MUST-44',
    '3.9.1.1',
    'without one, IP is asked for it',
    { notApplicable: 'a flow always names its local address: the VIP that the SYN came to' },
  ],
  ['MUST-45', '3.9.1.1', 'the local address stays for the life of the connection'],
  ['MUST-46', '3.9.1.1', 'OPEN to a broadcast or multicast address is an error'],
  ['MUST-47', '3.9.1.8', 'soft errors are reported'],
  ['MUST-48', '3.9.1.9', 'the application chooses the Differentiated Services field'],
  ['MUST-49', '3.9.2', 'the time to live can be chosen'],
  ['MUST-50', '3.9.2', 'unknown IP options are skipped'],
  ['MUST-51', '3.9.2.1', 'the application can name a source route', { notApplicable: NO_SOURCE_ROUTES }],
  ['MUST-52', '3.9.2.1', 'which goes before a received one', { notApplicable: NO_SOURCE_ROUTES }],
  ['MUST-53', '3.9.2.1', 'a received one is answered by its reverse', { notApplicable: NO_SOURCE_ROUTES }],
  ['MUST-54', '3.9.2.2', 'ICMP errors go to the connection that they quote'],
  ['MUST-55', '3.9.2.2', 'a source quench is dropped'],
  ['MUST-56', '3.9.2.2', 'a soft ICMP error ends no connection'],
  ['MUST-57', '3.9.2.3', 'a segment to a broadcast or multicast address is dropped'],
  ['MUST-58', '3.10.7.4', 'an acknowledgement travels with data where it can'],
  ['MUST-59', '3.10.7.4', 'everything queued is processed before an acknowledgement is sent'],
  ['MUST-60', '3.9.1.2', 'octets are not held back for ever without a PUSH'],
  ['MUST-61', '3.9.1.2', 'PSH stands in the last segment of what is queued'],
  ['MUST-62', '3.8.5', 'the urgent pointer stands behind the last urgent octet'],
  ['MUST-63', '3.9.2.3', 'a SYN from a broadcast or multicast address is dropped'],
  ['MUST-64', '3.1', 'options begin at any octet'],
  ['MUST-65', '3.2', 'the MSS option is sent with SYN only'],
  ['MUST-66', '3.10.7.4', 'RST and URG count while the window is closed'],
  ['MUST-67', '3.7.1', 'the MSS that is sent is what can be received at once, less headers'],
  ['MUST-68', '3.2', 'every option but the two of one octet has a length'],
  ['MUST-69', '3.1', 'behind the end of the options stand zeros'],
]

const SHOULDS: readonly Row[] = [
  ['SHLD-1', '3.4.1', 'initial sequence numbers hold a keyed hash of the flow (RFC 6528)'],
  ['SHLD-2', '3.5.3', 'an RST may hold octets'],
  [
    'SHLD-3',
    '3.6.1',
    'CLOSE with unread octets resets',
    {
      notApplicable:
        'CLOSE is always half: receiving goes on after it; what is unread ends with ABORT, which resets',
    },
  ],
  ['SHLD-4', '3.6.1', 'timestamps shorten TIME-WAIT (RFC 6191)'],
  ['SHLD-5', '3.7.1', 'MSS is sent unless it is the default (we always do: MAY-3)'],
  ['SHLD-6', '3.7.1', 'the segment size follows the path'],
  ['SHLD-7', '3.7.4', 'the Nagle algorithm'],
  ['SHLD-8', '3.8.2', 'ECN (RFC 3168)'],
  ['SHLD-9', '3.8.3', 'the application is told between R1 and R2'],
  ['SHLD-10', '3.8.3', 'R1 is at least three repetitions'],
  ['SHLD-11', '3.8.3', 'R2 is at least 100 s'],
  [
    'SHLD-12',
    '3.8.4',
    'a keepalive has no octets',
    {
      otherwise:
        'ours has one that the peer has (MAY-6): an empty one is answered with the timestamp of the old owner after a shift',
    },
  ],
  [
    'SHLD-13',
    '3.8.5',
    'new applications send nothing urgent',
    { notApplicable: 'SEND has no such parameter' },
  ],
  ['SHLD-14', '3.8.6', 'the receive window never shrinks'],
  ['SHLD-15', '3.8.6', 'nothing new is sent into a window that shrank'],
  ['SHLD-16', '3.8.6', 'what is within it is sent again as ever'],
  ['SHLD-17', '3.8.6', 'what is beyond it ends no connection by a timeout'],
  ['SHLD-18', '3.8.6.3', 'acknowledgements are delayed'],
  ['SHLD-19', '3.8.6.3', 'but for every second full segment'],
  [
    'SHLD-20',
    '3.9.1.8',
    'the application can turn reports of soft errors off',
    {
      notApplicable: 'a report is a bit of an event; who does not look at it is not disturbed',
    },
  ],
  ['SHLD-21', '3.9.1.9', 'the Differentiated Services field can change'],
  ['SHLD-22', '3.9.1.9', 'and goes to IP as it is'],
  [
    'SHLD-23',
    '3.9.1.9',
    'applications do not change it without need',
    {
      notApplicable: 'none of ours chooses one',
    },
  ],
  ['SHLD-24', '3.9.2.1', 'the later of two source routes counts', { notApplicable: NO_SOURCE_ROUTES }],
  ['SHLD-25', '3.9.2.2', 'the application is told of unreachable destinations'],
  [
    'SHLD-26',
    '3.9.2.2',
    'an unreachable protocol or port ends the connection',
    {
      otherwise:
        'only one that is being opened: RFC 5927 §5.2, as every large stack, because such errors can be forged',
    },
  ],
  ['SHLD-27', '3.9.1.2', 'octets of several SENDs share a segment with one PSH'],
  ['SHLD-28', '3.9.1.2', 'segments are as large as they can be'],
  ['SHLD-29', '3.8.6.1', 'the first probe of a closed window comes after a retransmission timeout'],
  ['SHLD-30', '3.8.6.1', 'and the next ones ever later'],
  ['SHLD-31', '3.10.7.4', 'segments out of order are kept'],
]

export const REQUIREMENTS: readonly Requirement[] = [...MUSTS, ...SHOULDS].map(
  ([number, section, text, reason]) => ({ number, section, text, ...reason }),
)
