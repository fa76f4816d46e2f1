/** What can be said about the tracking of flows, and the defaults. */

import { UsageError } from '../../core/errors.js';
import { MOST_SLOTS } from './flow-records.js';

/** How long flows live without a packet, in milliseconds, 1 to 10^9. */
export interface FlowTimeouts {
  /** TCP until both SYNs are acknowledged. Default 120,000. */
  readonly tcpOpening: number;
  /** TCP that is established, with nothing left to acknowledge. Default 5 days; RFC 5382 5 asks for 2 hours and 4 minutes at least. */
  readonly tcpEstablished: number;
  /** TCP that is established and has something under way that nobody acknowledges. Default 300,000: hosts wait up to 120,000 between two attempts. */
  readonly tcpUnacknowledged: number;
  /** TCP that one end has finished, with nothing left to acknowledge: the other may go on (RFC 9293 3.6). Default 2 hours and 4 minutes. */
  readonly tcpHalfClosed: number;
  /** TCP that both ends have finished. Default 240,000: two maximum segment lifetimes of RFC 9293, and the least that RFC 5382 5 allows. */
  readonly tcpClosing: number;
  /** TCP that was reset. Default 10,000. */
  readonly tcpReset: number;
  /** TCP that was taken up in the middle, once both ends have shown themselves. Default 6 hours. */
  readonly tcpMidStream: number;
  /** UDP. Default 120,000, the least that RFC 4787 4.3 allows a translator. */
  readonly udp: number;
  /** Queries of ICMP. Default 60,000, the least that RFC 5508 3.2 allows a translator. */
  readonly icmp: number;
  /** All other protocols. Default 30,000. */
  readonly other: number;
}

/** The defaults of {@link FlowTimeouts}. */
export const DEFAULT_TIMEOUTS: FlowTimeouts = {
  tcpOpening: 120_000,
  tcpEstablished: 432_000_000,
  tcpUnacknowledged: 300_000,
  tcpHalfClosed: 7_440_000,
  tcpClosing: 240_000,
  tcpReset: 10_000,
  tcpMidStream: 21_600_000,
  udp: 120_000,
  icmp: 60_000,
  other: 30_000,
};

const LONGEST = 1_000_000_000;
const DEFAULT_CAPACITY = 100_000;
/** Some slots are for pending flows. */
const MOST_FLOWS = MOST_SLOTS - 0xffff;

/** Options of the tracking of flows. */
export interface TrackingOptions {
  /** Flows at once, 1 to 16,711,680. Default 100,000. */
  readonly capacity?: number;
  /** How long flows live without a packet; those that are not given are the defaults. */
  readonly timeouts?: Partial<FlowTimeouts>;
  /**
   * What to do with a connection of TCP whose SYN was not seen: `track` it, without knowing its windows, so that connections survive a restart
   * (the default, as in netstack3 and Linux); let its segments pass `untracked`; or call them `invalid`.
   */
  readonly midStream?: 'track' | 'untracked' | 'invalid';
  /** Whether segments of TCP outside of their window are invalid. Default true; resets must be inside in any case. */
  readonly windows?: boolean;
  /**
   * Of which packets the checksum above IP is verified, where the device has not done it: of `all`; of those that begin or end something and of
   * errors (`control`, the default: the ends see to the others); of `none`. Those with a wrong one are invalid.
   */
  readonly checksums?: 'all' | 'control' | 'none';
  /** Count packets and bytes of each flow. Default false: 32 bytes more a flow, and some time. */
  readonly counting?: boolean;
}

/** {@link TrackingOptions} with everything in it. */
export interface TrackingSettings {
  readonly capacity: number;
  readonly timeouts: FlowTimeouts;
  readonly midStream: 'track' | 'untracked' | 'invalid';
  readonly windows: boolean;
  readonly checksums: 'all' | 'control' | 'none';
  readonly counting: boolean;
}

/**
 * Completes options.
 *
 * @throws UsageError `ERR_INVALID_OPTION`
 */
export function trackingSettings(options: TrackingOptions): TrackingSettings {
  const { capacity = DEFAULT_CAPACITY, midStream = 'track', checksums = 'control' } = options;
  if (!(Number.isInteger(capacity) && capacity >= 1 && capacity <= MOST_FLOWS)) {
    throw new UsageError('ERR_INVALID_OPTION', `a table of ${capacity} flows: the capacity is 1 to ${MOST_FLOWS}`);
  }
  checkChoice('midStream', midStream, ['track', 'untracked', 'invalid']);
  checkChoice('checksums', checksums, ['all', 'control', 'none']);
  const { windows = true, counting = false } = options;
  return { capacity, timeouts: timeoutsOf(options.timeouts ?? {}), midStream, windows, checksums, counting };
}

function checkChoice(name: string, value: string, choices: readonly string[]): void {
  if (choices.includes(value)) return;
  throw new UsageError('ERR_INVALID_OPTION', `${name} is one of ${choices.join(', ')}, not ${value}`);
}

function timeoutsOf(given: Partial<FlowTimeouts>): FlowTimeouts {
  const timeouts = { ...DEFAULT_TIMEOUTS, ...given };
  for (const [name, value] of Object.entries(timeouts)) {
    if (!(name in DEFAULT_TIMEOUTS)) throw new UsageError('ERR_INVALID_OPTION', `no timeout is called ${name}`);
    if (!(Number.isInteger(value) && value >= 1 && value <= LONGEST)) {
      throw new UsageError('ERR_INVALID_OPTION', `timeout ${name} is ${value}: it is 1 to ${LONGEST} milliseconds`);
    }
  }
  return timeouts;
}
