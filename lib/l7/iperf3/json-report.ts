/** Reports as one value, in the shape of the program's own JSON, so that what reads that reads ours. */

import type { Endpoint } from '../../l4/tcp/api.js';
import { type Count, NOTHING } from './account.js';
import { failureText } from './failure.js';
import type {
  CpuShare,
  EndReport,
  IntervalReport,
  IperfObserver,
  SideReport,
  StartReport,
  StreamEnd,
  StreamInterval,
} from './report.js';
import type { StreamFacts } from './stream.js';
import { meanJitter, sumOfSides, totalOf, totalRetransmits } from './text-report.js';
import { VERSION } from './version.js';

/** What to say of ourselves. */
export interface JsonReportOptions {
  /** The time of day in milliseconds since 1970. */
  readonly wallClock: () => number;
  /** The time of day for people. */
  readonly timeText: (milliseconds: number) => string;
  readonly systemInfo: string;
}

/**
 * What a server keeps of intervals, counted in streams: how many there are is the client's choice. The intervals behind these are left out, and
 * their number is told as `intervals_left_out`.
 */
const MAX_ENTRIES = 100_000;

const NO_SIDE: SideReport = { count: NOTHING, seconds: 0, jitter: 0, retransmits: undefined };

/** See the module. */
export class JsonReport implements IperfObserver {
  private readonly options: JsonReportOptions;
  private start: StartReport | undefined = undefined;
  private entries = 0;
  private leftOut = 0;
  private readonly value: { start: object; intervals: object[]; end: object; error?: string; [name: string]: unknown };

  constructor(options: JsonReportOptions) {
    this.options = options;
    const { systemInfo } = options;
    this.value = { start: { connected: [], version: VERSION, system_info: systemInfo }, intervals: [], end: {} };
  }

  /** What there is so far. */
  toJSON(): object {
    return this.value;
  }

  started(report: StartReport): void {
    this.start = report;
    const { parameters, role, peer, cookie, segmentSize, streams } = report;
    const { protocol, title, extraData, bitrate, window, pacingRate } = parameters;
    const now = this.options.wallClock();
    const { address, port } = peer;
    const other = { host: address.toString(), port };
    this.value.start = {
      connected: streams.map(connected),
      version: VERSION,
      system_info: this.options.systemInfo,
      timestamp: { time: this.options.timeText(now), timesecs: Math.floor(now / 1000) },
      [role === 'client' ? 'connecting_to' : 'accepted_connection']: other,
      cookie,
      ...(protocol === 'tcp' && segmentOf(parameters.segmentSize, segmentSize)),
      target_bitrate: bitrate,
      fq_rate: pacingRate,
      sock_bufsize: window,
      sndbuf_actual: window,
      rcvbuf_actual: window,
      test_start: testStart(report),
    };
    if (title !== undefined) this.value['title'] = title;
    if (extraData !== undefined) this.value['extra_data'] = extraData;
  }

  interval({ start, end, omitted, streams }: IntervalReport): void {
    this.entries += streams.length;
    if (this.start?.role === 'server' && this.entries > MAX_ENTRIES) {
      this.value['intervals_left_out'] = ++this.leftOut;
      return;
    }
    const facts = this.start?.streams ?? [];
    const line = (one: StreamInterval, sends: boolean) => ({
      ...amounts(one.count, start, end, end - start),
      ...(this.isUdp ? this.datagrams(one, sends) : tcpPart(one)),
      omitted,
      sender: sends,
    });
    const entries = streams.map((one, at) => {
      const { socket = 0, sends = false } = facts[at] ?? {};
      return { socket, ...line(one, sends) };
    });
    const sums = this.directions().map(([sends, reverse]) => {
      const chosen = streams.filter((_, at) => facts[at]?.sends === sends);
      const sum: StreamInterval = {
        count: totalOf(chosen),
        jitter: meanJitter(chosen),
        retransmits: totalRetransmits(chosen),
        path: undefined,
      };
      return [`sum${reverse}`, line(sum, sends)] as const;
    });
    this.value.intervals.push({ streams: entries, ...Object.fromEntries(sums) });
  }

  ended(report: EndReport, why?: Error): void {
    const { streams, cpu, peerCpu, congestion, peerCongestion, serverOutput } = report;
    const facts = this.start?.streams ?? [];
    const [sender, receiver] = facts[0]?.sends === true ? [congestion, peerCongestion] : [peerCongestion, congestion];
    this.value.end = {
      streams: streams.map((stream, at) => this.streamEnd(stream, facts[at])),
      ...this.sums(streams, facts),
      cpu_utilization_percent: { ...shares('host', cpu), ...shares('remote', peerCpu) },
      ...(sender !== undefined && { sender_tcp_congestion: sender }),
      ...(receiver !== undefined && { receiver_tcp_congestion: receiver }),
    };
    if (why !== undefined) this.failed(why);
    if (serverOutput === undefined) return;
    this.value[typeof serverOutput === 'string' ? 'server_output_text' : 'server_output_json'] = serverOutput;
  }

  failed(error: Error): void {
    this.value.error = failureText(error);
  }

  private get isUdp(): boolean {
    return this.start?.parameters.protocol === 'udp';
  }

