/** `rx-netstack iperf3`: measures this stack against the program of that name, or against itself, as the server or the client. */

import type { CpuTime, IperfOutside } from '../lib/l7/iperf3/stream.js';
import { NetError } from '../lib/core/errors.js';
import { anyEndpoint } from '../lib/l4/udp.js';
import { IperfClient } from '../lib/l7/iperf3/client.js';
import { JsonReport } from '../lib/l7/iperf3/json-report.js';
import { IPERF_PORT } from '../lib/l7/iperf3/messages.js';
import type { EndReport, IntervalReport, StartReport } from '../lib/l7/iperf3/report.js';
import { IperfServer } from '../lib/l7/iperf3/server.js';
import type { IperfPrinter } from '../lib/l7/iperf3/session.js';
import { TextReport } from '../lib/l7/iperf3/text-report.js';
import { ArgumentError, parseArguments } from './args.js';
import { type Command, CommandError, type Io } from './command.js';
import { addressOf, destinationOf, netText } from './destination.js';
import { HOST_USAGE, hostSetting, PLACE } from './host-options.js';
import { checkRole, IPERF_OPTIONS, type IperfValues, parametersOf } from './iperf3-options.js';
import { type RunningHost, withHost } from './running-host.js';

const PROGRAM = 'rx-netstack iperf3';
/** All that there is, as one table. */
const OPTIONS = { ...IPERF_OPTIONS } as const;
const DEFAULT_INTERVAL = 1000;
const RULE = '-----------------------------------------------------------';

/** The command. */
export const iperf3: Command = {
  name: 'iperf3',
  summary:
    'Measure from a host of our own on a TAP interface, with iperf3 or another of ours as the other side; needs root.',
  usage: `--server [--port N] [--one-off] [--interval SECONDS] [--json] ${HOST_USAGE}
--client HOST [--port N] [--udp] [--reverse | --bidir] [--parallel N] [--time SECONDS | --bytes N | --blockcount N] [--bitrate RATE] ${HOST_USAGE}`,
  options: OPTIONS,
  examples: [
    [`iperf3 -s ${PLACE}`, 'now iperf3 -c 10.77.0.2, with -R, -P 8, --bidir, -u -b 0...'],
    [`iperf3 -c 10.77.0.1 -t 5 -P 4 ${PLACE}`, 'where iperf3 -s runs on the other side'],
    [`iperf3 -c 10.77.0.1 -u -b 100M -R -J ${PLACE} | jq .end.sum`, 'datagrams from there to here'],
  ],
  async run(args, io) {
    const { positionals, values } = parseArguments(args, OPTIONS);
    if (positionals.length > 0) throw new ArgumentError(`what is ${JSON.stringify(positionals[0])}?`);
    checkRole(values);
    const parameters = parametersOf(values);
    const { client } = values;
    const destination = client === undefined ? undefined : destinationOf([client], values);
    const setting = hostSetting(values);
    try {
      return await withHost(setting, io, PROGRAM, async (running) => {
        if (destination === undefined) return serve(running, values, io);
        const server = { address: await addressOf(destination, running), port: values.port ?? IPERF_PORT };
        return measure(running, values, io, (printer) => {
          const { interval = DEFAULT_INTERVAL } = values;
          return new IperfClient(running.me, outside(running), { server, parameters, interval, observer: printer });
        });
      });
    } catch (error) {
      throw error instanceof NetError ? new CommandError(netText(error)) : error;
    }
  },
};

/** Prints what a test tells, as text at once or as JSON in the end. */
class Printer implements IperfPrinter {
  private readonly write: (text: string) => void;
  private readonly isJson: boolean;
  private readonly text: TextReport;
  private readonly json: JsonReport;
  private readonly printed: string[] = [];
  private readonly done: (error: Error | undefined) => void;

  constructor(
    { json, format, title }: IperfValues,
    io: Io,
    done: (error: Error | undefined) => void = () => undefined,
  ) {
    const prefix = title === undefined ? '' : `${title}:  `;
    this.isJson = json;
    this.done = done;
    this.write = (text) => void io.stdout.write(text);
    const print = (line: string) => {
      this.printed.push(`${line}\n`);
      this.write(`${prefix}${line}\n`);
    };
    this.text = new TextReport({ print, format: format?.[0] });
    this.json = new JsonReport({
      wallClock: () => Date.now(),
      timeText: (milliseconds) => new Date(milliseconds).toUTCString(),
      systemInfo: `Node ${process.version} ${process.platform} ${process.arch}`,
    });
  }

  started(report: StartReport): void {
    this.json.started(report);
    if (!this.isJson) this.text.started(report);
  }

  interval(report: IntervalReport): void {
    if (this.isJson) this.json.interval(report);
    else this.text.interval(report);
  }

  ended(report: EndReport): void {
    this.json.ended(report);
    if (!this.isJson) this.text.ended(report);
    this.end(undefined);
  }

  failed(error: Error): void {
    this.json.failed(error);
    this.end(error);
  }

  output(): string | object {
    return this.isJson ? this.json.toJSON() : this.printed.join('');
  }

  private end(error: Error | undefined): void {
    if (this.isJson) this.write(`${JSON.stringify(this.json, undefined, 2)}\n`);
    this.done(error);
  }
}

function outside({ env }: RunningHost): IperfOutside {
  return { env, soon: (work) => void setImmediate(work), cpu: cpuTime };
}

function cpuTime(): CpuTime {
  const { user, system } = process.cpuUsage();
  return { user: user / 1000, system: system / 1000 };
}

/** Runs a client to its end. */
async function measure(
  running: RunningHost,
  values: IperfValues,
  io: Io,
  start: (printer: IperfPrinter) => IperfClient,
): Promise<number> {
  const first = await new Promise<Error | undefined>((resolve, reject) => {
    const client = start(new Printer(values, io, resolve));
    running.ended().then(() => {
      client.stop();
      resolve(undefined);
    }, reject);
  });
  if (first === undefined) return 0;
  if (values.json) return 1;
  throw new CommandError(first.message);
}

/** Runs a server until it is told to end, or one test is over. */
async function serve(running: RunningHost, values: IperfValues, io: Io): Promise<number> {
  const { port = IPERF_PORT, json, interval = DEFAULT_INTERVAL, ipv4 } = values;
  await running.settled();
  const complain = (error: Error | undefined) => {
    if (error !== undefined && !json) io.stderr.write(`${PROGRAM}: ${error.message}\n`);
  };
  let tests = 0;
  const listening = () => {
    if (json) io.stderr.write(`listening on ${port}\n`);
    else io.stdout.write(`${RULE}\nServer listening on ${port} (test #${tests + 1})\n${RULE}\n`);
  };
  let server: IperfServer | undefined;
  const one = new Promise<Error | undefined>((resolve) => {
    server = new IperfServer(running.me, outside(running), {
      local: anyEndpoint(ipv4 ? 4 : 6, port),
      interval,
      oneOff: values['one-off'],
      printer: () => new Printer(values, io),
      tested: (error) => {
        tests++;
        complain(error);
        if (!values['one-off']) listening();
      },
      ended: resolve,
    });
  });
  listening();
  try {
    const ended = await Promise.race([one, running.ended()]);
    return ended === undefined ? 0 : 1;
  } finally {
    server?.close();
  }
}
