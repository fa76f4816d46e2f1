/** What a test tells of itself, as plain values; how it is printed is somebody else's concern. */

import type { Endpoint } from '../../l4/tcp/api.js';
import type { Count } from './account.js';
import type { IperfParameters } from './parameters.js';
import type { PathView, StreamFacts } from './stream.js';

/** What there is to say when the streams are connected. */
export interface StartReport {
  readonly role: 'client' | 'server';
  readonly parameters: IperfParameters;
  readonly cookie: string;
  /** The other end of the control connection. */
  readonly peer: Endpoint;
  /** Bytes of a segment of the control connection. */
  readonly segmentSize: number;
  readonly streams: readonly StreamFacts[];
}

/** What one stream did in an interval. */
export interface StreamInterval {
  readonly count: Count;
  /** In milliseconds. */
  readonly jitter: number;
  /** Only of TCP that sends. */
  readonly retransmits: number | undefined;
  readonly path: PathView | undefined;
}

/** What happened in an interval; times in seconds since counting began, or since the start while nothing counts. */
export interface IntervalReport {
  readonly start: number;
  readonly end: number;
  readonly omitted: boolean;
  /** In the order of the streams. */
  readonly streams: readonly StreamInterval[];
}

/** What one side says of a stream in the end. */
export interface SideReport {
  readonly count: Count;
  /** How long that side counted. */
  readonly seconds: number;
  /** In milliseconds. */
  readonly jitter: number;
  readonly retransmits: number | undefined;
}

/** Both sides of a stream; of the other one a server knows nothing when it reports. */
export interface StreamEnd {
  readonly sent: SideReport | undefined;
  readonly received: SideReport | undefined;
  /** Of the intervals, if TCP sent. */
  readonly path: PathSummary | undefined;
}

/** What was seen of the path over the intervals. Times in milliseconds. */
export interface PathSummary {
  readonly congestionWindow: number;
  readonly sendWindow: number;
  readonly maxRtt: number;
  readonly minRtt: number;
  readonly meanRtt: number;
}

/** Shares of a processor's time, in percent. */
export interface CpuShare {
  readonly total: number;
  readonly user: number;
  readonly system: number;
}

/** What there is to say in the end. */
export interface EndReport {
  readonly streams: readonly StreamEnd[];
  readonly cpu: CpuShare;
  readonly peerCpu: CpuShare;
  readonly congestion: string | undefined;
  readonly peerCongestion: string | undefined;
  /** What the server printed, as text or as JSON. */
  readonly serverOutput: string | object | undefined;
}

/** Who is told. */
export interface IperfObserver {
  started(report: StartReport): void;
  interval(report: IntervalReport): void;
  /** @param why it ended before its time, if it did: then the other side may have said nothing */
  ended(report: EndReport, why?: Error): void;
  /** Instead of `ended`, or after nothing but `started`. */
  failed(error: Error): void;
}
