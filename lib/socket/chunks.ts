/** What Node streams are given and give, as bytes. */

import { Buffer } from 'node:buffer';
import type { TcpConnection } from '../l4/tcp/api.js';

/** Most bytes of one `data` event: what libuv reads at a time. */
const READ_SIZE = 0x1_0000;
/** The same for a reader that is paused, or asks for each: what is read ahead for it looks to the peer as if it had been wanted. */
const READ_AHEAD = 0x4000;
/** To copy so few bytes into Node's pool is cheaper than to make a buffer of the memory that they lie in. */
const SMALL_READ = 1024;

/** What a writable stream is given. */
export interface Chunk {
  readonly chunk: Uint8Array | string;
  readonly encoding: BufferEncoding;
}

export function bytesOf({ chunk, encoding }: Chunk): Uint8Array {
  return typeof chunk === 'string' ? Buffer.from(chunk, encoding) : chunk;
}

/** What there is to read of a connection, for one `data` event. @param flows whether there is a reader that takes all */
export function nextOf(connection: TcpConnection, flows: boolean): Buffer | undefined {
  const { readableBytes } = connection;
  if (readableBytes > 0 && readableBytes <= SMALL_READ) {
    const chunk = Buffer.allocUnsafe(readableBytes);
    const count = connection.readInto(chunk);
    return count === readableBytes ? chunk : chunk.subarray(0, count);
  }
  const bytes = connection.read(flows ? READ_SIZE : READ_AHEAD);
  return bytes && Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}
