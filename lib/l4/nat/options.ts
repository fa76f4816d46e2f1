/** Options of translators, and the defaults that the RFCs ask for. */

import { UsageError } from '../../core/errors.js';
import type { IpTables } from '../../l3/ip-tables.js';

/** After how many milliseconds without a packet that keeps it alive a session ends. */
export interface NatTimeouts {
  /** UDP: default 300,000; RFC 4787 REQ-5 forbids less than 120,000. Only what goes out keeps it alive. */
  readonly udp: number;
  /** UDP that came in to a forwarded port and is not answered: default 30,000. */
  readonly udpUnanswered: number;
  /** Queries of ICMP: default 60,000; RFC 5508 REQ-2 forbids less. */
  readonly icmp: number;
  /** Connections of TCP that are opened: default 240,000; RFC 5382 REQ-5 forbids less, RFC 7857 2.1 allows it. */
  readonly tcpOpening: number;
  /** Established ones: default 7,440,000, which is 2 hours and 4 minutes; RFC 5382 REQ-5 forbids less. */
  readonly tcpEstablished: number;
  /** Those that both ends have finished, or one has reset: default 240,000; RFC 5382 REQ-5 forbids less. */
  readonly tcpClosing: number;
}

export const DEFAULT_NAT_TIMEOUTS: NatTimeouts = {
  udp: 300_000,
  udpUnanswered: 30_000,
  icmp: 60_000,
  tcpOpening: 240_000,
  tcpEstablished: 7_440_000,
  tcpClosing: 240_000,
};

/** What a translator asks of a host or router for the addresses of its devices. */
export type NatTables = Pick<IpTables, 'addresses' | 'addresses6' | 'generation'>;

/** Options of a translator. */
export interface NatOptions {
  /** Knows the addresses of devices, for masquerade; or yields what does, once it is there: `() => me.tables`. */
  readonly tables?: NatTables | (() => NatTables | undefined);
  readonly timeouts?: Partial<NatTimeouts>;
  /** Sessions at once: 1 to 4,194,304, default 262,144. Memory is taken as it is needed, at most 212 bytes each. */
  readonly capacity?: number;
  /** Sessions of one internal host at once, so that none takes all. Default 16,384. */
  readonly perHost?: number;
  /** What comes in keeps sessions of UDP alive, too (RFC 4787 REQ-6 a). Default false. */
  readonly refreshInbound?: boolean;
  /** Milliseconds after which a SYN that nobody asked for is answered by an ICMP error; 0: never. Default 6,000 (RFC 5382 REQ-4). */
  readonly unsolicited?: number;
  /** Tell senders of packets that there is no room for, by ICMP (RFC 5508 REQ-8). Default true. */
  readonly reportExhaustion?: boolean;
}

/** {@link NatOptions} with everything in it. */
export interface NatSettings {
  readonly tables: () => NatTables | undefined;
  readonly timeouts: NatTimeouts;
  readonly capacity: number;
  readonly perHost: number;
  readonly refreshInbound: boolean;
  readonly unsolicited: number;
  readonly reportExhaustion: boolean;
}

const MOST_SESSIONS = 1 << 22;
const LONGEST = 1_000_000_000;

function invalid(message: string): UsageError {
  return new UsageError('ERR_INVALID_OPTION', message);
}

/** Completes options. @throws UsageError `ERR_INVALID_OPTION` */
export function natSettings(options: NatOptions): NatSettings {
  const { tables, capacity = 1 << 18, perHost = 1 << 14, unsolicited = 6_000 } = options;
  const { refreshInbound = false, reportExhaustion = true } = options;
  const timeouts = { ...DEFAULT_NAT_TIMEOUTS, ...options.timeouts };
  for (const [name, value] of Object.entries(timeouts)) {
    if (!(name in DEFAULT_NAT_TIMEOUTS)) throw invalid(`no timeout of NAT is called ${name}`);
    if (!(value >= 1 && value <= LONGEST)) throw invalid(`timeout ${name}: 1 to ${LONGEST} ms, not ${String(value)}`);
  }
  if (!(Number.isInteger(capacity) && capacity >= 1 && capacity <= MOST_SESSIONS)) {
    throw invalid(`capacity is 1 to ${MOST_SESSIONS} sessions, not ${capacity}`);
  }
  if (!(perHost >= 1)) throw invalid(`perHost is 1 or more sessions, not ${perHost}`);
  if (!(unsolicited >= 0 && unsolicited <= LONGEST)) throw invalid(`unsolicited is 0 to ${LONGEST} ms`);
  return {
    tables: typeof tables === 'function' ? tables : () => tables,
    timeouts,
    capacity,
    perHost,
    refreshInbound,
    unsolicited,
    reportExhaustion,
  };
}
