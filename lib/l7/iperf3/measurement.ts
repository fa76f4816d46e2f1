/** The measuring part of a test, which is the same on both sides: from the moment when data flow to the last look at the accounts. */

import type { Timer } from '../../core/timers.js';
import { type Count, NOTHING, since } from './account.js';
import type { IperfParameters } from './parameters.js';
import type {
  CpuShare,
  EndReport,
  IperfObserver,
  PathSummary,
  SideReport,
  StreamEnd,
  StreamInterval,
} from './report.js';
import type { IperfResults, StreamResult } from './results.js';
import { type CpuTime, type DataStream, type IperfOutside, type PathView, Quota } from './stream.js';

/** What to measure, and who is told. */
export interface MeasurementOptions {
  readonly parameters: IperfParameters;
  readonly streams: readonly DataStream[];
  readonly outside: IperfOutside;
  readonly observer: IperfObserver;
  /** Milliseconds from report to report; 0: none but the last. */
  readonly interval: number;
  /** Whether receiving so many bytes ends the test, too. */
  readonly countsReceived: boolean;
}

/** Of the paths that were seen; beyond, every second one is forgotten. */
const MAX_PATHS = 1024;
const NO_TIME: CpuTime = { user: 0, system: 0 };
const NO_SHARE: CpuShare = { total: 0, user: 0, system: 0 };

/** A stream, and its account at some moments. */
class Measured {
  readonly stream: DataStream;
  /** When counting began. */
  private zero: Count = NOTHING;
  private zeroRetransmits = 0;
  /** At the last report. */
  private last: Count = NOTHING;
  private lastRetransmits = 0;
  private paths: PathView[] = [];

  constructor(stream: DataStream) {
    this.stream = stream;
  }

  /** Whether anything was counted since the last report. */
  get hasNews(): boolean {
    const { bytes, packets } = this.stream.account;
    return bytes !== this.last.bytes || packets !== this.last.packets;
  }

  begin(): void {
    const { stream } = this;
    this.zero = this.last = stream.account.look();
    this.zeroRetransmits = this.lastRetransmits = stream.retransmits ?? 0;
    this.paths = [];
    stream.account.resetJitter();
  }

  interval(): StreamInterval {
    const { account, retransmits } = this.stream;
    const look = account.look();
    const count = since(look, this.last);
    this.last = look;
    const again = retransmits === undefined ? undefined : retransmits - this.lastRetransmits;
    this.lastRetransmits = retransmits ?? 0;
    return { count, jitter: account.jitter, retransmits: again, path: this.lookAtPath() };
  }

  own(seconds: number): SideReport {
    const { account, retransmits } = this.stream;
    return {
      count: since(account.look(), this.zero),
      seconds,
      jitter: account.jitter,
      retransmits: retransmits === undefined ? undefined : retransmits - this.zeroRetransmits,
    };
  }

  result(seconds: number): StreamResult {
    const { account, id, congestion } = this.stream;
    const { count, jitter, retransmits } = this.own(seconds);
    // Datagrams are told with those from before counting began, bytes without.
    const told = { ...account.look(), bytes: count.bytes };
    const omitted = congestion === undefined ? { packets: this.zero.packets, lost: this.zero.lost } : undefined;
    return { id, count: told, omitted, jitter, retransmits, seconds };
  }

  end(seconds: number, peer: IperfResults | undefined): StreamEnd {
    const own = this.own(seconds);
    const found = peer?.streams.find(({ id }) => id === this.stream.id);
    const other = found && this.peerSide(found);
    const path = summaryOf(this.paths);
    return this.stream.sends ? { sent: own, received: other, path } : { sent: other, received: own, path };
  }

  private lookAtPath(): PathView | undefined {
    const path = this.stream.path();
    if (path === undefined) return undefined;
    this.paths.push(path);
    if (this.paths.length > MAX_PATHS) this.paths = this.paths.filter((_, at) => at % 2 === 0);
    return path;
  }

  private peerSide({ count, omitted, jitter, retransmits, seconds }: StreamResult): SideReport {
    // Peers that do not say what they left out left out as much as we did, more or less.
    const { packets, lost } = omitted ?? this.zero;
    const counted = { ...count, packets: Math.max(0, count.packets - packets), lost: Math.max(0, count.lost - lost) };
    return { count: counted, seconds, jitter, retransmits };
  }
}

/** See the module. */
export class Measurement {
  private readonly options: MeasurementOptions;
  private readonly measured: readonly Measured[];
  private readonly quota: Quota;
  private readonly intervals: Timer;
  private readonly omitting: Timer;
  private began = 0;
  private zeroAt = 0;
  private lastAt = 0;
  private endedAt = 0;
  private omitted = false;
  private cpuAt: CpuTime = NO_TIME;
  private cpu: CpuShare = NO_SHARE;
  private onCounting: () => void = () => undefined;

  constructor(options: MeasurementOptions) {
    this.options = options;
    const { timers } = options.outside.env;
    this.measured = options.streams.map((stream) => new Measured(stream));
    this.quota = this.makeQuota();
    this.intervals = timers.timer(() => this.tick());
    this.omitting = timers.timer(() => this.count());
  }

