/** One test as a server sees it, from the cookie to the end. */

import { isSameAddress } from '../../core/address.js';
import type { Timer } from '../../core/timers.js';
import type { TcpConnection } from '../../l4/tcp/api.js';
import { anyEndpoint } from '../../l4/udp.js';
import type { UdpMessage, UdpSocket } from '../../l4/udp-api.js';
import type { ControlChannel, ControlOwner } from './control.js';
import { answerHello } from './datagram.js';
import { IperfError } from './failure.js';
import { Measurement } from './measurement.js';
import {
  emitError,
  emitMessage,
  IperfErrorCode,
  IperfState,
  LENGTH_SIZE,
  MAX_MESSAGE,
  MAX_RESULTS,
  type Members,
  stateName,
} from './messages.js';
import { DEFAULT_PARAMETERS, type IperfParameters, LIMITS, parseParameters } from './parameters.js';
import type { IperfObserver } from './report.js';
import { emitResults, parseResults } from './results.js';
import {
  type DataStream,
  type IperfHost,
  type IperfOutside,
  makeBlocks,
  type StreamOwner,
  type StreamPlace,
} from './stream.js';
import { TcpStream } from './tcp-stream.js';
import { UdpStream } from './udp-stream.js';
import { Watch } from './watch.js';

/** An observer that can say what was printed so far, for a client that wants to see it. */
export interface IperfPrinter extends IperfObserver {
  /** Text, or a value that is printed as JSON. */
  output(): string | object | undefined;
}

/** What a session needs. */
export interface SessionOptions {
  readonly host: IperfHost;
  readonly outside: IperfOutside;
  readonly port: number;
  readonly cookie: string;
  readonly interval: number;
  readonly printer: IperfPrinter;
  /** The session is over, well or badly. Called once. */
  readonly over: (error: IperfError | undefined) => void;
}

/** How much longer than it said a client may take, in milliseconds. */
const GRACE = 10_000;
/** How long nothing more may have come for that to be all, or two round trips, if these take longer; and how long more may come at all. In milliseconds. */
const PAUSE = 10;
const PATIENCE = 2000;

/** See the module. */
export class Session implements ControlOwner, StreamOwner {
  private readonly options: SessionOptions;
  private readonly control: ControlChannel;
  private parameters: IperfParameters = DEFAULT_PARAMETERS;
  private blocks: Uint8Array = new Uint8Array(0);
  /** Connections that brought the cookie, by the order in which they were accepted. */
  private readonly connections = new Map<number, TcpConnection>();
  private readonly streams: DataStream[] = [];
  private greeter: UdpSocket | undefined = undefined;
  private measurement: Measurement | undefined = undefined;
  private readonly watch: Watch;
  private readonly deadline: Timer;
  private settling: Timer | undefined = undefined;
  private stage: 'asking' | 'connecting' | 'running' | 'settling' | 'exchanging' | 'done' | 'over' = 'asking';

  constructor(control: ControlChannel, options: SessionOptions) {
    const { timers } = options.outside.env;
    this.options = options;
    this.control = control;
    this.watch = new Watch(timers, (what) => this.lost(new IperfError('ETIMEDOUT', what)));
    this.deadline = timers.timer(() => this.lost(new IperfError('ETIMEDOUT', 'the client does not end the test')));
    control.handOver(this);
  }

  /** Asks what to measure. */
  begin(): void {
    const { control } = this;
    this.watch.expect('the client does not send parameters');
    control.sendState(IperfState.ParameterExchange);
    control.receiveMessage(MAX_MESSAGE, IperfErrorCode.ReceiveParameters, (members) => this.asked(members));
  }

  /** Ends it from our side. */
  stop(): void {
    if (this.stage === 'over') return;
    if (this.stage === 'done') return this.end(undefined);
    this.control.sendState(IperfState.ServerTerminate);
    this.end(new IperfError('ECANCELED', 'the server ends'));
  }

