import type { Frame } from '../../lib/core/frame.js';
import { frameOf, type Packet } from './packet.js';

/**
 * A received packet that is kept beyond its `next`: one reference to its frame, and the range that it had, since whoever else
 * holds the frame may narrow or restore it meanwhile.
 */
export class HeldPacket<T extends Packet> {
  readonly packet: T;
  readonly frame: Frame;
  private readonly start: number;
  private readonly end: number;
  /** The same packet, as it came again before this one was let go: with another reference, and maybe another range. */
  later: HeldPacket<T> | undefined = undefined;

  constructor(packet: T) {
    this.packet = packet;
    this.frame = frameOf(packet).retain();
    this.start = this.frame.start;
    this.end = this.frame.end;
  }

  /** The packet, with the range that it had. */
  restore(): T {
    this.frame.start = this.start;
    this.frame.end = this.end;
    return this.packet;
  }

  /** Puts one of the same packet behind this, and behind all that follow it already. */
  follow(held: HeldPacket<T>): void {
    if (this.later === undefined) this.later = held;
    else this.later.follow(held);
  }

  release(): void {
    this.frame.release();
  }
}
