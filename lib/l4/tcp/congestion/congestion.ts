/** What congestion control decides: how much may be in flight. Recovery decides which bytes those are. */

/** The congestion control of one connection (RFC 5681). Sizes in bytes. */
export interface Congestion {
  /** The congestion window. */
  readonly cwnd: number;
  /** The slow-start threshold. */
  readonly ssthresh: number;
  /** New data were acknowledged outside of recovery. @param limited whether the window, not the application, limited sending */
  acknowledged(bytes: number, limited: boolean): void;
  /** A loss was found by duplicate acknowledgments. @param flight bytes in flight */
  enterRecovery(flight: number): void;
  /** One more segment has left the network during recovery. */
  duplicate(): void;
  /** An acknowledgment moved forward, but recovery goes on. */
  partial(bytes: number): void;
  /** Recovery is over. @param flight bytes in flight */
  exitRecovery(flight: number): void;
  /** The retransmission timer fired. @param again whether for the same segment as the last time */
  timeout(flight: number, again: boolean): void;
  /** Nothing was sent for longer than the retransmission timeout (RFC 5681 4.1). */
  idle(): void;
  /** The segment size changed. */
  resize(mss: number): void;
}

/** Makes a congestion control. @param mss bytes a segment @param initialWindow bytes to start with */
export type CongestionFactory = (mss: number, initialWindow: number) => Congestion;

/** The initial window for `segments` segments (RFC 6928 2). */
export function initialWindow(mss: number, segments: number): number {
  return Math.min(segments * mss, Math.max(2 * mss, segments * 1460));
}
