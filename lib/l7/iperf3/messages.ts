/**
 * What goes over the control connection of iperf3: first a cookie, then states of one byte; some are followed by a message, JSON behind a
 * length of four bytes, and one by two numbers. There is no document but the program (https://software.es.net/iperf); this is what
 * versions 3.1 to 3.17 say to each other. Authentication and SCTP are left out.
 */

import type { Random } from '../../core/random.js';

/** The port of control connections, and of what is measured, TCP or UDP. */
export const IPERF_PORT = 5201;

/** States that the two sides tell each other; a byte each. */
export const IperfState = {
  TestStart: 1,
  TestRunning: 2,
  TestEnd: 4,
  ParameterExchange: 9,
  CreateStreams: 10,
  ServerTerminate: 11,
  ClientTerminate: 12,
  ExchangeResults: 13,
  DisplayResults: 14,
  Done: 16,
  /** Two numbers of four bytes follow: an {@link IperfErrorCode}, and the server's `errno`. -2 as a byte. */
  ServerError: 0xfe,
  /** The server is busy with somebody else. -1 as a byte. */
  AccessDenied: 0xff,
} as const;

/** One of {@link IperfState}. */
export type IperfState = (typeof IperfState)[keyof typeof IperfState];

/** Why a server refuses, in the program's numbers; a client turns them into words. */
export const IperfErrorCode = {
  Duration: 5,
  Streams: 6,
  BlockSize: 7,
  BufferSize: 8,
  SegmentSize: 10,
  Omit: 12,
  NotImplemented: 13,
  Burst: 15,
  Sctp: 18,
  TypeOfService: 21,
  ReceiveMessage: 112,
  ReceiveParameters: 114,
  ReceiveResults: 117,
  StreamConnect: 203,
} as const;

/** One of {@link IperfErrorCode}. */
export type IperfErrorCode = (typeof IperfErrorCode)[keyof typeof IperfErrorCode];

/** Bytes of a cookie: 36 characters, and a zero. */
export const COOKIE_SIZE = 37;
/** Bytes of a message's length. */
export const LENGTH_SIZE = 4;
/** Most bytes of parameters, and of a client's results, that a server takes. */
export const MAX_MESSAGE: number = 64 * 1024;
/** Most bytes of a server's results, which may hold all that it printed. */
export const MAX_RESULTS: number = 8 * 1024 * 1024;

// RFC 4648 6, in small letters.
const ALPHABET = 'abcdefghijklmnopqrstuvwxyz234567';
const FIRST_PRINTABLE = 0x21;
const LAST_PRINTABLE = 0x7e;

/** Draws a cookie: 180 random bits. */
export function makeCookie(random: Random): Uint8Array {
  const cookie = new Uint8Array(COOKIE_SIZE);
  for (let i = 0; i < COOKIE_SIZE - 1; i++) cookie[i] = ALPHABET.charCodeAt(random.below(ALPHABET.length));
  return cookie;
}

/** The text of a cookie; `undefined` for what can be none. */
export function cookieText(cookie: Uint8Array): string | undefined {
  const end = cookie.indexOf(0);
  if (cookie.length !== COOKIE_SIZE || end <= 0) return undefined;
  const characters = cookie.subarray(0, end);
  if (!characters.every((byte) => byte >= FIRST_PRINTABLE && byte <= LAST_PRINTABLE)) return undefined;
  return String.fromCharCode(...characters);
}

/** A message as it is sent: its length, and it. */
export function emitMessage(value: object): Uint8Array {
  const text = new TextEncoder().encode(JSON.stringify(value));
  const bytes = new Uint8Array(LENGTH_SIZE + text.length);
  new DataView(bytes.buffer).setUint32(0, text.length);
  bytes.set(text, LENGTH_SIZE);
  return bytes;
}

/** Members of an object that came as JSON. */
export type Members = Readonly<Record<string, unknown>>;

/** Reads a message; `undefined` where it is no JSON, or no object. */
export function parseMessage(bytes: Uint8Array): Members | undefined {
  try {
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Members) : undefined;
  } catch {
    return undefined;
  }
}

/** What a refusal is followed by. */
export function emitError(code: number, errno = 0): Uint8Array {
  const bytes = new Uint8Array(1 + 8);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, IperfState.ServerError);
  view.setInt32(1, code);
  view.setInt32(5, errno);
  return bytes;
}

const STATE_NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(IperfState).map(([name, state]) => [state, name]),
);

/** A state for people: its name, or its number. */
export function stateName(state: number): string {
  return STATE_NAMES.get(state) ?? `${state}`;
}

const ERROR_WORDS: Readonly<Partial<Record<number, string>>> = {
  [IperfErrorCode.Duration]: 'the test takes too long',
  [IperfErrorCode.Streams]: 'too many streams',
  [IperfErrorCode.BlockSize]: 'the block size is out of range',
  [IperfErrorCode.BufferSize]: 'the socket buffer is too large',
  [IperfErrorCode.SegmentSize]: 'the segment size is out of range',
  [IperfErrorCode.Omit]: 'the time to leave out is too long',
  [IperfErrorCode.NotImplemented]: 'that is not implemented',
  [IperfErrorCode.Burst]: 'the burst is too large',
  [IperfErrorCode.Sctp]: 'there is no SCTP',
  [IperfErrorCode.TypeOfService]: 'the type of service is out of range',
  [IperfErrorCode.ReceiveMessage]: 'it did not understand a control message',
  [IperfErrorCode.ReceiveParameters]: 'it did not understand the parameters',
  [IperfErrorCode.ReceiveResults]: 'it did not understand the results',
  [IperfErrorCode.StreamConnect]: 'a stream could not be connected',
};

/** Why the server refuses, for people. */
export function errorText(code: number): string {
  return ERROR_WORDS[code] ?? `error ${code}`;
}
