/**
 * Frames from worker to worker. What one passes on to another within a turn of its event loop is one message of copied bytes; how much is
 * on its way to each is counted in memory that all share, and beyond a limit frames are dropped.
 */

import type { MessagePort } from 'node:worker_threads';
import { DropReason } from '../../lib/core/drops.js';
import type { Env } from '../../lib/core/env.js';
import type { ChecksumState, Frame, GsoType } from '../../lib/core/frame.js';

/** Bytes on their way from one worker to another, beyond which no more are taken. */
const MOST_BYTES = 4 << 20;
const FIRST_SIZE = 1 << 14;

// A record: what is known of the frame, with offsets from its start, then its bytes.
const LENGTH = 0;
const CHECKSUM_START = 4;
const CHECKSUM_FIELD = 8;
const GSO_SIZE = 12;
const GSO_TYPE = 16;
const CHECKSUM = 17;
const RECORD = 20;

/** What connects one worker to the others; it can be posted to a thread. */
export interface ExchangeLines {
  readonly index: number;
  /** By number of the other worker; none to itself. */
  readonly ports: readonly (MessagePort | undefined)[];
  /** Bytes on their way: row by row, from each worker to each. */
  readonly onTheWay: SharedArrayBuffer;
}

/** Memory for {@link ExchangeLines.onTheWay}. */
export function onTheWayBetween(workers: number): SharedArrayBuffer {
  return new SharedArrayBuffer(workers * workers * Int32Array.BYTES_PER_ELEMENT);
}

/** Records for one other worker, until the turn ends. */
class Outbox {
  bytes: Uint8Array = new Uint8Array(FIRST_SIZE);
  view: DataView = new DataView(this.bytes.buffer);
  used = 0;

  reserve(length: number): number {
    const at = this.used;
    if (at + length > this.bytes.length) {
      const larger = new Uint8Array(Math.max(2 * this.bytes.length, at + length));
      larger.set(this.bytes.subarray(0, at));
      this.bytes = larger;
      this.view = new DataView(larger.buffer);
    }
    this.used = at + length;
    return at;
  }
}

/** One worker's end. */
export class Exchange {
  /** Frames passed on to others, and got from them. */
  sent = 0;
  received = 0;
  private readonly lines: ExchangeLines;
  private readonly onTheWay: Int32Array;
  private readonly outboxes: readonly Outbox[];
  private readonly env: Env;
  private readonly receive: (frame: Frame) => void;
  private flushDue = false;
  private open = true;

  /** @param receive takes over the reference of each frame that another worker passes on to this one */
  constructor(lines: ExchangeLines, receive: (frame: Frame) => void, env: Env) {
    this.lines = lines;
    this.receive = receive;
    this.env = env;
    this.onTheWay = new Int32Array(lines.onTheWay);
    this.outboxes = lines.ports.map(() => new Outbox());
    lines.ports.forEach((port, from) => port?.on('message', (bytes: Uint8Array) => this.unpack(bytes, from)));
  }

  /** Passes a copy of a frame on; drops it if the other worker has too much to do. */
  post(frame: Frame, to: number): void {
    const outbox = this.outboxes[to];
    if (outbox === undefined || !this.open) return;
    const size = RECORD + frame.length;
    const pair = this.lines.index * this.outboxes.length + to;
    if (Atomics.load(this.onTheWay, pair) + size > MOST_BYTES) {
      this.env.drops.report(DropReason.WorkerQueueFull, frame, `worker ${to}`);
      return;
    }
    Atomics.add(this.onTheWay, pair, size);
    pack(outbox, frame);
    this.sent++;
    if (this.flushDue) return;
    this.flushDue = true;
    queueMicrotask(() => this.flush());
  }

  /** Passes a copy on to every other worker. */
  postToAll(frame: Frame): void {
    for (let to = 0; to < this.outboxes.length; to++) if (to !== this.lines.index) this.post(frame, to);
  }

  close(): void {
    this.open = false;
    for (const port of this.lines.ports) port?.close();
  }

  private flush(): void {
    this.flushDue = false;
    this.outboxes.forEach((outbox, to) => {
      if (outbox.used === 0 || !this.open) return;
      const bytes = outbox.bytes.slice(0, outbox.used);
      outbox.used = 0;
      this.lines.ports[to]?.postMessage(bytes, [bytes.buffer]);
    });
  }

  private unpack(bytes: Uint8Array, from: number): void {
    Atomics.sub(this.onTheWay, from * this.outboxes.length + this.lines.index, bytes.length);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    for (let at = 0; at < bytes.length && this.open; ) {
      const length = view.getUint32(at + LENGTH);
      const frame = this.env.pool.alloc(length);
      frame.slab.bytes.set(bytes.subarray(at + RECORD, at + RECORD + length), frame.put(length));
      describe(frame, view, at);
      this.received++;
      this.receive(frame);
      at += RECORD + length;
    }
  }
}

function pack(outbox: Outbox, frame: Frame): void {
  const { start, length } = frame;
  const at = outbox.reserve(RECORD + length);
  const { view } = outbox;
  view.setUint32(at + LENGTH, length);
  view.setInt32(at + CHECKSUM_START, frame.checksumStart - start);
  view.setInt32(at + CHECKSUM_FIELD, frame.checksumField - start);
  view.setUint32(at + GSO_SIZE, frame.gsoSize);
  view.setUint8(at + GSO_TYPE, frame.gsoType);
  view.setUint8(at + CHECKSUM, frame.checksum);
  outbox.bytes.set(frame.bytes(), at + RECORD);
}

function describe(frame: Frame, view: DataView, at: number): void {
  frame.checksumStart = frame.start + view.getInt32(at + CHECKSUM_START);
  frame.checksumField = frame.start + view.getInt32(at + CHECKSUM_FIELD);
  frame.gsoSize = view.getUint32(at + GSO_SIZE);
  frame.gsoType = view.getUint8(at + GSO_TYPE) as GsoType;
  frame.checksum = view.getUint8(at + CHECKSUM) as ChecksumState;
}
