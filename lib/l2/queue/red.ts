/**
 * Random early detection (Floyd and Jacobson, 1993; RFC 2309), gentle (Floyd, 2000): drops or marks frames before the queue is full, the
 * likelier the longer it has been on average, so that senders slow down one by one. The average counts frames, not bytes.
 */

import { DropReason } from '../../core/drops.js';
import type { Frame } from '../../core/frame.js';
import { type Queue, type QueueLimits, type QueueOwner, WaitingFrames } from './queue.js';

/** Random early detection. */
export interface RedOptions extends QueueLimits {
  readonly kind: 'red';
  /** Frames on average below which nothing happens. Default 5. */
  readonly min?: number;
  /** Frames on average at which frames are dropped with `probability`. Default 15. */
  readonly max?: number;
  /** Probability of a drop at `max`. Default 0.1. */
  readonly probability?: number;
  /** Weight of the newest length in the average, in (0, 1]. Default 0.002. */
  readonly weight?: number;
  /** Between `max` and twice that, drop ever more instead of everything. Default true. */
  readonly gentle?: boolean;
  /** Mark packets whose ends understand it, rather than dropping them early. Default false. */
  readonly ecn?: boolean;
}

export const RED_MIN = 5;
export const RED_MAX = 15;
const PROBABILITY = 0.1;
const WEIGHT = 0.002;
// What an idle wire could have sent is counted in frames of this many bytes.
const USUAL_FRAME = 1000;

export class Red implements Queue {
  private readonly waiting: WaitingFrames;
  private readonly options: RedOptions;
  private readonly owner: QueueOwner;
  private average = 0;
  /** Frames since the last one that was hit, or since the average was low. */
  private since = 0;
  /** Since when there is nothing to send. */
  private idleSince = Number.NEGATIVE_INFINITY;

  constructor(owner: QueueOwner, options: RedOptions) {
    this.owner = owner;
    this.options = options;
    this.waiting = new WaitingFrames(owner, options);
  }

  get frames(): number {
    return this.waiting.frames;
  }
  get bytes(): number {
    return this.waiting.bytes;
  }

  push(frame: Frame, now: number, rate: number, isIdle = false): void {
    this.measure(now, rate);
    if (!this.hits()) return this.waiting.push(frame, now, isIdle);
    const { max = RED_MAX, gentle = true, ecn = false } = this.options;
    // Beyond the last threshold marks did not help: RFC 3168 7 asks to drop.
    const tooLong = this.average >= (gentle ? 2 * max : max);
    const marked = ecn && !tooLong && this.waiting.fits(frame.length, isIdle) ? this.waiting.marked(frame) : undefined;
    if (marked === undefined) this.waiting.drop(frame, DropReason.LinkRed);
    else this.waiting.push(marked, now, isIdle);
  }

  clear(): readonly Frame[] {
    return this.waiting.clear();
  }

  pop(now: number): Frame | undefined {
    const next = this.waiting.pop()?.frame;
    if (this.waiting.frames === 0) this.idleSince = now;
    return next;
  }

  /** The average sees an idle time as so many arrivals at an empty queue as the wire could have served: in no time none, however fast it is. */
  private measure(now: number, rate: number): void {
    const { weight = WEIGHT } = this.options;
    const { frames } = this.waiting;
    if (frames > 0) this.average += weight * (frames - this.average);
    else if (now > this.idleSince)
      this.average *= (1 - weight) ** (((now - this.idleSince) * rate) / (8 * 1000 * USUAL_FRAME));
  }

  /** Whether this frame is to be dropped or marked: the gaps between hits are uniform up to 1 / probability (section 7 of the paper). */
  private hits(): boolean {
    const even = this.probability();
    const left = 1 - this.since * even;
    const hit = even > 0 && (left <= even || this.owner.chance(even / left));
    this.since = hit || even === 0 ? 0 : this.since + 1;
    return hit;
  }

  private probability(): number {
    const { min = RED_MIN, max = RED_MAX, probability = PROBABILITY, gentle = true } = this.options;
    const { average } = this;
    if (average < min) return 0;
    if (average < max) return (probability * (average - min)) / (max - min);
    return gentle && average < 2 * max ? probability + ((1 - probability) * (average - max)) / max : 1;
  }
}
