/**
 * What congestion control decides: how much may be in flight, and how fast it is sent. Recovery decides which bytes those are, and, unless
 * the control does that itself, how the window shrinks while losses are repaired (proportional rate reduction).
 */

import type { Random } from '../../../core/random.js';

/** The slow-start threshold before anything is known, in bytes: more than any window, and an integer that takes no memory of its own. */
export const UNLIMITED = 0x7fff_ffff;

/** What an acknowledgment said. A host has one such record and fills it anew for each; nobody keeps it. Times in ms, sizes in bytes. */
export class Acknowledgment {
  now = 0;
  /** Newly delivered, by the acknowledgment number or selectively. */
  delivered = 0;
  /** Believed lost since the last acknowledgment, which may have been found by a timer. */
  lost = 0;
  /** In flight before, and after. */
  priorInFlight = 0;
  inFlight = 0;
  /** The round-trip time of what was delivered, where it is unambiguous; else -1. */
  rtt = -1;
  /** Whether the congestion window limited sending, not the application or the peer's window (RFC 7661 4.1). */
  limited = false;
  /** What was in flight when the last round began was delivered: a round begins. */
  roundStart = false;
  /** Delivery rate in bytes a ms, 0 if there is no sample; and whether the application, not the network, limited it. */
  rate = 0;
  rateIsAppLimited = false;
  /** Bytes delivered since the connection began; and when that was sent which was delivered last. */
  totalDelivered = 0;
  priorDelivered = 0;
  /** In flight just after that was sent, and what was lost since. */
  sentInFlight = 0;
  lostSinceSent = 0;
  /** A segment was delivered: what is said of when it was sent is of now, not of an earlier acknowledgment. */
  sampled = false;
}

/** Why the window must shrink. */
export type CongestionSignal = 'loss' | 'ecn';

/** The congestion control of one connection (RFC 5681). Sizes in bytes, times in ms. */
export interface Congestion {
  /** As in `tcp_info` and in options: `newreno`, `cubic`, `bbr`. */
  readonly name: string;
  /** The congestion window. Recovery sets it while losses are repaired, unless {@link ownsRecovery}. */
  cwnd: number;
  /** The slow-start threshold. */
  readonly ssthresh: number;
  /** Bytes a ms at which to send. 0: twice, or in congestion avoidance 1.2 times, a window per round trip, if pacing is on. */
  readonly pacingRate: number;
  /** It hears of every acknowledgment, also in recovery, and sets the window itself. */
  readonly ownsRecovery: boolean;
  /** It sends less than it could, to see the path without a queue: rates that are measured meanwhile count as limited by the application. */
  readonly holdsBack?: boolean;
  /** Bytes were delivered outside of recovery; with {@link ownsRecovery}, always. */
  acknowledged(ack: Acknowledgment): void;
  /** A loss was found, or the network marked packets: sets `ssthresh`, and remembers what {@link undo} restores. @param flight bytes in flight */
  congested(signal: CongestionSignal, flight: number, now: number): void;
  /** Recovery is over, and the losses were real, or the network marked packets as well. @param flight bytes in flight */
  recovered(flight: number, now: number): void;
  /** The retransmission timer fired: the window is one segment. @param again whether for the same segment as the last time */
  timeout(flight: number, again: boolean, now: number): void;
  /** The last reduction was for nothing: what was thought lost had only been late (RFC 4015, RFC 3708). */
  undo(now: number): void;
  /** Sending resumes after a pause of `pause` ms (RFC 5681 4.1, RFC 7661). */
  idle(pause: number, rto: number, now: number): void;
  /** The segment size changed. */
  resize(mss: number): void;
}

/** What the host's options say of congestion control; see `TcpOptions`. */
export interface CongestionSettings {
  readonly slowStartAfterIdle: boolean;
  readonly windowValidation: boolean;
  readonly hystart: boolean;
  readonly slowStartLimit: number;
  readonly halve: 'flight' | 'window';
  readonly pacing: 'auto' | boolean;
}

/** Makes a congestion control. @param mss bytes a segment @param initialWindow bytes to start with */
export type CongestionFactory = (
  mss: number,
  initialWindow: number,
  settings: CongestionSettings,
  random: Random,
) => Congestion;

/** The initial window for `segments` segments (RFC 6928 2). */
export function initialWindow(mss: number, segments: number): number {
  return Math.min(segments * mss, Math.max(2 * mss, segments * 1460));
}
