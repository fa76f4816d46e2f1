/** Frames over a stream of bytes: stuffed on the way out, taken out of whatever comes on the way in. */

import type { Duplex } from 'node:stream';
import { DropReason } from '../../lib/core/drops.js';
import type { Env } from '../../lib/core/env.js';
import type { Frame } from '../../lib/core/frame.js';
import type { Timer } from '../../lib/core/timers.js';
import { UsageError } from '../../lib/core/errors.js';
import { CobsDecoder, CobsResult, cobsEncode, cobsLength } from '../../lib/ergot/cobs.js';

/** How long a stream that is closed may take to write what it was given, in milliseconds. */
const LINGER = 1000;
const FIRST_ROOM = 2048;

/** How streams of frames can be tuned. */
export interface ErgotStuffingOptions {
  /** Largest frame in bytes. Default 1024. */
  readonly mtu?: number;
  /** Stuffed bytes that wait while the stream is full; frames beyond are dropped as `DeviceQueueFull`. Default 64 KiB. At least one frame may wait. */
  readonly sendQueue?: number;
}

const SEND_QUEUE = 65_536;

/** @throws UsageError `ERR_INVALID_OPTION` for what is no number of bytes that may wait */
export function checkSendQueue({ sendQueue = SEND_QUEUE }: ErgotStuffingOptions): number {
  if (sendQueue >= 0) return sendQueue;
  throw new UsageError('ERR_INVALID_OPTION', `${sendQueue} bytes cannot wait`);
}

/** Whose stream it is. */
export interface StreamOwner {
  readonly name: string;
  readonly mtu: number;
  /** Takes the first `length` bytes, which are a frame, during the call. */
  heard(bytes: Uint8Array, length: number): void;
  /** Told once, and not where the owner closes it: without an error the other end closed it. */
  ended(error: Error | undefined): void;
}

/** Frames that wait, one after the other as they will be in the stream. */
class StuffedQueue {
  private readonly limit: number;
  private bytes: Uint8Array = new Uint8Array(0);
  private used = 0;
  /** How many they are. */
  count = 0;

  constructor(limit: number) {
    this.limit = limit;
  }

  /** Says whether there was room. */
  push(frame: Frame): boolean {
    const needed = this.used + cobsLength(frame.length);
    if (needed > this.limit) return false;
    if (needed > this.bytes.length) this.grow(needed);
    this.used = cobsEncode(frame.slab.bytes, frame.start, frame.end, this.bytes, this.used);
    this.count++;
    return true;
  }

  /** All that waits, in memory of its own. */
  take(): Uint8Array {
    const taken = this.bytes.slice(0, this.used);
    this.used = this.count = 0;
    return taken;
  }

  private grow(needed: number): void {
    const grown = new Uint8Array(Math.min(this.limit, Math.max(FIRST_ROOM, needed, 2 * this.bytes.length)));
    grown.set(this.bytes.subarray(0, this.used));
    this.bytes = grown;
  }
}

/** A stream that carries frames of ergot, for as long as it is open. */
export class StuffedStream {
  private readonly stream: Duplex;
  private readonly owner: StreamOwner;
  private readonly env: Env;
  private readonly decoder: CobsDecoder;
  private readonly queue: StuffedQueue;
  private open = true;
  private full = false;
  private linger: Timer | undefined = undefined;
  private readonly onData = (chunk: Uint8Array): void => this.receive(chunk);
  private readonly onDrain = (): void => this.flush();
  private readonly onEnd = (): void => this.end(undefined);

  /** Takes the stream over. @throws UsageError `ERR_INVALID_OPTION` */
  constructor(stream: Duplex, options: ErgotStuffingOptions, owner: StreamOwner, env: Env) {
    this.stream = stream;
    this.owner = owner;
    this.env = env;
    this.decoder = new CobsDecoder(owner.mtu);
    this.queue = new StuffedQueue(Math.max(checkSendQueue(options), cobsLength(owner.mtu)));
    stream.on('data', this.onData);
    stream.on('drain', this.onDrain);
    stream.on('end', this.onEnd);
    stream.on('close', this.onEnd);
    // Stays after the end: an error without a listener would end the process.
    stream.on('error', (error) => this.end(error));
  }

  /** Sends a frame of at most the owner's MTU; takes over its reference. */
  send(frame: Frame): void {
    const { owner, queue, env } = this;
    if (!queue.push(frame)) return env.drops.refuse(DropReason.DeviceQueueFull, frame, owner.name);
    frame.release();
    // A stream may emit from inside of write(): it is written to when the pipeline has returned.
    if (queue.count === 1 && !this.full) queueMicrotask(this.onDrain);
    return undefined;
  }

  /** Sends what waits, as far as the stream takes it within a second, and closes it. */
  close(): void {
    if (!this.open) return;
    const { stream } = this;
    const last = this.queue.take();
    this.shut();
    // A stream may emit from inside of write(): nobody is to hear of it any more.
    if (last.length > 0) stream.write(last);
    this.linger = this.env.timers.timer(() => stream.destroy());
    this.linger.arm(this.env.timers.now() + LINGER);
    const destroy = (): void => {
      this.linger?.cancel();
      stream.destroy();
    };
    stream.once('close', destroy);
    stream.end(destroy);
    // What still comes is nobody's.
    stream.resume();
  }

  private end(error: Error | undefined): void {
    if (!this.open) return;
    this.shut();
    this.stream.destroy();
    this.owner.ended(error);
  }

  private shut(): void {
    const { stream, owner, queue, env } = this;
    this.open = false;
    stream.off('data', this.onData);
    stream.off('drain', this.onDrain);
    stream.off('end', this.onEnd);
    stream.off('close', this.onEnd);
    for (; queue.count > 0; queue.count--) env.drops.report(DropReason.DeviceDown, undefined, owner.name);
  }

  private flush(): void {
    this.full = false;
    if (this.open && this.queue.count > 0) this.full = !this.stream.write(this.queue.take());
  }

  private receive(chunk: Uint8Array): void {
    this.env.timers.asOne(() => this.decode(chunk));
  }

  private decode(chunk: Uint8Array): void {
    const { decoder, owner, env } = this;
    for (let at = 0; at < chunk.length && this.open; ) {
      at = decoder.take(chunk, at, chunk.length);
      const { reason } = decoder;
      if (reason !== undefined) env.drops.report(reason, undefined, owner.name);
      else if (decoder.result === CobsResult.Frame) owner.heard(decoder.frame, decoder.length);
    }
  }
}
