/** A client: connects, says what to measure, measures, and learns what the server counted. */

import type { Timer } from '../../core/timers.js';
import type { NetError } from '../../core/errors.js';
import type { Endpoint, TcpConnectOptions, TcpHandler } from '../../l4/tcp/api.js';
import { anyEndpoint } from '../../l4/udp.js';
import { ControlChannel, type ControlOwner } from './control.js';
import { emitHello } from './datagram.js';
import { IperfError } from './failure.js';
import { Measurement } from './measurement.js';
import {
  cookieText,
  emitMessage,
  errorText,
  IperfErrorCode,
  IperfState,
  makeCookie,
  MAX_RESULTS,
  type Members,
  stateName,
} from './messages.js';
import { checkParameters, datagramLength, emitParameters, type IperfParameters } from './parameters.js';
import type { IperfObserver } from './report.js';
import { emitResults, type IperfResults, parseResults } from './results.js';
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
import { VERSION } from './version.js';
import { Watch } from './watch.js';

/** What a client is asked to do. */
export interface IperfClientOptions {
  readonly server: Endpoint;
  /** A `length` of 0 means, for UDP, whatever goes in one piece. */
  readonly parameters: IperfParameters;
  /** Milliseconds from report to report; 0: none but the last. Default 1000. */
  readonly interval?: number;
  readonly observer: IperfObserver;
}

/** Milliseconds from one magic number to the next, where there is no answer; and how many there are. */
const HELLO_AGAIN = 1000;
const HELLOS = 10;
/** How long a server may take to end a test that is interrupted, in milliseconds. */
const FAREWELL = 2000;

/** One test. It starts at once; `ended` or `failed` of the observer is called once, and that is the end. */
export class IperfClient implements ControlOwner, StreamOwner {
  private readonly host: IperfHost;
  private readonly outside: IperfOutside;
  private readonly options: IperfClientOptions;
  private parameters: IperfParameters;
  private readonly control: ControlChannel;
  private readonly cookie: Uint8Array;
  private readonly streams: DataStream[] = [];
  private blocks: Uint8Array = new Uint8Array(0);
  private measurement: Measurement | undefined = undefined;
  private results: IperfResults | undefined = undefined;
  private readonly watch: Watch;
  private readonly ending: Timer;
  private readonly greeting: Timer;
  private readonly farewell: Timer;
  /** States that the server may come to now. */
  private expected: readonly number[] = [IperfState.ParameterExchange];
  private greet: () => void = () => undefined;
  private running = false;
  private isExhausted = false;
  /** The last look at the accounts was taken. */
  private isMeasured = false;
  private interruption: IperfError | undefined = undefined;
  private over = false;

  /** @throws IperfError `EPROTO` for parameters that make no test; NetError as `TcpSockets.connect` */
  constructor(host: IperfHost, outside: IperfOutside, options: IperfClientOptions) {
    const { parameters, server } = options;
    const { env } = outside;
    this.host = host;
    this.outside = outside;
    this.options = options;
    this.parameters = parameters;
    if (parameters.length > 0) checkParameters(parameters);
    this.cookie = makeCookie(env.random);
    this.watch = new Watch(env.timers, (what) => this.lost(new IperfError('ETIMEDOUT', what)));
    this.ending = env.timers.timer(() => this.finish());
    this.greeting = env.timers.timer(() => this.greet());
    this.farewell = env.timers.timer(() => this.abandon());
    const open = (handler: TcpHandler) => host.tcp.connect(server, handler);
    this.control = new ControlChannel(this, env.timers, open, () => this.connected());
    this.watch.expect('the server does not answer');
  }

  /** Gives up, and tells the server; nothing is told to the observer any more. */
  stop(): void {
    if (this.over) return;
    this.control.sendState(IperfState.ClientTerminate);
    this.close();
  }

  /** Ends the test now: `ended` tells what was measured, with what the server says of it if it does so soon; `failed`, if nothing was. */
  interrupt(): void {
    if (this.over) return;
    this.interruption = new IperfError('EINTR', 'the client has terminated');
    this.finish();
    if (this.isMeasured) this.farewell.arm(this.outside.env.timers.now() + FAREWELL);
    else this.abandon();
  }

