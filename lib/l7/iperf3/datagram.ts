/**
 * Datagrams of a test: each begins with the time when it was sent and its number, from 1. Before the first, a client sends a magic number from the
 * port of each stream, and the server answers with another, so that it knows whose datagrams are of which stream.
 *
 * The magic numbers are sent in the byte order of the sender's machine, which for nearly all is little-endian; older versions of the program have
 * others than newer ones, and look at nothing but that something came. A newer number of one byte order is the answer in the other, so that only
 * who knows that it is a server may answer.
 */

import type { IpVersion } from '../../core/address.js';

/** Most bytes of data in a datagram (RFC 768; RFC 8200 4.5 without jumbograms). */
export const MAX_DATAGRAM: Readonly<Record<IpVersion, number>> = { 4: 65_507, 6: 65_527 };

/** Bytes of a magic number. */
export const HELLO_SIZE = 4;

/** Since version 3.10: "6789", and its answer "9876", to read on a big-endian machine. */
const HELLO = 0x36373839;
const HELLO_ANSWER = 0x39383736;
const OLD_HELLO = 123_456_789;
const OLD_ANSWER = 987_654_321;

/** The magic number that a client begins with. */
export function emitHello(): Uint8Array {
  return magic(HELLO, true);
}

/** What to answer to a datagram of somebody unknown; `undefined` where it is no magic number. */
export function answerHello(data: Uint8Array): Uint8Array | undefined {
  if (data.length !== HELLO_SIZE) return undefined;
  const view = new DataView(data.buffer, data.byteOffset, HELLO_SIZE);
  for (const littleEndian of [true, false]) {
    const number = view.getUint32(0, littleEndian);
    if (number === HELLO) return magic(HELLO_ANSWER, littleEndian);
    if (number === OLD_HELLO) return magic(OLD_ANSWER, littleEndian);
  }
  return undefined;
}

/** Whether that is how a server answers a magic number, of whatever version. */
export function isHelloAnswer(data: Uint8Array): boolean {
  if (data.length !== HELLO_SIZE) return false;
  const view = new DataView(data.buffer, data.byteOffset, HELLO_SIZE);
  return [view.getUint32(0, true), view.getUint32(0)].some(
    (number) => number === HELLO_ANSWER || number === OLD_ANSWER,
  );
}

function magic(number: number, littleEndian: boolean): Uint8Array {
  const bytes = new Uint8Array(HELLO_SIZE);
  new DataView(bytes.buffer).setUint32(0, number, littleEndian);
  return bytes;
}

const SECONDS = 0;
const MICROSECONDS = 4;
const COUNTER = 8;
const HIGH = 0x1_0000_0000;

/** Bytes in front of a datagram's data. */
export function headerSize(counters64: boolean): 12 | 16 {
  return counters64 ? 16 : 12;
}

/** One datagram's worth of bytes whose header is written anew for each that is sent. */
export class OutgoingDatagram {
  readonly bytes: Uint8Array;
  private readonly view: DataView;
  private readonly counters64: boolean;

  /** @param length bytes, header included: {@link headerSize} at least */
  constructor(length: number, counters64: boolean) {
    this.bytes = new Uint8Array(length);
    this.view = new DataView(this.bytes.buffer);
    this.counters64 = counters64;
  }

  /**
   * Writes the header.
   *
   * @param now in milliseconds, with fractions
   * @param number from 1; it wraps where there are 32 bits for it
   */
  stamp(now: number, number: number): void {
    const seconds = Math.floor(now / 1000);
    this.view.setUint32(SECONDS, seconds);
    this.view.setUint32(MICROSECONDS, Math.floor((now - seconds * 1000) * 1000));
    if (this.counters64) this.view.setUint32(COUNTER, Math.floor(number / HIGH));
    this.view.setUint32(this.counters64 ? COUNTER + 4 : COUNTER, number >>> 0);
  }
}

function uint32(data: Uint8Array, at: number): number {
  return (
    (((data[at] ?? 0) << 24) | ((data[at + 1] ?? 0) << 16) | ((data[at + 2] ?? 0) << 8) | (data[at + 3] ?? 0)) >>> 0
  );
}

/** When a datagram was sent by its sender's clock, in milliseconds. */
export function sentAt(data: Uint8Array): number {
  return uint32(data, SECONDS) * 1000 + uint32(data, MICROSECONDS) / 1000;
}

/** The number of a datagram. */
export function counterOf(data: Uint8Array, counters64: boolean): number {
  return counters64 ? uint32(data, COUNTER) * HIGH + uint32(data, COUNTER + 4) : uint32(data, COUNTER);
}
