/** What routers do with the bits of ECN, for tests: packets as bytes, of either IP version. */

import { Ecn } from '../../../../lib/wire/ip.js';
import { refreshIpv4Checksum } from '../../../../lib/wire/ipv4.js';
import type { Carry, Pair } from './pair.js';

/** A packet's two bits. */
export function codepointOf(bytes: Uint8Array): number {
  const second = bytes[1] ?? 0;
  return (bytes[0] ?? 0) >>> 4 === 4 ? second & 3 : (second >>> 4) & 3;
}

/** Sets a packet's two bits. */
export function setCodepoint(bytes: Uint8Array, codepoint: number): void {
  const second = bytes[1] ?? 0;
  if ((bytes[0] ?? 0) >>> 4 === 4) {
    bytes[1] = (second & ~3) | codepoint;
    refreshIpv4Checksum(new DataView(bytes.buffer, bytes.byteOffset, bytes.length), 0);
  } else bytes[1] = (second & 0xcf) | (codepoint << 4);
}

/** Marks a packet that may be marked; returns whether it might be. */
export function mark(bytes: Uint8Array): boolean {
  if (codepointOf(bytes) === Ecn.NotEct) return false;
  setCodepoint(bytes, Ecn.Ce);
  return true;
}

/** A bottleneck with a queue that marks what finds more than `threshold` bytes in front of it, or drops it where it may not be marked. */
export class MarkingQueue {
  marked = 0;
  dropped = 0;
  private busyUntil = 0;
  private readonly pair: Pair;
  private readonly bytesPerMs: number;
  private readonly threshold: number;
  private readonly delay: number;

  /** @param delay propagation, in ms */
  constructor(pair: Pair, bytesPerMs: number, threshold: number, delay: number) {
    this.pair = pair;
    this.bytesPerMs = bytesPerMs;
    this.threshold = threshold;
    this.delay = delay;
  }

  readonly carry: Carry = (bytes, from) => {
    if (from === 1) return [this.delay];
    const now = this.pair.scheduler.now();
    const wait = Math.max(0, this.busyUntil - now);
    if (wait * this.bytesPerMs > this.threshold) {
      if (!mark(bytes)) {
        this.dropped++;
        return [];
      }
      this.marked++;
    }
    this.busyUntil = now + wait + bytes.length / this.bytesPerMs;
    return [this.busyUntil - now + this.delay];
  };
}