  lost(error: IperfError): void {
    if (this.over) return;
    this.close();
    this.fail(error);
  }

  exhausted(): void {
    this.isExhausted = true;
    // Not in the middle of what the stream is doing.
    if (this.running) this.ending.arm(this.outside.env.timers.now());
  }

  settled(): void {
    if (this.isExhausted) this.exhausted();
  }

  broken(stream: DataStream, error: Error | undefined): void {
    const why = error?.message ?? 'the server closed it';
    this.lost(new IperfError('ECONNRESET', `stream ${stream.socket} is gone: ${why}`));
  }

  /** The test is over for us, whatever the server does. */
  private abandon(): void {
    if (this.over || this.interruption === undefined) return;
    this.stop();
    this.fail(this.interruption);
  }

  private fail(error: IperfError): void {
    const { interruption, isMeasured, measurement } = this;
    const { observer } = this.options;
    if (isMeasured && interruption !== undefined && measurement !== undefined)
      observer.ended(measurement.summary(), interruption);
    else observer.failed(interruption ?? error);
  }

  private connected(): void {
    this.control.send(this.cookie);
    this.next();
  }

  private next(...expected: readonly number[]): void {
    if (expected.length > 0) this.expected = expected;
    this.control.receiveState((state) => this.came(state));
  }

  private came(state: number): void {
    const { control } = this;
    if (state === IperfState.AccessDenied) {
      this.lost(new IperfError('EBUSY', 'the server is busy with another test'));
    } else if (state === IperfState.ServerTerminate) {
      this.lost(new IperfError('ECANCELED', 'the server has ended the test'));
    } else if (state === IperfState.ServerError) {
      control.receive(8, (bytes) => {
        const code = new DataView(bytes.buffer).getInt32(0);
        this.lost(new IperfError('EPROTO', `the server refuses: ${errorText(code)}`));
      });
    } else if (this.expected.includes(state)) this.step(state);
    else this.lost(new IperfError('EPROTO', `the server says ${stateName(state)}, which nobody expects now`));
  }

  private step(state: number): void {
    const { ParameterExchange, CreateStreams, TestStart, TestRunning, ExchangeResults, DisplayResults } = IperfState;
    this.watch.expect('the server does not answer');
    switch (state) {
      case ParameterExchange:
        this.ask();
        return this.next(CreateStreams);
      case CreateStreams:
        this.blocks = makeBlocks(this.parameters.length);
        this.addStream();
        return this.next(TestStart);
      case TestStart:
        this.start();
        return this.next(TestRunning);
      case TestRunning:
        this.next(ExchangeResults);
        return this.run();
      case ExchangeResults:
        return this.exchange(DisplayResults);
      default:
        return this.conclude();
    }
  }

  private ask(): void {
    const { parameters, control } = this;
    const { sndMss } = control.connection.info();
    const { version } = control.connection.remote.address;
    const length = parameters.length > 0 ? parameters.length : datagramLength(version, sndMss);
    this.parameters = { ...parameters, length };
    control.send(emitMessage(emitParameters(this.parameters, VERSION)));
  }

  /** One after another, so that the server sees them in that order and gives them the same numbers. */
  private addStream(): void {
    const { parallel, bidirectional, reverse, protocol } = this.parameters;
    const index = this.streams.length;
    if (this.over || index >= (bidirectional ? 2 * parallel : parallel)) return;
    const sends = bidirectional ? index < parallel : !reverse;
    const place: StreamPlace = {
      index,
      sends,
      parameters: this.parameters,
      outside: this.outside,
      owner: this,
      blocks: this.blocks,
    };
    try {
      if (protocol === 'tcp') this.addTcp(place);
      else this.addUdp(place);
    } catch (error) {
      this.lost(new IperfError('ECONNRESET', (error as Error).message));
    }
  }