  /** Whether a connection with that cookie is a stream of ours. */
  wants(cookie: string): boolean {
    const { protocol } = this.parameters;
    return this.stage === 'connecting' && protocol === 'tcp' && cookie === this.options.cookie;
  }

  /** Takes over a connection that {@link Session.wants}. @param order in which they were accepted */
  take(connection: TcpConnection, order: number): void {
    this.connections.set(order, connection);
    if (this.connections.size < this.wanted) return;
    // Cookies may come in another order than connections did, and that is what the client counts by.
    const sorted = [...this.connections].sort(([one], [other]) => one - other);
    for (const [, one] of sorted) this.streams.push(new TcpStream(this.place(), one));
    this.connections.clear();
    this.start();
  }

  lost(error: IperfError): void {
    if (this.stage === 'over') return;
    // The client has all that it wants: how it goes is its business.
    if (this.stage === 'done') return this.end(undefined);
    if (error.reason !== undefined || error.code === 'ETIMEDOUT')
      this.control.send(emitError(error.reason ?? IperfErrorCode.ReceiveMessage));
    this.end(error);
  }

  exhausted(): void {}

  settled(): void {}

  broken(stream: DataStream, error: Error | undefined): void {
    // A client that has what it wants may close its streams before it says so: the control connection has the last word.
    stream.halt();
    if (error !== undefined && this.parameters.protocol === 'udp')
      this.lost(new IperfError('ECONNRESET', `stream ${stream.socket} is gone: ${error.message}`));
  }

  private get wanted(): number {
    const { parallel, bidirectional } = this.parameters;
    return bidirectional ? 2 * parallel : parallel;
  }

  private asked(members: Members): void {
    try {
      this.parameters = parseParameters(members);
      this.blocks = makeBlocks(this.parameters.length);
      if (this.parameters.protocol === 'udp') this.greeter = this.bindGreeter();
    } catch (error) {
      const failed = error instanceof IperfError;
      this.lost(failed ? error : new IperfError('ECONNRESET', (error as Error).message, IperfErrorCode.StreamConnect));
      return;
    }
    this.stage = 'connecting';
    this.watch.expect('the client does not connect its streams');
    this.control.sendState(IperfState.CreateStreams);
    this.next();
  }

  private place(): StreamPlace {
    const { parameters, options, blocks } = this;
    const { parallel, reverse, bidirectional } = parameters;
    const index = this.streams.length;
    const sends = bidirectional ? index >= parallel : reverse;
    return { index, sends, parameters, outside: options.outside, owner: this, blocks };
  }

  private bindGreeter(): UdpSocket {
    const { host, port } = this.options;
    const { address } = this.control.connection.local;
    const handler = { message: (message: UdpMessage) => this.greeted(message), error: () => undefined };
    return host.udp.bind({ address: anyEndpoint(address.version, port).address, port }, handler, {
      reuseAddress: true,
    });
  }

  /** A magic number from a new port: a stream. */
  private greeted({ data, source, destination }: UdpMessage): void {
    const answer = answerHello(data);
    const { remote } = this.control.connection;
    if (answer === undefined || this.stage !== 'connecting' || !isSameAddress(source.address, remote.address)) return;
    const { udp } = this.options.host;
    const local = { address: destination.address, port: this.options.port };
    try {
      const stream = new UdpStream(this.place(), source, (handler, options) => udp.bind(local, handler, options));
      stream.answers = true;
      this.streams.push(stream);
      stream.say(answer);
    } catch (error) {
      this.lost(new IperfError('ECONNRESET', (error as Error).message, IperfErrorCode.StreamConnect));
      return;
    }
    if (this.streams.length === this.wanted) this.start();
  }

