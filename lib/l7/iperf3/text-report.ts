/** Reports as lines of text, in the program's columns, so that what reads its output reads ours. */

import { type Count, NOTHING } from './account.js';
import { failureText } from './failure.js';
import type { EndReport, IntervalReport, IperfObserver, SideReport, StartReport, StreamInterval } from './report.js';
import type { StreamFacts } from './stream.js';
import { bytesText, rateText } from './units.js';

/** How lines are made. */
export interface TextReportOptions {
  /** Writes a line; it has no end of its own. */
  readonly print: (line: string) => void;
  /** The unit of rates; see {@link rateText}. */
  readonly format?: string | undefined;
}

const RULE = '- - - - - - - - - - - - - - - - - - - - - - - - -';

/** What a line says besides the amounts. */
interface Line {
  readonly label: string;
  readonly start: number;
  readonly end: number;
  readonly count: Count;
  /** What stands behind the rate. */
  readonly rest: string;
}

/** See the module. */
export class TextReport implements IperfObserver {
  private readonly options: TextReportOptions;
  private start: StartReport | undefined = undefined;
  private intervals = 0;

  constructor(options: TextReportOptions) {
    this.options = options;
  }

  started(report: StartReport): void {
    this.start = report;
    this.intervals = 0;
    const { role, peer, streams } = report;
    const { print } = this.options;
    const where = `${peer.address.toString()}, port ${peer.port}`;
    print(role === 'client' ? `Connecting to host ${where}` : `Accepted connection from ${where}`);
    for (const { socket, local, remote } of streams) {
      const [from, to] = [local, remote].map(({ address, port }) => `${address.toString()} port ${port}`);
      print(`[${String(socket).padStart(3)}] local ${from} connected to ${to}`);
    }
    this.head(true);
  }

  interval({ start, end, omitted, streams }: IntervalReport): void {
    const facts = this.start?.streams ?? [];
    if (this.intervals++ > 0 && facts.length > 1) this.options.print(RULE);
    const mark = omitted ? '(omitted)' : '';
    for (const [at, one] of streams.entries()) {
      const stream = facts[at];
      if (stream === undefined) continue;
      const rest = this.intervalRest(one, stream.sends) + mark;
      this.line({ label: this.label(stream), start, end, count: one.count, rest });
    }
    for (const sends of [true, false]) {
      const chosen = streams.filter((_, at) => facts[at]?.sends === sends);
      if (chosen.length < 2) continue;
      const rest = this.intervalRest(sumOf(chosen), sends) + mark;
      this.line({ label: this.sumLabel(sends), start, end, count: totalOf(chosen), rest });
    }
  }

  ended({ streams, serverOutput }: EndReport): void {
    const facts = this.start?.streams ?? [];
    const { print } = this.options;
    print(RULE);
    this.head(false);
    for (const [at, { sent, received }] of streams.entries()) {
      const stream = facts[at];
      if (stream === undefined) continue;
      this.side(this.label(stream), sent, 'sender');
      this.side(this.label(stream), received, 'receiver');
    }
    for (const sends of [true, false]) {
      const chosen = streams.filter((_, at) => facts[at]?.sends === sends);
      if (chosen.length < 2) continue;
      this.side(this.sumLabel(sends), sumOfSides(chosen.map(({ sent }) => sent)), 'sender');
      this.side(this.sumLabel(sends), sumOfSides(chosen.map(({ received }) => received)), 'receiver');
    }
    if (serverOutput !== undefined) this.server(serverOutput);
  }

  failed(error: Error): void {
    this.options.print(`iperf3: ${failureText(error)}`);
  }

  private server(output: string | object): void {
    const { print } = this.options;
    const isText = typeof output === 'string';
    print(isText ? '\nServer output:' : '\nServer JSON output:');
    print(isText ? output : JSON.stringify(output, undefined, 2));
  }

  private get isUdp(): boolean {
    return this.start?.parameters.protocol === 'udp';
  }

  private get isBidirectional(): boolean {
    return this.start?.parameters.bidirectional === true;
  }

