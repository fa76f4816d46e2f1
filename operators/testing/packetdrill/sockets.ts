/** The system calls of scripts, over the TCP of the host under test. */

import { anyAddress, type IpAddress, ipOf, mapped, unmapped } from '../../../lib/core/address.js';
import { NetError } from '../../../lib/core/errors.js';
import type { TcpConnection, TcpListener, TcpState } from '../../../lib/l4/tcp/api.js';
import type { TcpHost } from '../../../lib/l4/tcp/tcp-host.js';
import { bufferLength, familyIn, known, knownOr, optional, portIn, required, Unsupported } from './arguments.js';
import { ERRNO, expressionText, innerOf, isAsked, nameOf, numberOf, valueIn } from './constants.js';
import type { Expression } from './expression.js';
import { roomInSyn } from './fast-open.js';
import type { Flows } from './flow.js';
import type { Difference } from './match.js';
import { messageQuestions } from './received-message.js';
import type { CallLine, IpMode } from './script.js';
import type { KeepAlive } from './settings.js';
import { getOption, setOption } from './socket-options.js';
import { failed, type Returned, TestSocket } from './test-socket.js';

/** A call that was made: `attempt` says what it returns as soon as it does. */
export interface Call {
  readonly attempt: () => Returned;
  /** Returned instead of blocking, if the socket does not block. */
  readonly instead: string | undefined;
  /** What else the script says the call finds, besides its result. */
  readonly check?: (returned: NonNullable<Returned>) => Difference;
  /** When it is to be asked again at the latest, in milliseconds since the script began. */
  readonly deadline?: number;
  /** What the script asks for and the stack does not tell. */
  readonly untold?: readonly string[];
  /** Nothing else is asked for, so that the result says nothing. */
  readonly unchecked?: boolean;
}

/** Whose sockets these are. */
export interface SocketsOptions {
  readonly tcp: Pick<TcpHost, 'connect' | 'listen' | 'fastOpen' | 'config'>;
  readonly mode: IpMode;
  readonly remote: string;
  readonly bindPort: number;
  readonly connectPort: number;
  readonly linux: boolean;
  readonly flows: Flows;
  /** Whether listeners serve Fast Open that were not told to. */
  readonly fastOpenListeners: () => boolean;
  /** What sockets begin with. */
  readonly keepAlive: () => KeepAlive;
  /** Milliseconds since the script began, and of the host's clock. */
  readonly now: () => number;
  readonly clock: () => number;
}

/** The descriptors of a script: its numbers are labels. */
export class Sockets {
  private readonly options: SocketsOptions;
  private readonly sockets: Map<number, TestSocket> = new Map();
  /** All that there ever were. */
  private readonly connections: TcpConnection[] = [];
  private readonly any: IpAddress;
  private readonly remote: IpAddress;

  constructor(options: SocketsOptions) {
    const { mode, remote } = options;
    this.options = options;
    this.any = anyAddress(mode === 'ipv4' ? 4 : 6);
    this.remote = mode === 'ipv4-mapped-ipv6' ? mapped(ipOf(remote)) : ipOf(remote);
  }

  /** The socket that code asks about: that of the packets, or else of the last connection that there is. */
  get underTest(): TestSocket | undefined {
    const { current } = this.options.flows;
    const connected = [...this.sockets.values()].filter(({ connection }) => connection !== undefined);
    const isCurrent = ({ connection }: TestSocket) =>
      connection?.local.port === current?.localPort && connection?.remote.port === current?.remotePort;
    return connected.findLast(isCurrent) ?? connected.at(-1);
  }

  /** How many connections and listeners there are in a state. */
  countIn(state: TcpState): number {
    if (state !== 'LISTEN') return this.connections.filter((connection) => connection.state === state).length;
    return [...this.sockets.values()].filter(({ listener }) => listener !== undefined).length;
  }

  /** Ends all connections, as FreeBSD's `tcpdrop` does. */
  abortAll(): void {
    for (const { connection } of this.sockets.values()) connection?.abort();
  }

