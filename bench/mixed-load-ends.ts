/** What both ends of the mixed load know, do and tell. */

import { createHash, type Hash, randomBytes } from 'node:crypto';
import type { Writable } from 'node:stream';

/** Bytes of one bulk transfer; both ways are digested whole. */
export const TRANSFER: number = 64 << 20;
/** Bytes of each write. */
export const BLOCK = 65_536;
/** Of SHA-256. */
export const DIGEST = 32;

/** What the service says of itself every second. */
export interface Health {
  /** Bytes: of the process; of the JavaScript heap with the buffers outside of it. */
  readonly rss: number;
  readonly heap: number;
  /** Milliseconds by which the event loop was late, 99th percentile of the second. */
  readonly delayP99: number;
  /** Connections. */
  readonly size: number;
}

/** What the load did. */
export interface Done {
  /** Transfers to the service and from it whose digest was right, and those where it was not. */
  readonly sent: number;
  readonly received: number;
  /** Short connections whose echo was right, and datagrams. */
  readonly connections: number;
  readonly datagrams: number;
  /** Datagrams that were not answered: queues may overflow. */
  readonly datagramsLost: number;
  /** Anything that was not as it should be, by what it was. */
  readonly wrong: Readonly<Record<string, number>>;
}

/** Writes a transfer to a socket, as fast as that takes it; `written` is told of its hash once all of it was. */
export function writeTransfer(socket: Writable, written: (hash: Hash) => void): void {
  const hash = createHash('sha256');
  let left = TRANSFER;
  const fill = () => {
    for (let more = true; more && left > 0; left -= BLOCK) {
      // A block of its own each time: what was written belongs to the stack until it is acknowledged.
      const block = Buffer.alloc(BLOCK, randomBytes(64));
      hash.update(block);
      more = socket.write(block);
    }
    if (left > 0) return;
    socket.off('drain', fill);
    written(hash);
  };
  socket.on('drain', fill);
  fill();
}