  private addTcp(place: StreamPlace): void {
    const { window, segmentSize } = this.parameters;
    const options: TcpConnectOptions = {
      ...(window > 0 && { receiveBuffer: window, sendBuffer: window }),
      ...(segmentSize > 0 && { maxSegmentSize: segmentSize }),
    };
    const nothing = (): void => undefined;
    const connection = this.host.tcp.connect(
      this.options.server,
      {
        connected: () => {
          if (this.over) return connection.abort();
          connection.write(this.cookie);
          this.streams.push(new TcpStream(place, connection));
          return this.addStream();
        },
        closed: (error) => this.unconnected(error),
        readable: nothing,
        writable: nothing,
        flushed: nothing,
      },
      options,
    );
  }

  private unconnected(error: NetError | undefined): void {
    this.lost(new IperfError('ECONNRESET', error?.message ?? 'the server closed a stream'));
  }

  private addUdp(place: StreamPlace): void {
    const { server } = this.options;
    const stream = new UdpStream(place, server, (handler, options) =>
      this.host.udp.bind(anyEndpoint(server.address.version, 0), handler, options),
    );
    this.streams.push(stream);
    let asked = 0;
    this.greet = () => {
      if (++asked > HELLOS) return this.lost(new IperfError('ETIMEDOUT', 'the server does not answer datagrams'));
      this.greeting.arm(this.outside.env.timers.now() + HELLO_AGAIN);
      try {
        return stream.say(emitHello());
      } catch (error) {
        return this.lost(new IperfError('ECONNRESET', (error as Error).message));
      }
    };
    stream.onFirst = () => {
      this.greeting.cancel();
      this.addStream();
    };
    this.greet();
  }

  private start(): void {
    const { parameters, control, streams, outside, options } = this;
    const { observer, interval = 1000 } = options;
    this.greeting.cancel();
    this.measurement = new Measurement({ parameters, streams, outside, observer, interval, countsReceived: true });
    observer.started({
      role: 'client',
      parameters,
      cookie: cookieText(this.cookie) ?? '',
      peer: control.connection.remote,
      segmentSize: control.connection.info().sndMss,
      streams,
    });
  }

  private run(): void {
    const { time } = this.parameters;
    const { timers } = this.outside.env;
    this.running = true;
    this.watch.follow('no data come or go any more', () => this.moved());
    this.measurement?.begin(() => {
      if (time > 0 && !this.isExhausted) this.ending.arm(timers.now() + time * 1000);
    });
  }

  private moved(): number {
    return this.streams.reduce((sum, { account }) => sum + account.bytes, 0);
  }

  private finish(): void {
    const { streams, isExhausted } = this;
    if (!this.running) return;
    // What was to be sent is to arrive as well, if nothing but that ends the test.
    const isPatient = isExhausted && this.interruption === undefined;
    if (isPatient && streams.some((stream) => stream.sends && !stream.isFlushed)) return;
    this.running = false;
    this.isMeasured = true;
    this.measurement?.end();
    this.watch.expect('the server does not end the test');
    this.control.sendState(IperfState.TestEnd);
  }

  private exchange(then: number): void {
    if (this.running || this.measurement === undefined) {
      this.lost(new IperfError('EPROTO', 'the server wants results while the test runs'));
      return;
    }
    this.control.send(emitMessage(emitResults(this.measurement.results(undefined))));
    this.control.receiveMessage(MAX_RESULTS, IperfErrorCode.ReceiveResults, (members) => this.learnt(members, then));
  }

  private learnt(members: Members, then: number): void {
    try {
      this.results = parseResults(members);
    } catch (error) {
      this.lost(error as IperfError);
      return;
    }
    this.next(then);
  }

  private conclude(): void {
    this.control.sendState(IperfState.Done);
    const summary = this.measurement?.summary(this.results);
    this.close();
    if (summary !== undefined) this.options.observer.ended(summary, this.interruption);
  }

  private close(): void {
    this.over = true;
    this.running = false;
    this.measurement?.cancel();
    this.watch.stop();
    this.ending.cancel();
    this.greeting.cancel();
    this.farewell.cancel();
    for (const stream of this.streams) stream.close();
    this.control.close();
  }
}