  /** Begins a call. @throws Unsupported */
  begin(call: CallLine): Call {
    if (call.name === 'socket') return this.socket(call);
    if (call.name === 'poll') return this.poll(call);
    const fd = required(call.args, 0);
    const socket = this.sockets.get(fd);
    if (socket === undefined) return at(failed('EBADF'));
    try {
      return this.limited(socket, call.name, this.on(socket, fd, call));
    } catch (error) {
      if (error instanceof NetError) return at(failed(error.code));
      throw error;
    }
  }

  private on(socket: TestSocket, fd: number, call: CallLine): Call {
    const { args, name } = call;
    switch (name) {
      case 'bind':
        return this.bind(socket, args);
      case 'listen':
        return this.listen(socket, optional(args, 1));
      case 'accept':
      case 'accept4':
        return this.accept(socket, call);
      case 'connect':
        return this.connect(socket, args);
      case 'close':
        return this.close(socket, fd);
      case 'shutdown':
        return at(this.shutdown(socket, required(args, 1)));
      case 'fcntl':
        return at(this.fcntl(socket, args));
      case 'ioctl':
        return this.ioctl(socket, args);
      case 'getsockopt':
        return getOption(socket, args);
      case 'setsockopt':
        return at(setOption(socket, args));
      default:
        return name.startsWith('re') ? this.read(socket, call) : this.write(socket, call);
    }
  }

  /** A call that waits does so no longer than the socket is to: SO_RCVTIMEO, and SO_SNDTIMEO for `connect`. */
  private limited(socket: TestSocket, name: string, call: Call): Call {
    const [option, errno] = name === 'connect' ? ['SO_SNDTIMEO', 'EINPROGRESS'] : ['SO_RCVTIMEO', 'EAGAIN'];
    const limit = socket.values.get(option);
    const waits = name === 'connect' || name.startsWith('accept') || name.startsWith('re');
    if (!waits || typeof limit !== 'number' || limit <= 0) return call;
    const { now } = this.options;
    const deadline = now() + limit;
    const late = () => (now() >= deadline - NANOSECOND ? failed(errno) : undefined);
    return { ...call, deadline, attempt: () => call.attempt() ?? late() };
  }

  private socket(call: CallLine): Call {
    const type = optional(call.args, 1, 1);
    if ((type & 0xf) !== 1) throw new Unsupported('sockets other than of SOCK_STREAM');
    return at(this.install(new TestSocket(this.options.linux, this.options.keepAlive()), call, (type & 0x800) !== 0));
  }

  /** Gives a new socket the number that the script calls it. */
  private install(socket: TestSocket, { result }: CallLine, nonBlocking: boolean): Returned {
    socket.nonBlocking = nonBlocking;
    const wanted = numberOf(result.value);
    const fd = wanted !== undefined && wanted >= 0 ? wanted : Math.max(2, ...this.sockets.keys()) + 1;
    this.sockets.set(fd, socket);
    return { value: fd };
  }

  private bind(socket: TestSocket, args: readonly Expression[]): Call {
    if (socket.boundPort !== 0) return at(failed('EINVAL'));
    const port = portIn(args[1]) ?? this.options.bindPort;
    if ([...this.sockets.values()].some((other) => conflicts(other, socket, port))) return at(failed('EADDRINUSE'));
    socket.boundPort = port;
    return at({ value: 0 });
  }

  private listen(socket: TestSocket, backlog: number): Call {
    if (socket.connection !== undefined) return at(failed('EINVAL'));
    if (socket.listener !== undefined) return at({ value: 0 });
    // Linux keeps one more than it was told.
    const room = this.options.linux ? backlog + 1 : Math.max(1, Math.floor((backlog * 3) / 2));
    socket.listener = this.options.tcp.listen(
      { address: this.any, port: socket.boundPort },
      { ...socket.options, backlog: room, fastOpen: this.fastOpensOf(socket, room), acceptEnded: this.options.linux },
    );
    watch(socket.listener, socket);
    this.options.flows.listening(socket.listener.local.port);
    return at({ value: 0 });
  }

  private fastOpensOf(socket: TestSocket, room: number): number {
    const asked = socket.values.get('TCP_FASTOPEN');
    return typeof asked === 'number' ? asked : this.options.fastOpenListeners() ? room : 0;
  }

