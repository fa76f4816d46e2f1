/**
 * Trace route: probes with a growing hop limit, so that each router on the way in turn has to say who it is (RFC 1812 4.3.2.7, RFC 4443 3.3).
 * Probes are datagrams to ports where nobody listens, or echo requests; each can be told from the others by its port or sequence number,
 * so several are under way at a time.
 */

import { anyAddress, type IpAddress, isSameAddress } from '../core/address.js';
import type { Env } from '../core/env.js';
import { UsageError } from '../core/errors.js';
import type { Timer } from '../core/timers.js';
import type { IcmpErrorKind } from '../l3/icmp-report.js';
import type { PingSockets } from '../l4/ping-api.js';
import type { UdpSockets } from '../l4/udp-api.js';

// Where traceroute has always sent its datagrams to.
const FIRST_PORT = 33_434;
const SEQUENCE_MASK = 0xffff;
// So long the first probe is alone, in milliseconds: few packets may wait until the neighbour's address is known, or that it has none.
const FIRST_ALONE = 3500;

/** What probes are sent over. */
export interface TraceTransports {
  readonly udp: UdpSockets;
  readonly ping: PingSockets;
}

/** Options of {@link RouteTracer}. */
export interface TraceOptions {
  /** What the probes are. Default `udp`. */
  readonly probes?: 'udp' | 'icmp';
  /** Default 1. */
  readonly firstHop?: number;
  /** Default 30. */
  readonly maxHops?: number;
  /** Probes for each hop. Default 3. */
  readonly queries?: number;
  /** Milliseconds to wait for an answer: longer than it takes to know that a neighbour is not there. Default 5000. */
  readonly timeout?: number;
  /** Bytes of data in each probe. Default 32. */
  readonly size?: number;
  /** With UDP: the port of the first probe, one more for each further one. Default 33434. */
  readonly port?: number;
  /** Probes under way at a time. Default 16. */
  readonly parallel?: number;
}

/** What became of a probe. */
export interface TraceProbe {
  readonly hop: number;
  /** 1 to `queries`. */
  readonly query: number;
  /** Who answered, or `undefined` where nobody did in time. */
  readonly from: IpAddress | undefined;
  /** Milliseconds. */
  readonly rtt: number | undefined;
  /** `passed`: a router on the way; `reached`: the destination; else why the path ends there. */
  readonly outcome: 'passed' | 'reached' | 'silent' | Exclude<IcmpErrorKind, 'time-exceeded'>;
}

/** Who is told. */
export interface TraceEvents {
  /** Of one probe after the other, in their order. */
  probe(probe: TraceProbe): void;
  /** The destination was reached, or it is known why not. Called once, unless it was stopped. */
  done(error?: Error): void;
}

interface Sent {
  readonly number: number;
  readonly at: number;
  result: TraceProbe | undefined;
}

/** Sends one probe. */
interface Prober {
  send(number: number, hop: number): void;
  close(): void;
}

/** One trace. It starts at once, from a timer. */
export class RouteTracer {
  private readonly env: Env;
  private readonly destination: IpAddress;
  private readonly events: TraceEvents;
  private readonly options: Required<TraceOptions>;
  private readonly prober: Prober;
  private readonly timer: Timer;
  private readonly probes: Sent[] = [];
  /** Probes that were told of. */
  private told = 0;
  /** Beyond this hop nothing needs to be known. */
  private lastHop: number;
  private over = false;

  /** @throws UsageError `ERR_INVALID_OPTION`; NetError `EADDRINUSE`, `ENOBUFS`, `ENETDOWN` (the host has ended) */
  constructor(
    transports: TraceTransports,
    destination: IpAddress,
    options: TraceOptions,
    events: TraceEvents,
    env: Env,
  ) {
    this.options = complete(options);
    this.env = env;
    this.destination = destination;
    this.events = events;
    this.lastHop = this.options.maxHops;
    this.prober = this.options.probes === 'udp' ? this.udpProber(transports.udp) : this.pingProber(transports.ping);
    this.timer = env.timers.timer(() => this.wake());
    this.timer.arm(env.timers.now());
  }

  /** Ends it; nothing is told any more. */
  stop(): void {
    if (this.over) return;
    this.over = true;
    this.timer.cancel();
    this.prober.close();
  }

  private finish(error?: Error): void {
    if (this.over) return;
    this.stop();
    this.events.done(error);
  }

