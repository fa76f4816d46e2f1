/** Bulk transfers of the whole stack over a path with one bottleneck, in virtual time. */

import { SeededRandom } from '../../../../../lib/core/random.js';
import type { TcpConnection, TcpConnectionOptions, TcpHandler } from '../../../../../lib/l4/tcp/api.js';
import type { Connection } from '../../../../../lib/l4/tcp/connection.js';
import type { TcpOptions } from '../../../../../lib/l4/tcp/options.js';
import { Pair } from '../pair.js';

/** The bottleneck, in the direction of the data; acknowledgments only take their time. */
export interface Bottleneck {
  /** Megabits a second. */
  readonly rate: number;
  /** Round-trip time without a queue, in ms. */
  readonly rtt: number;
  /** Bytes that the queue holds. */
  readonly queue: number;
  /** Share of the packets that are lost at random. */
  readonly loss?: number;
  readonly seed?: number;
}

const CHUNK = new Uint8Array(65_536);

/** Sends without end, as fast as it may. */
class Source implements TcpHandler {
  connection: TcpConnection | undefined;
  on = true;

  connected(): void {
    this.pump();
  }
  writable(): void {
    this.pump();
  }
  pump(): void {
    while (this.on && (this.connection?.write(CHUNK) ?? 0) > 0);
  }
  readable(): void {}
  flushed(): void {}
  closed(): void {}
}

/** A flow from the first host to the second. */
export class Flow {
  readonly source: Source = new Source();
  received = 0;

  get connection(): Connection {
    return this.source.connection as Connection;
  }
}

/** Hosts joined by a bottleneck. */
export class BottleneckPath {
  readonly pair: Pair;
  readonly flows: Flow[] = [];
  /** Packets that the queue had no room for, or that were lost at random. */
  overflows = 0;
  losses = 0;
  /** The longest queue since it was last set to 0, in bytes. */
  longestQueue = 0;
  /** When data packets entered the bottleneck; noted if set. */
  departures: number[] | undefined = undefined;
  /** In bytes a ms. */
  rate: number;
  private busyUntil = 0;
  private readonly sinks = new Map<number, Flow>();

  constructor({ rate, rtt, queue, loss = 0, seed = 1 }: Bottleneck, tcp: TcpOptions = {}) {
    this.rate = rate * 125;
    const random = new SeededRandom(seed);
    const options: TcpOptions = { sendBuffer: 1 << 24, receiveBuffer: 1 << 24, ...tcp };
    this.pair = new Pair({ seed, tcp: [options, options] });
    this.pair.carry = (bytes, from) => {
      if (from === 1) return [rtt / 2];
      const now = this.pair.scheduler.now();
      if (bytes.length > 100) this.departures?.push(now);
      const waiting = Math.max(0, this.busyUntil - now) * this.rate;
      this.longestQueue = Math.max(this.longestQueue, waiting);
      if (waiting + bytes.length > queue) {
        this.overflows++;
        return [];
      }
      this.busyUntil = Math.max(this.busyUntil, now) + bytes.length / this.rate;
      if (loss > 0 && random.float() < loss) {
        this.losses++;
        return [];
      }
      return [this.busyUntil - now + rtt / 2];
    };
    const listener = this.pair.hosts[1].listen({ address: this.pair.ends[1], port: 80 });
    listener.acceptable = () => {
      for (let c = listener.accept(); c !== undefined; c = listener.accept()) this.sink(c);
    };
  }

  private sink(connection: TcpConnection): void {
    const flow = this.sinks.get(connection.remote.port);
    if (flow === undefined) throw new Error('a connection of nobody');
    connection.handler = {
      connected() {},
      readable() {
        for (let bytes = connection.read(); bytes !== undefined; bytes = connection.read())
          flow.received += bytes.length;
      },
      writable() {},
      flushed() {},
      closed() {},
    };
  }

  /** Opens one more connection, which starts sending. */
  start(options: TcpConnectionOptions = {}): Flow {
    const flow = new Flow();
    const { source } = flow;
    const remote = { address: this.pair.ends[1], port: 80 };
    source.connection = this.pair.hosts[0].connect(remote, source, options);
    this.sinks.set(source.connection.local.port, flow);
    this.flows.push(flow);
    return flow;
  }

  run(ms: number): void {
    this.pair.scheduler.runFor(ms);
  }

  /** Runs for `ms`; what each flow got through of the bottleneck meanwhile, 1 for all of it. */
  shares(ms: number): number[] {
    const before = this.flows.map((flow) => flow.received);
    this.run(ms);
    return this.flows.map((flow, i) => (flow.received - (before[i] ?? 0)) / (ms * this.rate));
  }
}
