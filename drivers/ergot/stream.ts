/** Links of ergot over streams of bytes: a serial port, a pipe, a socket that is open already. */

import { Duplex } from 'node:stream';
import type { ReadableStream, WritableStream } from 'node:stream/web';
import type { Device } from '../../lib/core/device.js';
import type { Env } from '../../lib/core/env.js';
import type { TxFrame } from '../../lib/core/frame.js';
import { ERGOT_MTU, ErgotLink } from './ergot-link.js';
import { type StreamOwner, type ErgotStuffingOptions, StuffedStream } from './stuffed-stream.js';

export type { ErgotStuffingOptions } from './stuffed-stream.js';

/** Options of {@link ergotOverStream}. */
export interface ErgotStreamOptions extends ErgotStuffingOptions {
  /** Default `stream`. */
  readonly name?: string;
}

/** A stream of bytes in the shape of the web's: of `Uint8Array`s both ways. */
export interface ErgotWebStream {
  readonly readable: ReadableStream<Uint8Array>;
  readonly writable: WritableStream<Uint8Array>;
}

/** A link that lives as long as its stream. */
export class StreamLink extends ErgotLink implements StreamOwner {
  private readonly stuffed: StuffedStream;
  private readonly gone: (link: StreamLink) => void;

  /** @param gone told when it has ended, however that was */
  constructor(stream: Duplex, options: ErgotStreamOptions, env: Env, gone: (link: StreamLink) => void) {
    const { name = 'stream', mtu = ERGOT_MTU } = options;
    super(name, mtu, env);
    this.gone = gone;
    this.stuffed = new StuffedStream(stream, options, this, env);
  }

  heard(bytes: Uint8Array, length: number): void {
    this.deliver(bytes, length);
  }

  ended(error: Error | undefined): void {
    if (error === undefined) void this.close();
    else this.fail(error);
  }

  protected override transmit(frame: TxFrame): void {
    this.stuffed.send(frame);
  }

  protected override detach(): void {
    this.stuffed.close();
    this.gone(this);
  }
}

function isDuplex(stream: Duplex | ErgotWebStream): stream is Duplex {
  return 'pipe' in stream;
}

/**
 * Makes a link of a stream of bytes, and takes the stream over: frames are stuffed (COBS), each ended by a zero. What is between two zeros and no
 * frame is dropped, and the next frame is found: both ends may begin in the midst of something.
 *
 * It ends as the stream does, with its error if there is one; closing it closes the stream.
 *
 * **Drops** on the way in `ErgotBadStuffing`, `ErgotTooLarge`; on the way out `DeviceQueueFull`, and `DeviceDown` for what a stream that ended had not taken.
 * **State and timers** a frame of the largest size, and what waits to be sent; a timer while it is closing.
 *
 * @throws UsageError `ERR_INVALID_OPTION` for an MTU that no link has, or a queue that is none
 * @example
 * const link = ergotOverStream(serialPort, { name: 'ttyUSB0', mtu: 512 }, env);
 * node.plug(link);
 */
export function ergotOverStream(stream: Duplex | ErgotWebStream, options: ErgotStreamOptions, env: Env): Device {
  return new StreamLink(isDuplex(stream) ? stream : Duplex.fromWeb(stream), options, env, () => undefined);
}