  private udpProber(udp: UdpSockets): Prober {
    const { destination, options } = this;
    const data = new Uint8Array(options.size);
    const numberOf = (port: number) => port - options.port;
    const socket = udp.bind(
      { address: anyAddress(destination.version), port: 0 },
      {
        // Somebody listens after all.
        message: ({ source }) => this.answered(numberOf(source.port), source.address, 'reached'),
        error: (error) => this.finish(error),
        report: ({ kind, reporter, destination: to }) => {
          if (isSameAddress(to.address, destination))
            this.answered(numberOf(to.port), reporter, this.meaning(kind, reporter));
        },
      },
    );
    return {
      send: (number, hop) => {
        socket.hopLimit = hop;
        socket.send(data, { address: destination, port: options.port + number });
      },
      close: () => socket.close(),
    };
  }

  private pingProber(ping: PingSockets): Prober {
    const { destination, options } = this;
    const data = new Uint8Array(options.size);
    const socket = ping.open(destination.version, {
      reply: ({ sequence, source }) => this.answered(sequence - 1, source, 'reached'),
      error: ({ sequence, kind, reporter }) => this.answered(sequence - 1, reporter, this.meaning(kind, reporter)),
    });
    return {
      send: (number, hop) => socket.send({ destination, sequence: (number + 1) & SEQUENCE_MASK, data, hopLimit: hop }),
      close: () => socket.close(),
    };
  }

  private meaning(kind: IcmpErrorKind, reporter: IpAddress): TraceProbe['outcome'] {
    if (kind === 'time-exceeded') return 'passed';
    return kind === 'port-unreachable' && isSameAddress(reporter, this.destination) ? 'reached' : kind;
  }

  private hopOf(number: number): number {
    return this.options.firstHop + Math.floor(number / this.options.queries);
  }

  private answered(number: number, from: IpAddress, outcome: TraceProbe['outcome']): void {
    const sent = this.probes[number];
    if (this.over || sent === undefined || sent.result !== undefined) return;
    const { at } = sent;
    sent.result = this.result(number, from, this.env.timers.now() - at, outcome);
    if (outcome !== 'passed') this.lastHop = Math.min(this.lastHop, sent.result.hop);
    // Not from within the call that brought the answer: the next probe may leave at once.
    this.timer.arm(this.env.timers.now());
  }

  private result(
    number: number,
    from: IpAddress | undefined,
    rtt: number | undefined,
    outcome: TraceProbe['outcome'],
  ): TraceProbe {
    return { hop: this.hopOf(number), query: 1 + (number % this.options.queries), from, rtt, outcome };
  }

  /** Gives up what is late, tells what is known, sends what may be sent. */
  private wake(): void {
    const now = this.env.timers.now();
    const { timeout, parallel } = this.options;
    for (const sent of this.probes) {
      if (sent.result === undefined && sent.at + timeout <= now) {
        sent.result = this.result(sent.number, undefined, undefined, 'silent');
      }
    }
    this.tell();
    if (this.over) return;
    const [alone] = this.probes;
    const settled = alone !== undefined && (alone.result !== undefined || alone.at + FIRST_ALONE <= now);
    const most = settled ? parallel : 1;
    let waiting = this.probes.filter(({ result }) => result === undefined);
    try {
      for (; waiting.length < most && this.hopOf(this.probes.length) <= this.lastHop; ) {
        const number = this.probes.length;
        const sent = { number, at: now, result: undefined };
        this.probes.push(sent);
        waiting = [...waiting, sent];
        this.prober.send(number, this.hopOf(number));
      }
    } catch (error) {
      return this.finish(error as Error);
    }
    const [first] = waiting;
    if (first !== undefined) this.timer.arm(first.at + (settled ? timeout : Math.min(timeout, FIRST_ALONE)));
  }

  private tell(): void {
    for (;;) {
      if (this.hopOf(this.told) > this.lastHop) return this.finish();
      const result = this.probes[this.told]?.result;
      if (result === undefined) return undefined;
      this.told++;
      this.events.probe(result);
      if (this.over) return undefined;
    }
  }
}

function complete(options: TraceOptions): Required<TraceOptions> {
  const { probes = 'udp', firstHop = 1, maxHops = 30, queries = 3, timeout = 5000, size = 32 } = options;
  const { port = FIRST_PORT, parallel = 16 } = options;
  const whole = (value: number, least: number, most: number) =>
    Number.isInteger(value) && value >= least && value <= most;
  const right =
    whole(firstHop, 1, maxHops) &&
    whole(maxHops, 1, 255) &&
    whole(queries, 1, 100) &&
    timeout > 0 &&
    whole(size, 0, 65_000) &&
    whole(parallel, 1, 1000) &&
    whole(port, 1, 0xffff - (probes === 'udp' ? (maxHops - firstHop + 1) * queries : 0));
  if (!right)
    throw new UsageError('ERR_INVALID_OPTION', 'a trace needs hops, queries, a size and a timeout that make sense');
  return { probes, firstHop, maxHops, queries, timeout, size, port, parallel };
}
