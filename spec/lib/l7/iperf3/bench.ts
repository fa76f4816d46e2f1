/** Two hosts, a server of ours on one, and clients on the other, in virtual time. */

import { anyEndpoint } from '../../../../lib/l4/udp.js';
import { IperfClient } from '../../../../lib/l7/iperf3/client.js';
import type { IperfError } from '../../../../lib/l7/iperf3/failure.js';
import { JsonReport } from '../../../../lib/l7/iperf3/json-report.js';
import { IPERF_PORT } from '../../../../lib/l7/iperf3/messages.js';
import { DEFAULT_PARAMETERS, type IperfParameters } from '../../../../lib/l7/iperf3/parameters.js';
import type { EndReport, IntervalReport, IperfObserver, StartReport } from '../../../../lib/l7/iperf3/report.js';
import { IperfServer } from '../../../../lib/l7/iperf3/server.js';
import type { IperfPrinter } from '../../../../lib/l7/iperf3/session.js';
import { TextReport } from '../../../../lib/l7/iperf3/text-report.js';
import type { Impairments } from '../../../../lib/l2/impairment.js';
import { type Network, network } from '../../../../operators/testing/index.js';
import type { VersionFacts } from '../../../both-versions.js';

/** All that was told of a test. */
export class Log implements IperfPrinter {
  begun: StartReport | undefined = undefined;
  readonly intervals: IntervalReport[] = [];
  end: EndReport | undefined = undefined;
  error: Error | undefined = undefined;
  readonly lines: string[] = [];
  readonly json: JsonReport = new JsonReport({ wallClock: () => 0, timeText: () => 'now', systemInfo: 'none' });
  private readonly observers: readonly IperfObserver[];

  constructor() {
    this.observers = [new TextReport({ print: (line) => void this.lines.push(line) }), this.json];
  }

  /** Whether the test is over. */
  get over(): boolean {
    return this.end !== undefined || this.error !== undefined;
  }

  started(report: StartReport): void {
    this.begun = report;
    for (const one of this.observers) one.started(report);
  }

  interval(report: IntervalReport): void {
    this.intervals.push(report);
    for (const one of this.observers) one.interval(report);
  }

  ended(report: EndReport, why?: Error): void {
    this.end = report;
    this.error = why;
    for (const one of this.observers) one.ended(report, why);
  }

  failed(error: Error): void {
    this.error = error;
    for (const one of this.observers) one.failed(error);
  }

  output(): string {
    return this.lines.join('\n');
  }
}

/** Bits a second. */
export const MEGABIT = 1_000_000;

/** See the module. */
export class IperfBench {
  readonly net: Network<'server' | 'client'>;
  readonly server: IperfServer;
  readonly tests: Log[] = [];
  readonly outcomes: (IperfError | undefined)[] = [];
  readonly facts: VersionFacts;

  constructor(facts: VersionFacts, impair: Impairments = {}, oneOff = false) {
    this.facts = facts;
    const { a, b, cidr } = facts;
    this.net = network({
      hosts: { server: cidr(a), client: cidr(b) },
      links: { lan: { impair: { delay: 1, rate: 20 * MEGABIT, ...impair } } },
    });
    this.server = new IperfServer(this.net.hosts.server, this.net.hosts.server, {
      local: anyEndpoint(6, IPERF_PORT),
      oneOff,
      printer: () => {
        const log = new Log();
        this.tests.push(log);
        return log;
      },
      tested: (error) => void this.outcomes.push(error),
    });
  }

  /** Starts a client. */
  start(parameters: Partial<IperfParameters>, interval = 1000): { readonly client: IperfClient; readonly log: Log } {
    const log = new Log();
    const { client: host } = this.net.hosts;
    const client = new IperfClient(host, host, {
      server: { address: this.facts.a, port: IPERF_PORT },
      parameters: { ...DEFAULT_PARAMETERS, ...parameters },
      interval,
      observer: log,
    });
    return { client, log };
  }

  /** Runs a test to its end. */
  run(parameters: Partial<IperfParameters>, interval?: number): Log {
    const { log } = this.start(parameters, interval);
    for (let i = 0; i < 600 && !log.over; i++) this.net.runFor(100);
    return log;
  }

  /** Ends everything; nothing may be left. */
  close(): void {
    this.server.close();
    this.net.run();
    this.net.assertIdle();
    this.net.dispose();
  }
}