  private start(): void {
    const { options, parameters, control, streams } = this;
    const { outside, printer: observer, interval, cookie } = options;
    this.stage = 'running';
    this.greeter?.close();
    this.measurement = new Measurement({ parameters, streams, outside, observer, interval, countsReceived: false });
    const segmentSize = control.connection.info().sndMss;
    observer.started({ role: 'server', parameters, cookie, peer: control.connection.remote, segmentSize, streams });
    control.sendState(IperfState.TestStart);
    control.sendState(IperfState.TestRunning);
    this.watch.follow('no data come or go any more', () => this.moved());
    const { time, omit } = parameters;
    this.deadline.arm(outside.env.timers.now() + ((time || LIMITS.time) + omit) * 1000 + GRACE);
    this.measurement.begin(() => undefined);
  }

  private moved(): number {
    return this.streams.reduce((sum, { account }) => sum + account.bytes, 0);
  }

  private next(): void {
    this.control.receiveState((state) => this.came(state));
  }

  private came(state: number): void {
    const { stage } = this;
    if (state === IperfState.ClientTerminate)
      return this.end(new IperfError('ECANCELED', 'the client has ended the test'));
    if (state === IperfState.TestEnd && stage === 'running') return this.settle();
    if (state === IperfState.Done && stage === 'done') return this.end(undefined);
    const what = `the client says ${stateName(state)}, which nobody expects now`;
    return this.lost(new IperfError('EPROTO', what, IperfErrorCode.ReceiveMessage));
  }

  /**
   * The client sends no more, but its last bytes may be on their way still: they count, until there is a pause. Datagrams that come late
   * do not.
   */
  private settle(): void {
    const { timers } = this.options.outside.env;
    this.stage = 'settling';
    this.deadline.cancel();
    // Clients read streams to their end before they listen to us again.
    for (const stream of this.streams) if (stream.sends) stream.finish();
    const isReceiving = this.parameters.protocol === 'tcp' && this.streams.some(({ sends }) => !sends);
    if (!isReceiving) return this.exchange(timers.now());
    let seen = this.moved();
    let changed = timers.now();
    const pause = Math.max(PAUSE, 2 * this.control.connection.info().rtt);
    const most = changed + PATIENCE;
    this.settling = timers.timer(() => {
      const moved = this.moved();
      const now = timers.now();
      if (moved === seen || now >= most) return this.exchange(changed);
      seen = moved;
      changed = now;
      return this.settling?.arm(now + pause);
    });
    return this.settling.arm(changed + pause);
  }

  private exchange(endedAt: number): void {
    const { measurement, control, options } = this;
    if (measurement === undefined) return;
    this.stage = 'exchanging';
    measurement.end(endedAt);
    options.printer.ended(measurement.summary());
    this.watch.expect('the client does not send results');
    control.sendState(IperfState.ExchangeResults);
    control.receiveMessage(MAX_MESSAGE, IperfErrorCode.ReceiveResults, (members) => this.learnt(members, measurement));
  }

  /** The client's results are of no use to us; they must be some, though. */
  private learnt(members: Members, measurement: Measurement): void {
    try {
      parseResults(members);
    } catch (error) {
      this.lost(error as IperfError);
      return;
    }
    this.control.send(this.results(measurement));
    this.control.sendState(IperfState.DisplayResults);
    this.stage = 'done';
    this.next();
  }

  /** Our results, with what was printed if the client wants to see it and it is not too much. */
  private results(measurement: Measurement): Uint8Array {
    const emit = (output: string | object | undefined) => emitMessage(emitResults(measurement.results(output)));
    const output = this.parameters.serverOutput ? this.options.printer.output() : undefined;
    const message = emit(output);
    return message.length > LENGTH_SIZE + MAX_RESULTS ? emit(undefined) : message;
  }

  private end(error: IperfError | undefined): void {
    const reported = this.stage === 'exchanging';
    this.stage = 'over';
    this.measurement?.cancel();
    this.watch.stop();
    this.deadline.cancel();
    this.settling?.cancel();
    this.greeter?.close();
    for (const stream of this.streams) stream.close();
    for (const connection of this.connections.values()) connection.abort();
    this.control.close();
    if (error !== undefined && !reported) this.options.printer.failed(error);
    this.options.over(error);
  }
}