  private head(periodic: boolean): void {
    const sends = this.start?.streams.some((stream) => stream.sends) === true;
    const role = this.isBidirectional ? '[Role]' : '';
    const shown = `[ ID]${role} Interval           Transfer     Bitrate`;
    // A client learns from the server what that sent again.
    const again = sends || (!periodic && this.start?.role === 'client');
    const rest = this.isUdp
      ? periodic && sends && !this.isBidirectional
        ? '         Total Datagrams'
        : '         Jitter    Lost/Total Datagrams'
      : again
        ? `         Retr${periodic ? '  Cwnd' : ''}`
        : '';
    this.options.print(shown + rest);
  }

  private label({ socket, sends }: StreamFacts): string {
    return `[${String(socket).padStart(3)}]${this.role(sends)}`;
  }

  private sumLabel(sends: boolean): string {
    return `[SUM]${this.role(sends)}`;
  }

  private role(sends: boolean): string {
    if (!this.isBidirectional) return '';
    return `[${sends ? 'TX' : 'RX'}-${this.start?.role === 'client' ? 'C' : 'S'}]`;
  }

  private line({ label, start, end, count, rest }: Line): void {
    const seconds = end - start;
    const rate = rateText(seconds > 0 ? (count.bytes * 8) / seconds : 0, this.options.format);
    const times = `${start.toFixed(2).padStart(6)}-${end.toFixed(2).padEnd(6)}`;
    this.options.print(`${label} ${times} sec  ${bytesText(count.bytes)}  ${rate}  ${rest}`.trimEnd());
  }

  private intervalRest({ count, jitter, retransmits, path }: StreamInterval, sends: boolean): string {
    if (this.isUdp) return sends ? `${String(count.packets).padEnd(3)}  ` : `${datagrams(count, jitter)}  `;
    if (retransmits === undefined) return '                ';
    const window = path === undefined ? '' : bytesText(path.congestionWindow);
    return `${String(retransmits).padStart(3)}   ${window.padEnd(13)}  `;
  }

  private side(label: string, side: SideReport | undefined, who: 'sender' | 'receiver'): void {
    if (side === undefined) return;
    const { count, seconds, jitter, retransmits } = side;
    const again = retransmits === undefined ? '' : String(retransmits).padStart(3);
    const rest = this.isUdp ? `${datagrams(count, who === 'sender' ? 0 : jitter)}  ` : again.padEnd(16);
    this.line({ label, start: 0, end: seconds, count, rest: rest + who });
  }
}

function datagrams({ packets, lost }: Count, jitter: number): string {
  const share = packets > 0 ? (lost / packets) * 100 : 0;
  return `${jitter.toFixed(3)} ms  ${lost}/${packets} (${Number(share.toPrecision(2))}%)`;
}

/** The counts of several streams together. */
export function totalOf(streams: readonly { readonly count: Count }[]): Count {
  return streams.reduce<Count>(
    (sum, { count }) => ({
      bytes: sum.bytes + count.bytes,
      packets: sum.packets + count.packets,
      lost: sum.lost + count.lost,
      outOfOrder: sum.outOfOrder + count.outOfOrder,
    }),
    NOTHING,
  );
}

function sumOf(streams: readonly StreamInterval[]): StreamInterval {
  return {
    count: totalOf(streams),
    jitter: meanJitter(streams),
    retransmits: totalRetransmits(streams),
    path: undefined,
  };
}

/** The mean of the streams' jitter, in milliseconds. */
export function meanJitter(streams: readonly { readonly jitter: number }[]): number {
  return streams.reduce((sum, { jitter }) => sum + jitter, 0) / Math.max(1, streams.length);
}

/** What was sent again; `undefined` where nobody says. */
export function totalRetransmits(streams: readonly { readonly retransmits: number | undefined }[]): number | undefined {
  const known = streams.flatMap(({ retransmits }) => (retransmits === undefined ? [] : [retransmits]));
  return known.length === 0 ? undefined : known.reduce((sum, one) => sum + one, 0);
}

/** One side of several streams together; `undefined` where nothing is known of any. */
export function sumOfSides(sides: readonly (SideReport | undefined)[]): SideReport | undefined {
  const known = sides.filter((side) => side !== undefined);
  if (known.length === 0) return undefined;
  return {
    count: totalOf(known),
    seconds: Math.max(...known.map(({ seconds }) => seconds)),
    jitter: meanJitter(known),
    retransmits: totalRetransmits(known),
  };
}
