/** Socket options of scripts: set where the stack has them, remembered otherwise. */

import { congestionName } from './congestion-names.js';
import { known, knownOr, Unsupported } from './arguments.js';
import { ERRNO, expressionText, innerOf, isAsked, nameOf, numberOf, valueIn } from './constants.js';
import type { Expression } from './expression.js';
import { isAllowed, toldValue } from './option-values.js';
import type { Call } from './sockets.js';
import { infoNames } from './tcp-info.js';
import { failed, type Returned, type TestSocket } from './test-socket.js';

// Linux's, of either version of IP.
const DEFAULT_MSS = 536;
const TIMESTAMPS_LENGTH = 12;
const DEFAULT_HOP_LIMIT = 64;

/** What the options do that mean something to the stack. Times come in seconds, unless they are of TCP_USER_TIMEOUT. */
const SETTERS: Readonly<Record<string, (socket: TestSocket, value: number) => void>> = {
  TCP_NODELAY: (socket, value) => {
    socket.options.noDelay = value !== 0;
    socket.connection?.setNoDelay(value !== 0);
  },
  SO_KEEPALIVE: (socket, value) => {
    socket.keepAlive.on = value !== 0;
    socket.applyKeepAlive();
  },
  TCP_KEEPIDLE: (socket, value) => {
    socket.keepAlive.idle = value * 1000;
    socket.applyKeepAlive();
  },
  TCP_KEEPINTVL: (socket, value) => {
    socket.keepAlive.interval = value * 1000;
    socket.applyKeepAlive();
  },
  TCP_KEEPCNT: (socket, value) => {
    socket.keepAlive.count = value;
    socket.applyKeepAlive();
  },
  TCP_CORK: (socket, value) => socket.connection?.setCork(value !== 0),
  TCP_QUICKACK: (socket, value) => socket.connection?.setQuickAck(value !== 0),
  SO_RCVBUF: (socket, value) => {
    // FreeBSD's window scale is of the largest buffer that there may be, whatever this one is.
    if (socket.linux) socket.options.receiveBuffer = value;
    socket.connection?.setReceiveBuffer(value);
  },
  SO_SNDBUF: (socket, value) => {
    socket.options.sendBuffer = value;
    socket.connection?.setSendBuffer(value);
  },
  TCP_MAXSEG: (socket, value) => {
    // FreeBSD forgets it when it opens.
    if (value === 0) return;
    if (socket.linux) socket.options.maxSegmentSize = value;
    socket.connection?.setMaxSegmentSize(value);
  },
  SO_MAX_PACING_RATE: (socket, value) => {
    // All ones, in 32 bits or 64, are no limit.
    const rate = value < 0 || value >= 0xffff_ffff ? 0 : value;
    socket.options.maxPacingRate = rate;
    socket.connection?.setMaxPacingRate(rate);
  },
  TCP_USER_TIMEOUT: (socket, value) => {
    socket.options.userTimeout = value;
    socket.connection?.setUserTimeout(value);
  },
  TCP_SYNCNT: (socket, value) => {
    socket.options.limits = { ...socket.options.limits, synRetries: value };
  },
  TCP_KEEPINIT: (socket, value) => {
    socket.options.limits = { ...socket.options.limits, handshakeTimeout: value * 1000 };
  },
  TCP_NOOPT: (socket, value) => {
    const on = value === 0;
    const switches = { mssOption: on, timestamps: on, windowScaling: on, sack: on };
    socket.options.limits = { ...socket.options.limits, ...switches };
  },
  TCP_LINGER2: (socket, value) => {
    socket.options.limits = { ...socket.options.limits, finWait2Timeout: Math.max(0, value * 1000) };
    socket.connection?.setFinWait2Timeout(value * 1000);
  },
  IP_TTL: setHopLimit,
  IPV6_UNICAST_HOPS: setHopLimit,
  IP_TOS: setTrafficClass,
  IPV6_TCLASS: setTrafficClass,
};

function setHopLimit(socket: TestSocket, given: number): void {
  const value = given < 0 ? DEFAULT_HOP_LIMIT : given;
  socket.options.hopLimit = value;
  socket.connection?.setHopLimit(value);
}