  private accept(socket: TestSocket, call: CallLine): Call {
    const { listener } = socket;
    if (listener === undefined) return at(failed('EINVAL'));
    const nonBlocking = (optional(call.args, 3) & 0x800) !== 0;
    return {
      instead: socket.nonBlocking ? 'EAGAIN' : undefined,
      attempt: () => {
        const connection = listener.accept();
        if (connection === undefined) return undefined;
        watch(listener, socket);
        this.connections.push(connection);
        return this.install(TestSocket.accepted(socket, connection), call, nonBlocking);
      },
    };
  }

  private connect(socket: TestSocket, args: readonly Expression[]): Call {
    if (nameOf(args[1]) === 'AF_UNSPEC' || familyIn(args[1]) === 'AF_UNSPEC') return at(disconnect(socket));
    if (socket.listener !== undefined) return at(failed(this.options.linux ? 'EISCONN' : 'EOPNOTSUPP'));
    if (socket.stage === 'connected' && !this.options.linux) return at(failed('EISCONN'));
    if (socket.stage === 'fresh') {
      const port = portIn(args[1]) ?? this.options.connectPort;
      const early = socket.values.get('TCP_FASTOPEN_CONNECT') === 1;
      if (early && this.roomInSyn() !== undefined) {
        socket.deferredTo = port;
        return at({ value: 0 });
      }
      this.open(socket, port, early ? NO_BYTES : undefined);
      return { instead: socket.nonBlocking ? 'EINPROGRESS' : undefined, attempt: () => socket.finishConnect() };
    }
    return { instead: socket.nonBlocking ? 'EALREADY' : undefined, attempt: () => socket.finishConnect() };
  }

  /** The SYN goes out, with as much of `data` as it takes; returns how much that is. */
  private open(socket: TestSocket, port: number, data?: Uint8Array): number {
    const bound = socket.boundPort === 0 ? {} : { localPort: socket.boundPort };
    const taken = data?.subarray(0, Math.max(0, this.roomInSyn() ?? 0));
    const fastOpen = taken === undefined ? {} : { fastOpen: taken };
    const remote = { address: this.remote, port };
    socket.connection = this.options.tcp.connect(remote, socket, { ...socket.options, ...bound, ...fastOpen });
    this.connections.push(socket.connection);
    socket.stage = 'connecting';
    socket.over = false;
    socket.deferredTo = undefined;
    socket.applySettings();
    this.options.flows.connecting(socket.connection.local.port, port);
    return taken?.length ?? 0;
  }

  private roomInSyn(): number | undefined {
    const { tcp, clock } = this.options;
    return roomInSyn(tcp, unmapped(this.remote), clock());
  }

  private read(socket: TestSocket, { name, args }: CallLine): Call {
    const vectored = name === 'readv' || name === 'recvmsg';
    const max = bufferLength(args[vectored ? 1 : 2], vectored);
    const flags = name === 'recvmsg' ? optional(args, 2) : name.startsWith('recv') ? optional(args, 3) : 0;
    if (flags & FLAG.ERRQUEUE) throw new Unsupported('the error queue');
    if (flags & FLAG.OOB) throw new Unsupported('reading out of band');
    const dontWait = socket.nonBlocking || (flags & FLAG.DONTWAIT) !== 0;
    const how = { peek: (flags & FLAG.PEEK) !== 0, all: (flags & FLAG.WAITALL) !== 0, wait: !dontWait };
    const questions = name === 'recvmsg' ? messageQuestions(args[1]) : {};
    return { instead: dontWait ? 'EAGAIN' : undefined, attempt: () => socket.read(max, how), ...questions };
  }

