/** `rx-netstack host`: a host of this stack on a TAP interface, with small services, until it is told to end. */

import type { Subscription } from 'rxjs';
import { PcapngWriter } from '../lib/capture/pcapng-writer.js';
import { type Cidr, Ipv4Address, MacAddress } from '../lib/core/address.js';
import type { Device } from '../lib/core/device.js';
import type { Env } from '../lib/core/env.js';
import { FileSink } from '../drivers/file-sink.js';
import { capture } from '../operators/observe/capture.js';
import { countPackets, PacketCounter } from '../operators/observe/count.js';
import { type Host, host as makeHost, type HostConflict } from '../operators/stack/host.js';
import { environment } from '../operators/time/environment.js';
import {
  ArgumentError,
  flag,
  ipv4Address,
  mac,
  parseArguments,
  prefix,
  text,
  type Values,
  whole,
  words,
} from './args.js';
import { type Command, CommandError, type Io, messageOf, print } from './command.js';
import { type RunningServices, SERVICE_NAMES, servicePorts, startServices } from './services.js';
import { type Statistics, statisticsTable } from './statistics.js';

const OPTIONS = {
  tap: text('NAME', 'The TAP interface: opened if it is there, else made, and removed at the end.'),
  address: prefix('ADDRESS/LENGTH', 'Our address and its network.'),
  peer: prefix('ADDRESS/LENGTH', "An address for the kernel's side."),
  gateway: ipv4Address('IP', 'The router to everywhere else.'),
  mac: mac('MAC', 'Our MAC address; otherwise one is drawn.'),
  mtu: whole('N', 'Largest IP packet in bytes, on both sides; 1500 otherwise.', 576, 65_521),
  pcap: text('FILE', 'Write all packets, both directions, to a pcapng file.'),
  serve: words('LIST', `Services, joined by commas: ${servicePorts(SERVICE_NAMES).join(', ')}.`, SERVICE_NAMES),
  json: flag('Tell that it is ready (on standard error), and the statistics, as JSON objects of one line.'),
} as const;

/** How long connections may take to end in an orderly way, in milliseconds. */
const FAREWELL = 300;
const FAREWELL_STEP = 20;

/** The command. */
export const host: Command = {
  name: 'host',
  summary: 'Be a host on a TAP interface: answer ARP and ping, serve TCP and UDP; needs root.',
  usage: `--tap NAME --address 10.77.0.2/24 [--peer 10.77.0.1/24] [--gateway IP] [--mac MAC] [--mtu N]
    [--pcap FILE] [--serve ${SERVICE_NAMES.join(',')}] [--json]`.replace(/\n\s+/, ' '),
  options: OPTIONS,
  examples: [
    ['host --tap tap0 --address 10.77.0.2/24 --peer 10.77.0.1/24', 'now ping 10.77.0.2'],
    [
      'host --tap tap0 --address 10.77.0.2/24 --peer 10.77.0.1/24 --serve echo,http --pcap host.pcapng',
      'now curl http://10.77.0.2/, or nc 10.77.0.2 7; the packets are kept',
    ],
    [
      'host --tap tap0 --address 10.77.0.2/24 --peer 10.77.0.1/24 --gateway 10.77.0.1 --json | jq .drops',
      'statistics at the end for other programs',
    ],
  ],
  async run(args, io) {
    const { positionals, values } = parseArguments(args, OPTIONS);
    if (positionals.length > 0) throw new ArgumentError(`what is ${JSON.stringify(positionals[0])}?`);
    const { tap, address } = values;
    if (tap === undefined) throw new ArgumentError('name an interface with --tap');
    if (address === undefined) throw new ArgumentError('give our address with --address');
    if (address.address.version !== 4) throw new ArgumentError('--address: IPv6 is not implemented yet');
    if (values.gateway !== undefined && !address.contains(values.gateway))
      throw new ArgumentError(`--gateway ${values.gateway.toString()} is not in the network of ${address.toString()}`);
    return runHost({ tap, address, values }, io);
  },
};

interface Setting {
  readonly tap: string;
  readonly address: Cidr;
  readonly values: Values<typeof OPTIONS>;
}

/** Everything that runs, and has to be ended. */
interface Running {
  readonly env: Env;
  readonly device: Device;
  readonly me: Host;
  readonly services: RunningServices;
  readonly pipeline: Subscription;
  readonly statistics: () => Statistics;
}

async function runHost(setting: Setting, io: Io): Promise<number> {
  const { json, pcap } = setting.values;
  const env = environment();
  const file = pcap === undefined ? undefined : openCapture(pcap, io);
  try {
    const device = await openDevice(setting, env);
    let end: (failure?: unknown) => void = () => undefined;
    const ended = new Promise<unknown>((resolve) => {
      end = resolve;
    });
    io.signal.addEventListener('abort', () => end());
    if (io.signal.aborted) end();
    try {
      const running = start(setting, device, file, env, io, end);
      announce(running, setting, io);
      const failure = await ended;
      await finish(running);
      const statistics = running.statistics();
      await write(io, json ? `${JSON.stringify(statistics)}\n` : statisticsTable(statistics));
      if (failure !== undefined) throw new CommandError(`${device.name}: ${messageOf(failure)}`);
    } finally {
      await device.close();
    }
  } finally {
    closeCapture(file, pcap, io);
  }
  return 0;
}

