/** A server: one test at a time; whoever comes meanwhile is told that it is busy. */

import type { Timer } from '../../core/timers.js';
import type { Endpoint, TcpConnection, TcpHandler, TcpListener } from '../../l4/tcp/api.js';
import { ControlChannel } from './control.js';
import type { IperfError } from './failure.js';
import { COOKIE_SIZE, cookieText, IperfState } from './messages.js';
import { type IperfPrinter, Session } from './session.js';
import type { IperfHost, IperfOutside } from './stream.js';

/** How a server works. */
export interface IperfServerOptions {
  readonly local: Endpoint;
  /** At `::` take IPv6 connections only. Default false. */
  readonly ipv6Only?: boolean;
  /** Milliseconds from report to report; 0: none but the last. Default 1000. */
  readonly interval?: number;
  /** Ends after one test. */
  readonly oneOff?: boolean;
  /** What each test, from 1, is told to. */
  readonly printer: (test: number) => IperfPrinter;
  /** A test is over, well or badly. */
  readonly tested?: (error: IperfError | undefined) => void;
  /** The server has ended by itself: one test was all that it was for. */
  readonly ended?: (error: IperfError | undefined) => void;
}

/** How long a connection may take to show its cookie, in milliseconds. */
const COOKIE_PATIENCE = 10_000;
/** Connections without a cookie, of which there may be as many as there are streams. */
const MAX_ARRIVALS = 320;

/** A connection that has not shown its cookie yet. */
interface Arrival {
  readonly channel: ControlChannel;
  readonly timer: Timer;
}

/** See the module. */
export class IperfServer {
  private readonly host: IperfHost;
  private readonly outside: IperfOutside;
  private readonly options: IperfServerOptions;
  private readonly listener: TcpListener;
  private readonly arrivals = new Set<Arrival>();
  private session: Session | undefined = undefined;
  private accepted = 0;
  private tests = 0;
  private closed = false;

  /** @throws NetError `EADDRINUSE`, `EADDRNOTAVAIL` */
  constructor(host: IperfHost, outside: IperfOutside, options: IperfServerOptions) {
    this.host = host;
    this.outside = outside;
    this.options = options;
    const { local, ipv6Only = false } = options;
    this.listener = host.tcp.listen(local, { ipv6Only });
    this.listener.acceptable = () => this.accept();
  }

  /** Stops listening, and ends a test that runs. */
  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.listener.close();
    for (const arrival of this.arrivals) this.forget(arrival).channel.abort();
    this.session?.stop();
  }

  private accept(): void {
    for (let one = this.listener.accept(); one !== undefined; one = this.listener.accept()) this.arrived(one);
  }

  private arrived(connection: TcpConnection): void {
    const order = this.accepted++;
    if (this.arrivals.size >= MAX_ARRIVALS) {
      connection.abort();
      return;
    }
    const { timers } = this.outside.env;
    const gone = { lost: () => this.forget(arrival).channel.close() };
    const take = (handler: TcpHandler) => {
      connection.handler = handler;
      return connection;
    };
    const channel = new ControlChannel(gone, timers, take);
    const arrival: Arrival = { channel, timer: timers.timer(() => this.forget(arrival).channel.abort()) };
    arrival.timer.arm(timers.now() + COOKIE_PATIENCE);
    this.arrivals.add(arrival);
    channel.receive(COOKIE_SIZE, (cookie) => this.introduced(arrival, cookieText(cookie), order));
  }

  private forget(arrival: Arrival): Arrival {
    arrival.timer.cancel();
    this.arrivals.delete(arrival);
    return arrival;
  }

  private introduced(arrival: Arrival, cookie: string | undefined, order: number): void {
    const { channel } = this.forget(arrival);
    const { session } = this;
    if (cookie === undefined) channel.abort();
    else if (session === undefined) this.begin(channel, cookie);
    else if (session.wants(cookie)) session.take(channel.connection, order);
    else {
      channel.sendState(IperfState.AccessDenied);
      channel.close();
    }
  }

  private begin(control: ControlChannel, cookie: string): void {
    const { host, outside, options } = this;
    const { local, interval = 1000, printer } = options;
    const session = new Session(control, {
      host,
      outside,
      port: local.port,
      cookie,
      interval,
      printer: printer(++this.tests),
      over: (error) => this.over(error),
    });
    this.session = session;
    session.begin();
  }

  private over(error: IperfError | undefined): void {
    const { options, closed } = this;
    this.session = undefined;
    options.tested?.(error);
    if (options.oneOff !== true || closed) return;
    this.close();
    options.ended?.(error);
  }
}