  private write(socket: TestSocket, { name, args }: CallLine): Call {
    const vectored = name === 'writev' || name === 'sendmsg';
    const length = bufferLength(args[vectored ? 1 : 2], vectored);
    const flags = name === 'sendmsg' ? optional(args, 2) : name.startsWith('send') ? optional(args, 3) : 0;
    const dontWait = socket.nonBlocking || (flags & FLAG.DONTWAIT) !== 0;
    const how = { more: (flags & FLAG.MORE) !== 0, urgent: (flags & FLAG.OOB) !== 0 };
    const bytes = new Uint8Array(length);
    let written = 0;
    const early = (flags & FLAG.FASTOPEN) !== 0 || socket.deferredTo !== undefined;
    if (early && socket.stage === 'fresh' && socket.listener === undefined) {
      const port = socket.deferredTo ?? portIn(args[4]) ?? this.options.connectPort;
      written = this.open(socket, port, bytes);
      const instead = dontWait ? 'EINPROGRESS' : undefined;
      if (dontWait && written > 0) return at({ value: written });
      if (dontWait) return { instead, attempt: () => undefined };
      if (written === length && length > 0) return at({ value: length });
    }
    const attempt = (): Returned => {
      const failure = socket.writeFailure();
      if (failure !== undefined) return written > 0 ? { value: written } : failure;
      if (socket.stage === 'connecting') return undefined;
      written += socket.write(bytes.subarray(written), how);
      return written === length || (dontWait && written > 0) ? { value: written } : undefined;
    };
    return { instead: dontWait ? 'EAGAIN' : undefined, attempt };
  }

  private close(socket: TestSocket, fd: number): Call {
    this.sockets.delete(fd);
    const { connection, linger } = socket;
    socket.listener?.close();
    if (connection === undefined) return at({ value: 0 });
    connection.close();
    const waits = linger !== undefined && linger > 0 && !socket.nonBlocking;
    return {
      instead: undefined,
      attempt: () => (waits && !socket.lingeredOut && !socket.over ? undefined : { value: 0 }),
    };
  }

  private shutdown(socket: TestSocket, how: number): Returned {
    const { connection, listener } = socket;
    if (listener !== undefined) {
      if (how !== 1) listener.close();
      return { value: 0 };
    }
    if (connection === undefined || connection.state === 'CLOSED' || connection.state === 'TIME-WAIT') {
      return failed('ENOTCONN');
    }
    if (how < 0 || how > 2) return failed('EINVAL');
    if (how !== 1) socket.readShut = true;
    if (how !== 0) socket.writeShut = true;
    connection.shutdown(how === 0 ? 'read' : how === 1 ? 'write' : 'both');
    return { value: 0 };
  }

  private fcntl(socket: TestSocket, args: readonly Expression[]): Returned {
    const command = nameOf(args[1]);
    const nonBlocking = this.options.linux ? 0x800 : 4;
    if (command === 'F_GETFL' || command === '3') return { value: 2 | (socket.nonBlocking ? nonBlocking : 0) };
    if (command !== 'F_SETFL' && command !== '4') throw new Unsupported(`fcntl ${command}`);
    socket.nonBlocking = (required(args, 2) & 0x800) !== 0;
    return { value: 0 };
  }

  private ioctl(socket: TestSocket, args: readonly Expression[]): Call {
    const request = nameOf(args[1]);
    if (request === 'FIONBIO') {
      socket.nonBlocking = known(innerOf(args[2]), 'argument 3') !== 0;
      return at({ value: 0 });
    }
    const { connection } = socket;
    if (socket.listener !== undefined) return at(failed('EINVAL'));
    const got = amountOf(request, connection);
    if (got === undefined) throw new Unsupported(`ioctl ${request}`);
    const expected = valueIn(args[2]);
    if (expected === undefined) return { ...at({ value: 0 }), untold: isAsked(args[2]) ? [request] : [] };
    const differs = { field: request, expected: String(expected), got: String(got) };
    return { ...at({ value: 0 }), check: () => (expected === got ? undefined : differs) };
  }

  private poll({ args }: CallLine): Call {
    if (args[0]?.kind !== 'list') throw new Unsupported('poll without a list');
    const entries = args[0].items.map(pollEntry);
    const timeout = optional(args, 2);
    const deadline = timeout < 0 ? Number.POSITIVE_INFINITY : this.options.now() + timeout;
    const found: number[] = [];
    const attempt = (): Returned => {
      for (const [i, entry] of entries.entries()) found[i] = this.readyOf(entry);
      const count = found.filter((mask) => mask !== 0).length;
      return count > 0 || this.options.now() >= deadline - NANOSECOND ? { value: count } : undefined;
    };
    const all = entries.map(({ revents }) => revents);
    const untold = all.flatMap((revents) =>
      revents !== undefined && isAsked(revents) && numberOf(revents) === undefined ? [expressionText(revents)] : [],
    );
    const check = (): Difference => {
      for (const [i, revents] of all.entries()) {
        const expected = numberOf(revents);
        if (revents === undefined || expected === undefined || expected === found[i]) continue;
        return { field: 'revents', expected: expressionText(revents), got: `0x${(found[i] ?? 0).toString(16)}` };
      }
      return undefined;
    };
    return { instead: undefined, attempt, check, untold, deadline };
  }

