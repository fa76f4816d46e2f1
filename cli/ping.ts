/** `rx-netstack ping`: echo requests from a host of ours, and what comes of them, in the words of the well-known command. */

import { fromEvent, lastValueFrom, of, takeUntil, tap } from 'rxjs';
import type { IpAddress, IpVersion } from '../lib/core/address.js';
import { NetError } from '../lib/core/errors.js';
import type { PingEvent } from '../lib/l7/ping.js';
import { ping as pingHost } from '../operators/l7/ping.js';
import { flag, parseArguments, seconds, type Values, whole } from './args.js';
import { type Command, CommandError, type Io, messageOf } from './command.js';
import { addressOf, type Destination, destinationOf, netText, VERSION_OPTIONS } from './destination.js';
import { HOST_OPTIONS, HOST_USAGE, hostSetting, PLACE } from './host-options.js';
import { errorText } from './icmp-text.js';
import { type RunningHost, withHost } from './running-host.js';

const PROGRAM = 'rx-netstack ping';
/** Milliseconds to wait for a reply: longer than it takes to know that a neighbour is not there. */
const PATIENCE = 4000;

const OPTIONS = {
  count: whole('N', 'Stop after N requests; otherwise Ctrl-C ends it.', 1, 1e9, 'c'),
  interval: seconds('SECONDS', 'From request to request; 1 otherwise.', 0.001, 3600, 'i'),
  size: whole('BYTES', 'Data in each request; 56 otherwise.', 0, 65_507, 's'),
  ttl: whole('N', 'TTL or hop limit; 64 otherwise.', 1, 255, 't'),
  timeout: seconds('SECONDS', 'How long to wait for a reply; 4 otherwise.', 0.001, 3600, 'W'),
  ...VERSION_OPTIONS,
  quiet: flag('Print the statistics only.', 'q'),
  json: flag('Print one JSON object a line: each event, and the statistics.'),
  ...HOST_OPTIONS,
} as const;

/** The command. */
export const ping: Command = {
  name: 'ping',
  summary: 'Ping a host from a host of our own on a TAP interface; needs root.',
  usage:
    `HOST [-4 | -6] [--count N] [--interval SECONDS] [--size BYTES] [--ttl N] [--timeout SECONDS] [--quiet] [--json]
    ${HOST_USAGE}`.replace(/\n\s+/, ' '),
  options: OPTIONS,
  examples: [
    [`ping 10.77.0.1 ${PLACE}`, "the kernel's side of the cable, until Ctrl-C"],
    [
      'ping fd77::1 -c 3 -s 8000 --tap tap0 --address fd77::2/64 --peer fd77::1/64',
      'three requests in fragments, by IPv6',
    ],
    [
      `ping www.example.com -6 --json ${PLACE} --gateway 10.77.0.1 --dns 10.77.0.1`,
      'a name, found by our own resolver; results for other programs',
    ],
  ],
  async run(args, io) {
    const { positionals, values } = parseArguments(args, OPTIONS);
    const destination = destinationOf(positionals, values);
    const setting = hostSetting(values);
    try {
      return await withHost(setting, io, PROGRAM, (running) => run(running, destination, values, io));
    } catch (error) {
      if (io.signal.aborted) return 1;
      if (!(error instanceof CommandError) && !(error instanceof NetError)) throw error;
      // As the well-known command has it: 1 is for no reply.
      io.stderr.write(`${PROGRAM}: ${error instanceof NetError ? netText(error) : messageOf(error)}\n`);
      return 2;
    }
  },
};

async function run(
  running: RunningHost,
  destination: Destination,
  values: Values<typeof OPTIONS>,
  io: Io,
): Promise<number> {
  const { me, env, signal } = running;
  const { count, interval, size = 56, ttl, timeout = PATIENCE, quiet, json } = values;
  const address = await addressOf(destination, running);
  const tally = new Tally(env.timers.now());
  const write = (line: string) => void io.stdout.write(`${line}\n`);
  if (!json) write(headline(destination.name, address, size));
  const options = {
    size,
    timeout,
    ...(count === undefined ? {} : { count }),
    ...(interval === undefined ? {} : { interval }),
    ...(ttl === undefined ? {} : { hopLimit: ttl }),
    onSent: () => tally.transmitted++,
  };
  const events$ = pingHost(me.ping, address, options, env).pipe(
    tap((event) => {
      tally.add(event);
      if (!quiet) write(json ? JSON.stringify(eventJson(event)) : eventText(event, address.version));
    }),
    takeUntil(signal.aborted ? of(undefined) : fromEvent(signal, 'abort')),
  );
  await lastValueFrom(events$, { defaultValue: undefined });
  const time = env.timers.now() - tally.started;
  if (json) write(JSON.stringify({ destination: address, ...tally.toJSON(), time: round(time) }));
  else write(`\n--- ${destination.name} ping statistics ---\n${tally.summary(time)}`);
  if (signal.aborted && !io.signal.aborted) await running.ended();
  return tally.received > 0 ? 0 : 1;
}