function setTrafficClass(socket: TestSocket, given: number): void {
  const value = Math.max(0, given);
  socket.options.trafficClass = value;
  socket.connection?.setTrafficClass(value);
}

/** Options that scripts may give as numbers, level by level, as Linux numbers them. */
const NUMBERS: Readonly<Record<string, readonly (readonly [number, string])[]>> = {
  SOL_SOCKET: [
    [2, 'SO_REUSEADDR'],
    [3, 'SO_TYPE'],
    [4, 'SO_ERROR'],
    [7, 'SO_SNDBUF'],
    [8, 'SO_RCVBUF'],
    [9, 'SO_KEEPALIVE'],
    [13, 'SO_LINGER'],
    [30, 'SO_ACCEPTCONN'],
    [47, 'SO_MAX_PACING_RATE'],
  ],
  IPPROTO_TCP: [
    [1, 'TCP_NODELAY'],
    [2, 'TCP_MAXSEG'],
    [3, 'TCP_CORK'],
    [4, 'TCP_KEEPIDLE'],
    [5, 'TCP_KEEPINTVL'],
    [6, 'TCP_KEEPCNT'],
    [7, 'TCP_SYNCNT'],
    [8, 'TCP_LINGER2'],
    [11, 'TCP_INFO'],
    [12, 'TCP_QUICKACK'],
    [13, 'TCP_CONGESTION'],
    [18, 'TCP_USER_TIMEOUT'],
    [23, 'TCP_FASTOPEN'],
    [30, 'TCP_FASTOPEN_CONNECT'],
  ],
  IPPROTO_IP: [
    [1, 'IP_TOS'],
    [2, 'IP_TTL'],
  ],
  IPPROTO_IPV6: [
    [16, 'IPV6_UNICAST_HOPS'],
    [67, 'IPV6_TCLASS'],
  ],
};

const LEVELS: Readonly<Record<string, string>> = {
  SOL_TCP: 'IPPROTO_TCP',
  SOL_IP: 'IPPROTO_IP',
  SOL_IPV6: 'IPPROTO_IPV6',
  '0': 'IPPROTO_IP',
  '1': 'SOL_SOCKET',
  '6': 'IPPROTO_TCP',
  '41': 'IPPROTO_IPV6',
};

/** The name of an option, which the script may give as a number. */
function optionName(args: readonly Expression[]): string {
  const number = args[2]?.kind === 'number' ? args[2].value : undefined;
  if (number === undefined) return nameOf(args[2]);
  const level = nameOf(args[1]);
  const known = NUMBERS[Object.hasOwn(LEVELS, level) ? (LEVELS[level] ?? '') : level] ?? [];
  return known.find(([value]) => value === number)?.[1] ?? `${level}/${number}`;
}

/** Options that mean something to sockets, not to the stack. */
const KEPT: ReadonlySet<string> = new Set(['SO_REUSEADDR', 'SO_RCVLOWAT', 'TCP_FASTOPEN', 'TCP_FASTOPEN_CONNECT']);

/** `setsockopt`: options that mean nothing here are accepted silently. @throws Unsupported for a value that is not known, of one that does */
export function setOption(socket: TestSocket, args: readonly Expression[]): Returned {
  const name = optionName(args);
  const given = args[3];
  if (name === 'SO_LINGER') {
    socket.linger = lingerOf(given);
    socket.connection?.setLinger(socket.linger);
    return { value: 0 };
  }
  if (name === 'SO_RCVTIMEO' || name === 'SO_SNDTIMEO') {
    socket.values.set(name, durationOf(given));
    return { value: 0 };
  }
  const inner = innerOf(given);
  if (inner?.kind === 'string') return setText(socket, name, inner.value);
  const means = Object.hasOwn(SETTERS, name) || KEPT.has(name);
  const value = means ? known(inner, name) : numberOf(inner);
  if (value === undefined) return { value: 0 };
  if (socket.linux && !isAllowed(name, value)) return failed('EINVAL');
  socket.values.set(name, value);
  if (Object.hasOwn(SETTERS, name)) SETTERS[name]?.(socket, value);
  return { value: 0 };
}

