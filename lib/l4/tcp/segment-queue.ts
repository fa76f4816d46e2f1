/** Segments that wait: for those that came with them, or for another that is being processed. */

import { DropReason, type Drops } from '../../core/drops.js';
import type { IpPacket } from '../../wire/ip.js';

// Of so many it pays to move those that are left to the front.
const MANY = 32;

/** A queue of packets, whose frames it holds, with the ranges that these had when they came. */
export class SegmentQueue {
  private readonly packets: IpPacket[] = [];
  private readonly starts: number[] = [];
  private readonly ends: number[] = [];
  /** So many were taken, and of so many of these the frames were released. */
  private first = 0;
  private released = 0;

  /** Whether none waits. */
  get isEmpty(): boolean {
    return this.first === this.packets.length;
  }

  push(packet: IpPacket): void {
    const { frame } = packet;
    frame.retain();
    this.packets.push(packet);
    this.starts.push(frame.start);
    this.ends.push(frame.end);
  }

  /** Takes the first; its frame is held until {@link release}. */
  take(): IpPacket | undefined {
    const { first } = this;
    const packet = this.packets[first];
    if (packet === undefined) return undefined;
    this.first++;
    packet.frame.start = this.starts[first] ?? 0;
    packet.frame.end = this.ends[first] ?? 0;
    return packet;
  }

  /** Releases the frames of all that were taken. */
  release(): void {
    const { packets, first } = this;
    for (; this.released < first; this.released++) packets[this.released]?.frame.release();
    if (first === packets.length) this.forget();
    else if (first >= MANY && first * 2 > packets.length) {
      for (const list of [packets, this.starts, this.ends]) list.splice(0, first);
      this.first = this.released = 0;
    }
  }

  /** The host is no more. */
  drop(drops: Drops): void {
    for (let packet = this.take(); packet !== undefined; packet = this.take())
      drops.report(DropReason.Disposed, packet.frame, 'tcp');
    this.release();
  }

  private forget(): void {
    this.first = this.released = 0;
    // One by one: that is far cheaper than to set the length.
    while (this.packets.length > 0) {
      this.packets.pop();
      this.starts.pop();
      this.ends.pop();
    }
  }
}