function headline(name: string, address: IpAddress, size: number): string {
  const whole = size + 8 + (address.version === 4 ? 20 : 40);
  const shown = address.toString() === name ? name : `${name} (${address.toString()})`;
  return `PING ${shown}: ${size} bytes of data, ${whole} with headers`;
}

function eventText(event: PingEvent, version: IpVersion): string {
  const { sequence } = event;
  if (event.kind === 'timeout') return `no answer to icmp_seq=${sequence} in time`;
  const from = event.from.toString();
  if (event.kind === 'error') return `From ${from} icmp_seq=${sequence} ${errorText(event.error, event.mtu)}`;
  const { length, hopLimit, rtt, duplicate, intact } = event;
  const hops = version === 4 ? 'ttl' : 'hoplimit';
  const remarks = `${duplicate ? ' (DUP!)' : ''}${intact ? '' : ' (DAMAGED!)'}`;
  return `${length} bytes from ${from}: icmp_seq=${sequence} ${hops}=${hopLimit} time=${milliseconds(rtt)} ms${remarks}`;
}

function eventJson(event: PingEvent): object {
  return event.kind === 'reply' ? { ...event, rtt: round(event.rtt) } : event;
}

/** As many digits as say something. */
export function milliseconds(time: number): string {
  return time.toFixed(time < 1 ? 3 : time < 10 ? 2 : time < 100 ? 1 : 0);
}

function round(time: number): number {
  return Math.round(time * 1000) / 1000;
}

/** What {@link Tally} is told: of replies more than that they came. */
export type TallyEvent =
  | { readonly kind: 'reply'; readonly rtt: number; readonly duplicate?: boolean; readonly intact: boolean }
  | { readonly kind: 'error' | 'timeout' };

/** Statistics of a run. */
export class Tally {
  readonly started: number;
  transmitted = 0;
  received = 0;
  duplicates = 0;
  damaged = 0;
  errors = 0;
  private least = Number.POSITIVE_INFINITY;
  private most = 0;
  private sum = 0;
  private squares = 0;

  constructor(started: number) {
    this.started = started;
  }

  add(event: TallyEvent): void {
    if (event.kind === 'error') this.errors++;
    if (event.kind !== 'reply') return;
    if (!event.intact) this.damaged++;
    if (event.duplicate === true) {
      this.duplicates++;
      return;
    }
    const { rtt } = event;
    this.received++;
    this.least = Math.min(this.least, rtt);
    this.most = Math.max(this.most, rtt);
    this.sum += rtt;
    this.squares += rtt * rtt;
  }

  /** Percent of the requests that were not answered. */
  get loss(): number {
    return this.transmitted === 0 ? 0 : Math.max(0, (1 - this.received / this.transmitted) * 100);
  }

  private get rtt(): { min: number; avg: number; max: number; mdev: number } | undefined {
    if (this.received === 0) return undefined;
    const avg = this.sum / this.received;
    const mdev = Math.sqrt(Math.max(0, this.squares / this.received - avg * avg));
    return { min: round(this.least), avg: round(avg), max: round(this.most), mdev: round(mdev) };
  }

  toJSON(): object {
    const { transmitted, received, duplicates, damaged, errors, loss, rtt } = this;
    return { transmitted, received, duplicates, damaged, errors, loss: round(loss), rtt };
  }

  /** @param time milliseconds that the run took */
  summary(time: number): string {
    const { transmitted, received, duplicates, damaged, errors, rtt } = this;
    const some = (number: number, what: string) => (number === 0 ? '' : `, +${number} ${what}`);
    const more = some(duplicates, 'duplicates') + some(damaged, 'damaged') + some(errors, 'errors');
    const loss = Number(this.loss.toPrecision(3));
    const packets = `${transmitted} packets transmitted, ${received} received${more}, ${loss}% packet loss, time ${Math.round(time)}ms`;
    if (rtt === undefined) return packets;
    const times = [rtt.min, rtt.avg, rtt.max, rtt.mdev].map((one) => one.toFixed(3));
    return `${packets}\nrtt min/avg/max/mdev = ${times.join('/')} ms`;
  }
}
