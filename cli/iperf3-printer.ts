/** Prints what a test of iperf3 tells: text at once, or JSON in the end. */

import { JsonReport } from '../lib/l7/iperf3/json-report.js';
import { MAX_MESSAGE, MAX_RESULTS } from '../lib/l7/iperf3/messages.js';
import type { EndReport, IntervalReport, IperfObserver, StartReport } from '../lib/l7/iperf3/report.js';
import type { IperfPrinter as Printer } from '../lib/l7/iperf3/session.js';
import { TextReport } from '../lib/l7/iperf3/text-report.js';
import type { IperfValues } from './iperf3-options.js';

/** What may be handed over besides the results of all streams. */
const MOST_OUTPUT = MAX_RESULTS - MAX_MESSAGE;

/** Lines for a client that asked for them, as many as may be handed over. */
class Lines {
  private readonly lines: string[] = [];
  private room = 0;

  begin({ role, parameters }: StartReport): void {
    this.room = role === 'server' && parameters.serverOutput ? MOST_OUTPUT : 0;
  }

  add(line: string): void {
    // As a part of a string, without quotation marks.
    this.room -= JSON.stringify(line).length - 2;
    // None behind one that had no room.
    if (this.room < 0) this.room = 0;
    else this.lines.push(line);
  }

  toString(): string {
    return this.lines.join('');
  }
}

/** See the module. */
export class IperfPrinter implements Printer {
  private readonly write: (text: string) => void;
  private readonly report: IperfObserver;
  private readonly json: JsonReport | undefined;
  private readonly lines = new Lines();
  private readonly done: (error: Error | undefined) => void;

  /** @param done is told that the test is over, and why, unless all went well */
  constructor(
    { json, format, title }: Pick<IperfValues, 'json' | 'format' | 'title'>,
    write: (text: string) => void,
    done: (error: Error | undefined) => void = () => undefined,
  ) {
    const prefix = title === undefined ? '' : `${title}:  `;
    this.write = write;
    this.done = done;
    this.json = json ? makeJsonReport() : undefined;
    const print = (line: string) => {
      this.lines.add(`${line}\n`);
      write(`${prefix}${line}\n`);
    };
    this.report = this.json ?? new TextReport({ print, format: format?.[0] });
  }

  started(report: StartReport): void {
    this.lines.begin(report);
    this.report.started(report);
  }

  interval(report: IntervalReport): void {
    this.report.interval(report);
  }

  ended(report: EndReport, why?: Error): void {
    this.report.ended(report, why);
    this.end(why);
  }

  failed(error: Error): void {
    // In text it is for standard error.
    this.json?.failed(error);
    this.end(error);
  }

  output(): string | object {
    return this.json?.toJSON() ?? this.lines.toString();
  }

  private end(error: Error | undefined): void {
    if (this.json !== undefined) this.write(`${JSON.stringify(this.json, undefined, 2)}\n`);
    this.done(error);
  }
}

function makeJsonReport(): JsonReport {
  return new JsonReport({
    wallClock: () => Date.now(),
    timeText: (milliseconds) => new Date(milliseconds).toUTCString(),
    systemInfo: `Node ${process.version} ${process.platform} ${process.arch}`,
  });
}
