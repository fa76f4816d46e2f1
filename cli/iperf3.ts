/** `rx-netstack iperf3`: measures this stack against the program of that name, or against itself, as the server or the client. */

import type { CpuTime, IperfOutside } from '../lib/l7/iperf3/stream.js';
import { NetError } from '../lib/core/errors.js';
import { anyEndpoint } from '../lib/l4/udp.js';
import { IperfClient } from '../lib/l7/iperf3/client.js';
import { failureText, IperfError } from '../lib/l7/iperf3/failure.js';
import { IPERF_PORT } from '../lib/l7/iperf3/messages.js';
import { IperfServer } from '../lib/l7/iperf3/server.js';
import { ArgumentError, parseArguments } from './args.js';
import { type Command, CommandError, type Io, messageOf } from './command.js';
import { addressOf, destinationOf, netText } from './destination.js';
import { HOST_USAGE, hostSetting, PLACE } from './host-options.js';
import { checkRole, IPERF_OPTIONS, type IperfValues, parametersOf } from './iperf3-options.js';
import { IperfPrinter } from './iperf3-printer.js';
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

function writer({ stdout }: Io): (text: string) => void {
  return (text) => void stdout.write(text);
}

function outside({ env }: RunningHost): IperfOutside {
  return { env, soon: (work) => void setImmediate(work), cpu: cpuTime };
}

function cpuTime(): CpuTime {
  const { user, system } = process.cpuUsage();
  return { user: user / 1000, system: system / 1000 };
}

/** Runs a client to its end, which comes sooner where the user wants it. */
async function measure(
  running: RunningHost,
  values: IperfValues,
  io: Io,
  start: (printer: IperfPrinter) => IperfClient,
): Promise<number> {
  const failure = await new Promise<Error | undefined>((resolve) => {
    const client = start(new IperfPrinter(values, writer(io), resolve));
    running.ended().then(
      () => client.interrupt(),
      (error: unknown) => client.lost(new IperfError('ECONNRESET', messageOf(error))),
    );
  });
  if (failure === undefined) return 0;
  if (!values.json) io.stderr.write(`${PROGRAM}: ${failureText(failure)}\n`);
  return 1;
}

/** Runs a server until it is told to end, or one test is over. */
async function serve(running: RunningHost, values: IperfValues, io: Io): Promise<number> {
  const { port = IPERF_PORT, json, interval = DEFAULT_INTERVAL, ipv4, ipv6 } = values;
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
      ipv6Only: ipv6,
      interval,
      oneOff: values['one-off'],
      printer: () => new IperfPrinter(values, writer(io)),
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