/** Milliseconds of `{tv_sec=1, tv_usec=0}`. */
function durationOf(expression: Expression | undefined): number {
  const literal = innerOf(expression);
  if (literal?.kind !== 'struct') throw new Unsupported('a time that is no structure');
  const field = (name: string) => knownOr(0, literal.fields.get(name), name);
  return field('tv_sec') * 1000 + field('tv_usec') / 1000;
}

function setText(socket: TestSocket, name: string, given: string): Returned {
  socket.values.set(name, given);
  if (name !== 'TCP_CONGESTION') return { value: 0 };
  const congestion = congestionName(given);
  if (congestion === undefined) return failed('ENOENT');
  socket.options.congestion = congestion;
  return { value: 0 };
}

function lingerOf(expression: Expression | undefined): TestSocket['linger'] {
  const literal = innerOf(expression);
  if (literal?.kind !== 'struct') throw new Unsupported('SO_LINGER without {onoff=..., linger=...}');
  const field = (name: string, fallback: number) =>
    knownOr(fallback, literal.fields.get(name) ?? literal.fields.get(`l_${name}`), name);
  return field('onoff', 1) === 0 ? undefined : field('linger', 0) * 1000;
}

/** `getsockopt`: values that the stack knows are compared. */
export function getOption(socket: TestSocket, args: readonly Expression[]): Call {
  const name = optionName(args);
  const expected = valueIn(args[3]);
  const done: Call = { instead: undefined, attempt: () => ({ value: 0 }) };
  if (name === 'TCP_INFO' && args[3]?.kind === 'struct') return infoCall(socket, args[3].fields, done);
  if (expected === undefined) return args[3]?.kind === 'any' ? done : { ...done, untold: [name], unchecked: true };
  const got = optionValue(socket, name);
  if (got === undefined) return { ...done, untold: [name], unchecked: true };
  return {
    ...done,
    check: () => (got === expected ? undefined : { field: name, expected: String(expected), got: String(got) }),
  };
}

/** TCP_INFO, of which a script says some fields. */
function infoCall(socket: TestSocket, fields: ReadonlyMap<string, Expression>, done: Call): Call {
  const names = infoNames(socket.connection, socket.linux ? 'linux' : 'freebsd');
  const untold: string[] = [];
  const known: { readonly field: string; readonly expected: string; readonly got: string }[] = [];
  for (const [field, value] of fields) {
    if (!isAsked(value)) continue;
    const expected = value.kind === 'word' ? names(value.name) : numberOf(value);
    const got = names(field);
    if (expected === undefined || got === undefined) untold.push(`${field}=${expressionText(value)}`);
    else known.push({ field, expected: String(expected), got: String(got) });
  }
  const check = () => known.find(({ expected, got }) => expected !== got);
  return { ...done, untold, unchecked: known.length === 0 && untold.length > 0, check };
}

function optionValue(socket: TestSocket, name: string): number | undefined {
  switch (name) {
    case 'SO_ERROR':
      return ERRNO[socket.takeAnyError() ?? ''] ?? 0;
    case 'SO_KEEPALIVE':
      return Number(socket.keepAlive.on);
    case 'SO_ACCEPTCONN':
      return Number(socket.listener !== undefined);
    case 'SO_TYPE':
      return 1;
    case 'TCP_MAXSEG':
      return segmentSize(socket);
    case 'TCP_NODELAY':
    case 'TCP_CORK':
    case 'TCP_USER_TIMEOUT':
      return Number(socket.values.get(name) ?? 0);
    default:
      return socket.linux ? toldValue(name, socket.values.get(name)) : undefined;
  }
}

/** TCP_MAXSEG: FreeBSD counts the room for timestamps, too; before there is a connection the value that was set, or the default. */
function segmentSize({ connection, linux, values }: TestSocket): number | undefined {
  if (connection === undefined) return linux ? Number(values.get('TCP_MAXSEG') ?? DEFAULT_MSS) : undefined;
  const { sndMss, options } = connection.info();
  return sndMss + (!linux && options.timestamps ? TIMESTAMPS_LENGTH : 0);
}
