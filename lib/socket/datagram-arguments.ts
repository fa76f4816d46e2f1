/** The many ways of calling `send` of a datagram socket in Node, read and validated once. */

import { portOf, typeError, codedError } from './node-errors.js';

/** Told at the end of a send. */
export type SendCallback = (error: Error | null, bytes?: number) => void;

/** Bytes of a datagram as an application may give them. */
export type DatagramBytes = string | ArrayBufferView;

/** What arguments of `send` say. */
export interface SendCall {
  /** One datagram, in a buffer of its own where it was given in pieces. */
  readonly bytes: Uint8Array;
  /** Undefined on a connected socket. */
  readonly port: number | undefined;
  readonly address: string;
  readonly callback: SendCallback | undefined;
}

function view(bytes: unknown): Uint8Array {
  if (typeof bytes === 'string') return Buffer.from(bytes);
  if (ArrayBuffer.isView(bytes)) return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const expected = 'an instance of Buffer, TypedArray, DataView, or a string';
  throw typeError('ERR_INVALID_ARG_TYPE', `The "buffer" argument must be ${expected}.`);
}

/** A part of the bytes. @throws RangeError `ERR_BUFFER_OUT_OF_BOUNDS` */
function part(bytes: unknown, offset: number, length: number): Uint8Array {
  const all = view(bytes);
  const [from, size] = [offset >>> 0, length >>> 0];
  for (const [name, outside] of [
    ['offset', from > all.length],
    ['length', from + size > all.length],
  ] as const) {
    if (!outside) continue;
    const error = new RangeError(`"${name}" is outside of buffer bounds`);
    throw Object.assign(error, { code: 'ERR_BUFFER_OUT_OF_BOUNDS' });
  }
  return all.subarray(from, from + size);
}

function whole(message: unknown): Uint8Array {
  return Array.isArray(message) ? Buffer.concat(message.map((piece: unknown) => view(piece))) : view(message);
}

/**
 * Reads `(msg[, offset, length][, port][, address][, callback])`, in the way of a connected socket or of one that is not.
 *
 * @throws TypeError, RangeError, Error with Node's codes
 */
export function sendArguments(args: readonly unknown[], connected: boolean): SendCall {
  const [message, ...rest] = args;
  const callback = rest.find((argument) => typeof argument === 'function') as SendCallback | undefined;
  const plain = rest.filter((argument) => typeof argument !== 'function');
  // With both offset and length there is, unless connected, a port after them.
  const cut = connected
    ? typeof plain[1] === 'number'
    : (plain[2] !== undefined && plain[2] !== null && plain[2] !== '') || typeof plain[3] === 'string';
  const bytes = cut ? part(message, Number(plain[0]), Number(plain[1])) : whole(message);
  const [port, address] = cut ? plain.slice(2) : connected ? [] : plain;
  if (connected) {
    if (port || address) throw codedError('ERR_SOCKET_DGRAM_IS_CONNECTED', 'Already connected');
    return { bytes, port: undefined, address: '', callback };
  }
  if (address !== undefined && address !== null && typeof address !== 'string') {
    throw typeError('ERR_INVALID_ARG_TYPE', 'The "address" argument must be of type string.');
  }
  return { bytes, port: portOf(port, 'Port', 1), address: address ?? '', callback };
}
