/**
 * What a TCP connection did over time, as seen at one host: plain data, that is the same for the same run. Times are in milliseconds, sizes
 * in bytes; positions in the streams count from 0, which is the first byte after the SYN.
 */

import { UsageError } from '../../../lib/core/errors.js';

/** Bytes `from` (inclusive) to `to` (exclusive) at a time. */
export interface SeriesRange {
  readonly time: number;
  readonly from: number;
  readonly to: number;
}

/** Data that were sent. */
export interface SentRange extends SeriesRange {
  /** Some of them had been sent before. */
  readonly again: boolean;
}

/** A number at a time. */
export interface SeriesPoint {
  readonly time: number;
  readonly value: number;
}

/** What the connection believed at a time; noted when any of it changes. */
export interface StateSample {
  readonly time: number;
  readonly state: string;
  /** Congestion window and slow-start threshold; the latter -1 before the first loss. */
  readonly cwnd: number;
  readonly ssthresh: number;
  /** Sent and not acknowledged. */
  readonly inFlight: number;
  /** Smoothed round-trip time, 0 before the first measurement; the retransmission timeout. */
  readonly srtt: number;
  readonly rto: number;
  /** Windows that the peer offers us, and we it. */
  readonly sendWindow: number;
  readonly receiveWindow: number;
  /** In bytes a second. */
  readonly deliveryRate: number;
  readonly pacingRate: number;
}

/** One connection, at one of its ends. */
export interface TcpSeries {
  /** Whose end it is: the name of a host, or of a capture's interface. */
  readonly name: string;
  /** Address and port, e.g. `10.0.0.1:80` or `[fd00::1]:80`. */
  readonly local: string;
  readonly remote: string;
  /** When its first segment was seen. */
  readonly start: number;
  /** Data that this end sent. */
  readonly sent: readonly SentRange[];
  /** Acknowledgment numbers that came back, wherever they grew. */
  readonly acked: readonly SeriesPoint[];
  /** Selective acknowledgments that came back. */
  readonly sacked: readonly SeriesRange[];
  /** How far the peer's offer reached, wherever that changed. */
  readonly windowEdge: readonly SeriesPoint[];
  /** Data that came in, in order or not. */
  readonly received: readonly SeriesRange[];
  /** Empty where only frames were seen. */
  readonly states: readonly StateSample[];
}

/**
 * Bytes of the stream that arrived for good in each span of `width` ms: at which time it ends, and bits a second in it.
 *
 * @throws UsageError `ERR_INVALID_OPTION` for a width that is not above 0
 */
export function throughput({ start, acked }: TcpSeries, width: number): readonly SeriesPoint[] {
  if (!(width > 0 && Number.isFinite(width))) {
    throw new UsageError('ERR_INVALID_OPTION', `throughput is averaged over a time, not over ${width} ms`);
  }
  const points: SeriesPoint[] = [];
  let before = 0;
  let at = 0;
  let value = 0;
  const last = acked.at(-1)?.time ?? start;
  for (let i = 0; start + i * width < last; i++) {
    const end = start + (i + 1) * width;
    for (; at < acked.length && (acked[at]?.time ?? 0) <= end; at++) value = acked[at]?.value ?? value;
    points.push({ time: end, value: ((value - before) * 8 * 1000) / width });
    before = value;
  }
  return points;
}