  /** Whether a direction is that in which we send, and what its sums are called. */
  private directions(): readonly (readonly [boolean, string])[] {
    const { bidirectional = false, reverse = false } = this.start?.parameters ?? {};
    const isClient = this.start?.role === 'client';
    if (!bidirectional) return [[reverse !== isClient, '']];
    return [
      [isClient, ''],
      [!isClient, '_bidir_reverse'],
    ];
  }

  private streamEnd(
    { sent, received, path }: StreamEnd,
    { socket = 0, sends = false }: Partial<StreamFacts> = {},
  ): object {
    const [from, to] = [sent ?? NO_SIDE, received ?? NO_SIDE];
    if (this.isUdp) {
      const seconds = from.seconds || to.seconds;
      const { jitter } = to;
      const count = { ...(received ?? from).count, bytes: from.count.bytes };
      return {
        udp: {
          socket,
          ...amounts(count, 0, seconds, seconds),
          ...lossPart(count, jitter),
          out_of_order: count.outOfOrder,
          sender: sends,
        },
      };
    }
    const again = from.retransmits === undefined ? {} : { retransmits: from.retransmits };
    const seen = path && {
      max_snd_cwnd: path.congestionWindow,
      max_snd_wnd: path.sendWindow,
      max_rtt: micro(path.maxRtt),
      min_rtt: micro(path.minRtt),
      mean_rtt: micro(path.meanRtt),
    };
    return {
      sender: { socket, ...amounts(from.count, 0, from.seconds, from.seconds), ...again, ...seen, sender: sends },
      receiver: { socket, ...amounts(to.count, 0, to.seconds, to.seconds), sender: sends },
    };
  }

  private sums(streams: readonly StreamEnd[], facts: readonly StreamFacts[]): object {
    const entries = this.directions().flatMap(([sends, reverse]) => {
      const chosen = streams.filter((_, at) => facts[at]?.sends === sends);
      const sent = sumOfSides(chosen.map((one) => one.sent)) ?? NO_SIDE;
      const received = sumOfSides(chosen.map((one) => one.received)) ?? NO_SIDE;
      if (!this.isUdp)
        return [
          [`sum_sent${reverse}`, tcpSum(sent, sends)],
          [`sum_received${reverse}`, tcpSum({ ...received, retransmits: undefined }, sends)],
        ];
      const both = { ...received, count: { ...received.count, bytes: sent.count.bytes } };
      return [
        [`sum${reverse}`, udpSum(received === NO_SIDE ? sent : both, sends)],
        [`sum_sent${reverse}`, udpSum({ ...sent, jitter: 0, count: { ...sent.count, lost: 0 } }, true)],
        [`sum_received${reverse}`, udpSum(received, false)],
      ];
    });
    return Object.fromEntries(entries) as object;
  }

  private datagrams({ count, jitter }: StreamInterval, sends: boolean): object {
    return sends ? { packets: count.packets } : lossPart(count, jitter);
  }
}

function connected({ socket, local, remote }: StreamFacts): object {
  const named = (name: string, { address, port }: Endpoint) => ({
    [`${name}_host`]: address.toString(),
    [`${name}_port`]: port,
  });
  return { socket, ...named('local', local), ...named('remote', remote) };
}

function segmentOf(asked: number, found: number): object {
  return asked > 0 ? { tcp_mss: asked } : { tcp_mss_default: found };
}

function testStart({ parameters }: StartReport): object {
  const { protocol, parallel, length, omit, time, bytes, blocks, reverse, bidirectional, trafficClass, bitrate } =
    parameters;
  return {
    protocol: protocol.toUpperCase(),
    num_streams: parallel,
    blksize: length,
    omit,
    duration: time,
    bytes,
    blocks,
    reverse: reverse ? 1 : 0,
    tos: trafficClass,
    target_bitrate: bitrate,
    bidir: bidirectional ? 1 : 0,
  };
}

function amounts({ bytes }: Count, start: number, end: number, seconds: number): object {
  return { start, end, seconds, bytes, bits_per_second: seconds > 0 ? (bytes * 8) / seconds : 0 };
}

function tcpPart({ retransmits, path }: StreamInterval): object {
  return {
    ...(retransmits !== undefined && { retransmits }),
    ...(path && {
      snd_cwnd: path.congestionWindow,
      snd_wnd: path.sendWindow,
      rtt: micro(path.rtt),
      rttvar: micro(path.rttVariation),
      pmtu: path.mtu,
    }),
  };
}

function lossPart({ packets, lost }: Count, jitter: number): object {
  const percent = packets > 0 ? (lost / packets) * 100 : 0;
  return { jitter_ms: jitter, lost_packets: lost, packets, lost_percent: percent };
}

function tcpSum({ count, seconds, retransmits }: SideReport, sends: boolean): object {
  return { ...amounts(count, 0, seconds, seconds), ...(retransmits !== undefined && { retransmits }), sender: sends };
}

function udpSum({ count, seconds, jitter }: SideReport, sends: boolean): object {
  return { ...amounts(count, 0, seconds, seconds), ...lossPart(count, jitter), sender: sends };
}

function shares(name: string, { total, user, system }: CpuShare): object {
  return { [`${name}_total`]: total, [`${name}_user`]: user, [`${name}_system`]: system };
}

function micro(milliseconds: number): number {
  return Math.round(milliseconds * 1000);
}