async function openDevice({ tap, values }: Setting, env: Env): Promise<Device> {
  const { mac: own, mtu, peer } = values;
  try {
    const { openTap } = await import('../drivers/tap.js');
    return openTap(
      {
        name: tap,
        ...(own === undefined ? {} : { mac: own }),
        ...(mtu === undefined ? {} : { mtu }),
        ...(peer === undefined ? {} : { peer: [peer] }),
      },
      env,
    );
  } catch (error) {
    throw new CommandError(`cannot open ${tap}: ${messageOf(error)}`);
  }
}

function openCapture(path: string, io: Io): FileSink {
  try {
    return new FileSink(path, {
      onError: (error) => io.stderr.write(`rx-netstack host: warning: cannot write ${path}: ${messageOf(error)}\n`),
    });
  } catch (error) {
    throw new CommandError(`cannot write ${path}: ${messageOf(error)}`);
  }
}

function closeCapture(file: FileSink | undefined, path: string | undefined, io: Io): void {
  try {
    file?.close();
  } catch (error) {
    io.stderr.write(`rx-netstack host: warning: ${path} is not complete: ${messageOf(error)}\n`);
  }
}

function start(
  { address, values }: Setting,
  device: Device,
  file: FileSink | undefined,
  env: Env,
  io: Io,
  failed: (error: unknown) => void,
): Running {
  const { gateway, serve = [] } = values;
  const started = env.timers.now();
  const me = makeHost(
    { device, addresses: [address], announce: true, ...(gateway === undefined ? {} : { gateway }) },
    env,
  );
  const received = new PacketCounter();
  const sent = new PacketCounter();
  const statistics = (): Statistics => {
    const { drops, connections, ...counters } = me.stats();
    const uptime = Math.round(env.timers.now() - started) / 1000;
    return { uptime, counters: { received: received.toJSON(), sent: sent.toJSON(), ...counters }, drops, connections };
  };
  me.conflicts$.subscribe((conflict) => io.stderr.write(`rx-netstack host: warning: ${conflictText(conflict)}\n`));
  const services = startServices(serve, me, statistics);
  const writer = file === undefined ? undefined : new PcapngWriter(file, { application: 'rx-netstack' });
  const { name } = device;
  const incoming$ = device.frames$.pipe(countPackets(received));
  const captured$ =
    writer === undefined ? incoming$ : incoming$.pipe(capture(writer, { name, direction: 'inbound' }, env));
  const outgoing$ = captured$.pipe(me, countPackets(sent));
  const frames$ =
    writer === undefined ? outgoing$ : outgoing$.pipe(capture(writer, { name, direction: 'outbound' }, env));
  const pipeline = frames$.subscribe({
    ...device.sink,
    error: failed,
    complete: () => failed(new CommandError('the interface is gone')),
  });
  return { env, device, me, services, pipeline, statistics };
}

/** Tells people and scripts that it runs; not on standard output, which has nothing but the statistics. */
function announce({ device, services }: Running, { address, values }: Setting, io: Io): void {
  const own = { device: device.name, mac: device.mac.toString(), mtu: device.mtu, address: address.toString() };
  if (values.json) {
    io.stderr.write(`${JSON.stringify({ ready: true, ...own, services: services.names })}\n`);
    return;
  }
  const serving = services.names.length === 0 ? '' : `, serving ${servicePorts(services.names).join(', ')}`;
  io.stderr.write(`ready: ${own.address} at ${own.mac} on ${own.device}${serving} (Ctrl-C ends it)\n`);
}

/** Services first, then their connections, then the stack; the interface goes last. */
async function finish({ env, me, services, pipeline }: Running): Promise<void> {
  await services.close();
  const lingering = () => [...me.tcp.connections()].filter(({ state }) => state !== 'TIME-WAIT');
  const end = env.timers.now() + FAREWELL;
  while (lingering().length > 0 && env.timers.now() < end) await later(env, FAREWELL_STEP);
  for (const connection of lingering()) connection.abort();
  // Resets leave with the microtask, before nobody is subscribed.
  await later(env, 0);
  pipeline.unsubscribe();
}

function later(env: Env, milliseconds: number): Promise<void> {
  return new Promise((resolve) => env.timers.timer(resolve).arm(env.timers.now() + milliseconds));
}

function conflictText({ address, mac: other, kind }: HostConflict): string {
  const outcome = {
    defended: 'we said again that it is ours',
    persistent: 'it goes on: one of the two hosts needs another address',
    probing: 'it must not be taken',
  };
  return `another host, ${new MacAddress(other).toString()}, uses ${new Ipv4Address(address).toString()}; ${outcome[kind]}`;
}

/** The signal that ended us must not keep the statistics from being printed. */
function write(io: Io, out: string): Promise<void> {
  return print({ ...io, signal: new AbortController().signal }, out);
}
