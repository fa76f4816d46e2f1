/** `rx-netstack traceroute`: the routers on the way from a host of ours to another one. */

import { concatMap, from, fromEvent, lastValueFrom, of, takeUntil, tap } from 'rxjs';
import type { IpAddress } from '../lib/core/address.js';
import { NetError } from '../lib/core/errors.js';
import type { TraceProbe } from '../lib/l7/trace-route.js';
import { traceRoute } from '../operators/l7/trace-route.js';
import { flag, parseArguments, seconds, type Values, whole } from './args.js';
import { type Command, CommandError, type Io } from './command.js';
import { addressOf, type Destination, destinationOf, netText, VERSION_OPTIONS } from './destination.js';
import { HOST_OPTIONS, HOST_USAGE, hostSetting, PLACE } from './host-options.js';
import { errorMark } from './icmp-text.js';
import { milliseconds } from './ping.js';
import { type RunningHost, withHost } from './running-host.js';

const PROGRAM = 'rx-netstack traceroute';
/** Nobody waits long for the name of a router, in milliseconds. */
const NAME_PATIENCE = 1000;

const OPTIONS = {
  icmp: flag('Send echo requests instead of UDP datagrams.', 'I'),
  'max-hops': whole('N', 'Look no further; 30 otherwise.', 1, 255, 'm'),
  'first-hop': whole('N', 'Begin with this hop; 1 otherwise.', 1, 255, 'f'),
  queries: whole('N', 'Probes for each hop; 3 otherwise.', 1, 10, 'q'),
  wait: seconds('SECONDS', 'How long to wait for an answer; 5 otherwise.', 0.01, 60, 'w'),
  port: whole('N', 'First UDP port; 33434 otherwise.', 1, 63_000, 'p'),
  size: whole('BYTES', 'Data in each probe; 32 otherwise.', 0, 65_000, 's'),
  ...VERSION_OPTIONS,
  numeric: flag('Do not ask for the names of routers.', 'n'),
  json: flag('Print one JSON object a line for each hop.'),
  ...HOST_OPTIONS,
} as const;

/** The command. */
export const traceroute: Command = {
  name: 'traceroute',
  summary: 'Find the routers on the way from a host of our own on a TAP interface to another host; needs root.',
  usage:
    `HOST [-4 | -6] [--icmp] [--max-hops N] [--first-hop N] [--queries N] [--wait SECONDS] [--port N] [--size BYTES] [--numeric] [--json]
    ${HOST_USAGE}`.replace(/\n\s+/, ' '),
  options: OPTIONS,
  examples: [
    [`traceroute 192.0.2.1 ${PLACE} --gateway 10.77.0.1`, 'with UDP datagrams'],
    [
      'traceroute 2001:db8::1 --icmp --queries 1 --tap tap0 --address fd77::2/64 --peer fd77::1/64 --gateway fd77::1',
      'with echo requests by IPv6, one for each hop',
    ],
    [
      `traceroute www.example.com ${PLACE} --gateway 10.77.0.1 --dns 10.77.0.1 --json`,
      'names, and results for programs',
    ],
  ],
  async run(args, io) {
    const { positionals, values } = parseArguments(args, OPTIONS);
    const destination = destinationOf(positionals, values);
    const setting = hostSetting(values);
    try {
      return await withHost(setting, io, PROGRAM, (running) => run(running, destination, values, io));
    } catch (error) {
      throw error instanceof NetError ? new CommandError(netText(error)) : error;
    }
  },
};

/** Probes of one hop, and the names of those who answered. */
interface Hop {
  readonly hop: number;
  readonly probes: readonly TraceProbe[];
  readonly names: ReadonlyMap<string, string>;
}

async function run(
  running: RunningHost,
  destination: Destination,
  values: Values<typeof OPTIONS>,
  io: Io,
): Promise<number> {
  const { me, env, signal } = running;
  const { icmp, queries = 3, wait, port, size = 32, json, numeric } = values;
  const { 'max-hops': maxHops = 30, 'first-hop': firstHop = 1 } = values;
  const address = await addressOf(destination, running);
  const options = {
    probes: icmp ? ('icmp' as const) : ('udp' as const),
    maxHops: Math.max(maxHops, firstHop),
    firstHop,
    queries,
    size,
    ...(wait === undefined ? {} : { timeout: wait }),
    ...(port === undefined ? {} : { port }),
  };
  const write = (line: string) => void io.stdout.write(`${line}\n`);
  const shown =
    address.toString() === destination.name ? destination.name : `${destination.name} (${address.toString()})`;
  if (!json) write(`traceroute to ${shown}, ${options.maxHops} hops at most, ${size} bytes of data`);
  let gathered: TraceProbe[] = [];
  let reached = false;
  const hops$ = traceRoute(me, address, options, env).pipe(
    concatMap((probe) => {
      gathered.push(probe);
      reached ||= probe.outcome === 'reached';
      if (probe.query < queries) return of();
      const probes = gathered;
      gathered = [];
      const asked = numeric || me.dns.getServers().length === 0 ? Promise.resolve(new Map()) : namesOf(probes, running);
      return from(asked.then((names): Hop => ({ hop: probe.hop, probes, names })));
    }),
    tap((hop) => write(json ? JSON.stringify(hopJson(hop)) : hopText(hop))),
    takeUntil(signal.aborted ? of(undefined) : fromEvent(signal, 'abort')),
  );
  await lastValueFrom(hops$, { defaultValue: undefined });
  if (signal.aborted && !io.signal.aborted) await running.ended();
  return reached ? 0 : 1;
}

async function namesOf(
  probes: readonly TraceProbe[],
  { me, signal }: RunningHost,
): Promise<ReadonlyMap<string, string>> {
  const who = new Map(probes.flatMap(({ from: one }) => (one === undefined ? [] : [[one.toString(), one] as const])));
  const patience = AbortSignal.any([signal, AbortSignal.timeout(NAME_PATIENCE)]);
  const named = [...who].map(async ([text, one]) => {
    const names = await me.dns.reverse(one, { signal: patience }).catch(() => []);
    return [text, names[0] ?? text] as const;
  });
  return new Map(await Promise.all(named));
}

/** Each address once, with the times of its probes behind it, as everybody knows it. */
function hopText({ hop, probes, names }: Hop): string {
  let last: string | undefined;
  const parts = probes.map(({ from: one, rtt, outcome }) => {
    if (one === undefined || rtt === undefined) return ' *';
    const text = one.toString();
    const who = text === last ? '' : `  ${nameOf(one, names)}`;
    last = text;
    const known = outcome === 'passed' || outcome === 'reached' || outcome === 'silent';
    return `${who}  ${milliseconds(rtt)} ms${known ? '' : ` ${errorMark(outcome)}`}`;
  });
  return `${String(hop).padStart(2)}${parts.join('')}`;
}

function nameOf(address: IpAddress, names: ReadonlyMap<string, string>): string {
  const text = address.toString();
  const name = names.get(text);
  return name === undefined || name === text ? text : `${name} (${text})`;
}

function hopJson({ hop, probes, names }: Hop): object {
  const answers = probes.map(({ from: one, rtt, outcome }) => {
    if (one === undefined || rtt === undefined) return { outcome };
    const name = names.get(one.toString());
    const named = name === undefined || name === one.toString() ? {} : { name };
    return { from: one.toString(), ...named, rtt: Math.round(rtt * 1000) / 1000, outcome };
  });
  return { hop, probes: answers };
}
