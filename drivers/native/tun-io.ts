/** How frames pass between the descriptor of a TAP or TUN and memory: with one call each, or many at once through io_uring. */

import type { Frame, FramePool } from '../../lib/core/frame.js';
import { VirtioNetHeader } from '../../lib/wire/virtio-net.js';
import type { LandingShape } from './landing.js';

/** Bytes read before others get their turn, however few frames they are. */
export const READ_BYTES: number = 1 << 20;

/** Ways of reading and writing: `auto` is io_uring where the kernel allows it, and plain calls elsewhere. */
export const IO_KINDS = ['auto', 'uring', 'calls'] as const;
export type IoKind = (typeof IO_KINDS)[number];

/** What input and output need to know of the device. */
export interface TunIoSettings extends LandingShape {
  readonly fd: number;
  readonly pool: FramePool;
}

/** Reads and writes frames; never waits, and nothing is under way between two calls. */
export interface TunIo {
  /** How many frames the last `read` brought, and how many bytes. */
  readonly readCount: number;
  readonly readBytes: number;
  /** Why the last `write` did not take all. */
  readonly errno: number;
  /**
   * Reads frames until there are none or the budget is used up, and hands each to the receiver, which takes over its reference.
   *
   * @param frames how many at most
   * @returns 0 where there may be more; else the error number that ended it, `EAGAIN` where there are no more
   */
  read(frames: number): number;
  /**
   * Writes the first `count` frames of the queue; they stay the caller's. Those that were taken are then in front, in the order in which
   * they were written; the rest is behind them in the order that it had.
   *
   * @returns how many were taken; if not all, `errno` says why the next one was not
   */
  write(queue: Frame[], count: number): number;
  /** After the last read and write, before the descriptor is closed. */
  close(): void;
}

/** Whoever is handed what was read. */
export interface Receiver {
  /** Whether it wants more. */
  readonly open: boolean;
  /** A frame of the device, without virtio-net header. */
  receive(frame: Frame): void;
  /** A frame whose virtio-net header is wrong. */
  reject(frame: Frame): void;
}

/** Hands over a frame as it was read. */
export function accept(receiver: Receiver, frame: Frame, vnetHeader: boolean): void {
  if (!vnetHeader || VirtioNetHeader.strip(frame) === undefined) receiver.receive(frame);
  else receiver.reject(frame);
}