  private readyOf({ fd, events }: PollEntry): number {
    const socket = this.sockets.get(fd);
    return socket === undefined ? 0x20 : socket.ready & (events | 0x18);
  }
}

/** One of the descriptors that `poll` asks about. */
interface PollEntry {
  readonly fd: number;
  readonly events: number;
  readonly revents: Expression | undefined;
}

function pollEntry(entry: Expression): PollEntry {
  if (entry.kind !== 'struct') throw new Unsupported('poll without {fd=..., events=...}');
  const { fields } = entry;
  const events = knownOr(0, fields.get('events'), 'events');
  return { fd: known(fields.get('fd'), 'fd'), events, revents: fields.get('revents') };
}

/** What rounding may cost, in milliseconds. */
const NANOSECOND = 1e-6;

const NO_BYTES = new Uint8Array(0);

const FLAG = {
  OOB: 1,
  PEEK: 2,
  DONTWAIT: 0x40,
  WAITALL: 0x100,
  MORE: 0x8000,
  ERRQUEUE: 0x2000,
  FASTOPEN: 0x2000_0000,
} as const;

/** Whether a port cannot be bound since another socket has it: two that may reuse it can share it, but not with a listener. */
function conflicts(other: TestSocket, socket: TestSocket, port: number): boolean {
  if (port === 0 || other.boundPort !== port) return false;
  const both = [other, socket].every(({ values }) => values.get('SO_REUSEADDR') === 1);
  return other.listener !== undefined || !both;
}

/** Notes whether a connection waits to be accepted: now, and when one comes. */
function watch(listener: TcpListener, socket: TestSocket): void {
  socket.acceptable = false;
  listener.acceptable = () => {
    socket.acceptable = true;
  };
}

/** A call that has returned already. */
export function at(returned: Returned): Call {
  return { instead: undefined, attempt: () => returned };
}

/** `connect` to nowhere: the connection ends with a reset, the socket can be used again. */
function disconnect(socket: TestSocket): Returned {
  socket.connection?.disconnect();
  socket.listener?.close();
  socket.connection = undefined;
  socket.listener = undefined;
  socket.stage = 'fresh';
  socket.error = undefined;
  socket.over = socket.readShut = socket.writeShut = false;
  return { value: 0 };
}

function amountOf(request: string, connection: TestSocket['connection']): number | undefined {
  switch (request) {
    case 'SIOCINQ':
    case 'FIONREAD':
      return connection?.readableBytes ?? 0;
    case 'SIOCOUTQ':
    case 'TIOCOUTQ':
      return connection?.unacknowledgedBytes ?? 0;
    case 'SIOCOUTQNSD':
      return connection?.unsentBytes ?? 0;
    default:
      return undefined;
  }
}

/** What differs between what a call returned and what the script says. */
export function resultDifference({ name, result }: CallLine, returned: NonNullable<Returned>): Difference {
  const got = returned.errno === undefined ? String(returned.value) : `-1 ${returned.errno}`;
  if (result.value === undefined) return undefined;
  const value = numberOf(result.value);
  const expected = result.errno === undefined ? expressionText(result.value) : `-1 ${result.errno}`;
  const differs = { field: 'result', expected, got };
  if (value === undefined) return differs;
  if (result.errno !== undefined) {
    const same = returned.errno !== undefined && (ERRNO[returned.errno] ?? 0) === ERRNO[result.errno];
    return same ? undefined : { ...differs, field: 'error' };
  }
  if (name === 'socket' || name.startsWith('accept')) return value >= 0 === returned.value >= 0 ? undefined : differs;
  return value === returned.value ? undefined : differs;
}
