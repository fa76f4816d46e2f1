/** How frames pass between the descriptor of a TAP or TUN and memory: with one call each, or many at once through io_uring. */

import type { Frame } from '../../lib/core/frame.js';

/** Reads and writes frames; never waits. */
export interface TunIo {
  /**
   * Reads frames until there are none or the budget is used up, and hands each to the receiver, which takes over its reference.
   *
   * @param frames how many at most
   * @returns 0 where there may be more; else the error number that ended it, `EAGAIN` where there are no more
   */
  read(frames: number): number;
  /**
   * Writes the frames of the queue, which stay the caller's. Those that were taken are then in front, in the order in which they were
   * written; the rest is behind them in the order that it had.
   *
   * @returns how many were taken; if not all, `errno` says why the next one was not
   */
  write(queue: Frame[]): number;
  readonly errno: number;
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