  /** Lets data flow. @param counting is called when they begin to count */
  begin(counting: () => void): void {
    const { parameters, outside, streams } = this.options;
    const now = outside.env.timers.now();
    this.onCounting = counting;
    this.began = now;
    this.omitted = parameters.omit > 0;
    this.zero(now);
    if (this.omitted) {
      // Before it counts nothing is limited.
      this.quota.sending = this.quota.receiving = Number.POSITIVE_INFINITY;
      this.omitting.arm(now + parameters.omit * 1000);
    }
    for (const stream of streams) stream.begin(this.quota);
    if (!this.omitted) counting();
  }

  /** Nothing more is sent; the last look at the accounts. @param at when the last byte counted, if that was earlier than now */
  end(at: number = this.options.outside.env.timers.now()): void {
    this.cancel();
    for (const stream of this.options.streams) stream.halt();
    this.endedAt = Math.max(at, this.lastAt);
    this.cpu = this.cpuShare();
    // A last interval of no length, as when the end falls on a beat, says nothing.
    if (this.lastAt === this.zeroAt || this.measured.some((one) => one.hasNews)) this.report(this.endedAt);
  }

  /** Ends it without a last look. */
  cancel(): void {
    this.intervals.cancel();
    this.omitting.cancel();
  }

  /** What to tell the other side. */
  results(serverOutput: string | object | undefined): IperfResults {
    const { cpu, measured, seconds } = this;
    const streams = measured.map((one) => one.result(seconds));
    return { cpu, congestion: this.options.streams[0]?.congestion, streams, serverOutput };
  }

  /** What to report in the end, with what the other side counted where that is known. */
  summary(peer?: IperfResults): EndReport {
    const { cpu, measured, seconds } = this;
    return {
      streams: measured.map((one) => one.end(seconds, peer)),
      cpu,
      peerCpu: peer?.cpu ?? NO_SHARE,
      congestion: this.options.streams[0]?.congestion,
      peerCongestion: peer?.congestion,
      serverOutput: peer?.serverOutput,
    };
  }

  private get seconds(): number {
    return (this.endedAt - this.zeroAt) / 1000;
  }

  private makeQuota(): Quota {
    const { parameters, countsReceived } = this.options;
    const { bytes, blocks, length } = parameters;
    const limit = bytes > 0 ? bytes : blocks > 0 ? blocks * length : Number.POSITIVE_INFINITY;
    return new Quota(limit, countsReceived ? limit : Number.POSITIVE_INFINITY);
  }

  private zero(now: number): void {
    this.zeroAt = this.lastAt = now;
    this.cpuAt = this.options.outside.cpu?.() ?? NO_TIME;
    this.armInterval(now);
  }

  /** The end of what is left out: everything begins anew. */
  private count(): void {
    const now = this.options.outside.env.timers.now();
    if (now > this.lastAt) this.report(now);
    this.omitted = false;
    const { sending, receiving } = this.makeQuota();
    this.quota.sending = sending;
    this.quota.receiving = receiving;
    for (const one of this.measured) one.begin();
    this.zero(now);
    this.onCounting();
  }

  private armInterval(now: number): void {
    const { interval } = this.options;
    if (interval <= 0) return;
    // On the beat since the zero, so that nothing drifts; a clock's rounding must not make a beat of its own.
    const beats = Math.floor((now - this.zeroAt) / interval + 1e-6) + 1;
    this.intervals.arm(this.zeroAt + beats * interval);
  }

  private tick(): void {
    const now = this.options.outside.env.timers.now();
    this.report(now);
    this.armInterval(now);
  }

  private report(now: number): void {
    const { observer } = this.options;
    const zero = this.omitted ? this.began : this.zeroAt;
    const [start, end] = [(this.lastAt - zero) / 1000, (now - zero) / 1000];
    this.lastAt = now;
    observer.interval({ start, end, omitted: this.omitted, streams: this.measured.map((one) => one.interval()) });
  }

  private cpuShare(): CpuShare {
    const wall = this.endedAt - this.zeroAt;
    const now = this.options.outside.cpu?.();
    if (now === undefined || wall <= 0) return NO_SHARE;
    const user = ((now.user - this.cpuAt.user) / wall) * 100;
    const system = ((now.system - this.cpuAt.system) / wall) * 100;
    return { total: user + system, user, system };
  }
}

function summaryOf(paths: readonly PathView[]): PathSummary | undefined {
  if (paths.length === 0) return undefined;
  const rtts = paths.map(({ rtt }) => rtt);
  return {
    congestionWindow: Math.max(...paths.map(({ congestionWindow }) => congestionWindow)),
    sendWindow: Math.max(...paths.map(({ sendWindow }) => sendWindow)),
    maxRtt: Math.max(...rtts),
    minRtt: Math.min(...rtts),
    meanRtt: rtts.reduce((sum, rtt) => sum + rtt, 0) / rtts.length,
  };
}
