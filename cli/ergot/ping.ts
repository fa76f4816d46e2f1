/** `rx-netstack ergot ping`: numbers to a node of an ergot network, and what comes of them. */

import { fromEvent, lastValueFrom, of, takeUntil, tap } from 'rxjs';
import { ErgotError } from '../../lib/ergot/error.js';
import { netAddressText, parseNetAddress } from '../../lib/ergot/net-address.js';
import type { ErgotPingEvent } from '../../lib/ergot/services/ping.js';
import { ping as pingNode } from '../../operators/ergot/services/ping.js';
import { ArgumentError, flag, parseArguments, seconds, type Values, whole } from '../args.js';
import { type Command, CommandError, type Io, messageOf } from '../command.js';
import { milliseconds, Tally } from '../ping.js';
import { EDGE_OPTIONS, EDGE_USAGE, edgePlace, placeText } from './place.js';
import { joined, type RunningNode, withEdge } from './running-node.js';

const PROGRAM = 'rx-netstack ergot ping';

const OPTIONS = {
  count: whole('N', 'Stop after N requests; otherwise Ctrl-C ends it.', 1, 1e9, 'c'),
  interval: seconds('SECONDS', 'From request to request; 1 otherwise.', 0.001, 3600, 'i'),
  timeout: seconds('SECONDS', 'How long to wait for an answer; 1 otherwise.', 0.001, 3600, 'W'),
  quiet: flag('Print the statistics only.', 'q'),
  json: flag('Print one JSON object a line: each event, and the statistics.'),
  ...EDGE_OPTIONS,
} as const;

/** The command. */
export const ping: Command = {
  name: 'ergot ping',
  summary: 'Ping a node of an ergot network.',
  usage: `NETWORK.NODE[:PORT] ${EDGE_USAGE} [--count N] [--interval SECONDS] [--timeout SECONDS] [--quiet] [--json]`,
  options: OPTIONS,
  examples: [
    ['ergot ping 0.1 --tcp 2025', 'the router itself, until Ctrl-C'],
    ['ergot ping 2.2 --udp 10.0.0.1:2025 -c 3', 'three requests to a node of another network'],
  ],
  async run(args, io) {
    const { positionals, values } = parseArguments(args, OPTIONS);
    const to = destinationOf(positionals);
    const place = edgePlace(values);
    try {
      return await withEdge(place, false, io, async (running) => {
        return (await joined(running, placeText(place))) ? run(running, to, values, io) : 1;
      });
    } catch (error) {
      if (io.signal.aborted) return 1;
      if (!(error instanceof CommandError) && !(error instanceof ErgotError)) throw error;
      // As of ping: 1 is for no answer.
      io.stderr.write(`${PROGRAM}: ${messageOf(error)}\n`);
      return 2;
    }
  },
};

/** @throws ArgumentError */
function destinationOf([text, more]: readonly string[]): number {
  if (text === undefined) throw new ArgumentError('name a node, as 1.2 or 1.2:3');
  if (more !== undefined) throw new ArgumentError(`one node only: what is ${JSON.stringify(more)}?`);
  let to: number;
  try {
    to = parseNetAddress(text.includes(':') ? text : `${text}:0`);
  } catch {
    throw new ArgumentError(`${JSON.stringify(text)} is no node: write NETWORK.NODE or NETWORK.NODE:PORT, as 1.2`);
  }
  return to;
}

async function run(running: RunningNode, to: number, values: Values<typeof OPTIONS>, io: Io): Promise<number> {
  const { node, env, signal } = running;
  const { count, interval, timeout, quiet, json } = values;
  const tally = new Tally(env.timers.now());
  const write = (line: string) => void io.stdout.write(`${line}\n`);
  const name = netAddressText(to);
  if (!json) write(`PING ${name} from ${[...running.addresses().values()].join()}`);
  const options = {
    ...(count === undefined ? {} : { count }),
    ...(interval === undefined ? {} : { interval }),
    ...(timeout === undefined ? {} : { timeout }),
    onSent: () => tally.transmitted++,
  };
  const events$ = pingNode(node, to, options).pipe(
    tap((event) => {
      tally.add(event);
      if (!quiet) write(json ? JSON.stringify(eventJson(event)) : eventText(event));
    }),
    takeUntil(signal.aborted ? of(undefined) : fromEvent(signal, 'abort')),
  );
  await lastValueFrom(events$, { defaultValue: undefined });
  const time = env.timers.now() - tally.started;
  if (json) write(JSON.stringify({ destination: name, ...tally.toJSON(), time: round(time) }));
  else write(`\n--- ${name} ping statistics ---\n${tally.summary(time)}`);
  if (signal.aborted && !io.signal.aborted) await running.ended();
  return tally.received > 0 ? 0 : 1;
}

function eventText(event: ErgotPingEvent<number>): string {
  const { kind, sequence } = event;
  if (kind === 'timeout') return `no answer to seq=${sequence} in time`;
  if (kind === 'error') return `seq=${sequence}: ${event.error.message}`;
  const damaged = event.intact ? '' : ' (DAMAGED!)';
  return `answer from ${netAddressText(event.from)}: seq=${sequence} time=${milliseconds(event.rtt)} ms${damaged}`;
}

function eventJson(event: ErgotPingEvent<number>): object {
  if (event.kind === 'reply') return { ...event, from: netAddressText(event.from), rtt: round(event.rtt) };
  if (event.kind === 'timeout') return event;
  const { kind, sequence, error } = event;
  return { kind, sequence, code: error.code, error: error.message };
}

function round(time: number): number {
  return Math.round(time * 1000) / 1000;
}
