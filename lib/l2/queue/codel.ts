/**
 * Controlled delay (RFC 8289): drops or marks frames as they leave, once all of them have waited longer than `target` for `interval`; then
 * ever more often, by the square root of how often, until the wait is short again.
 */

import { DropReason } from '../../core/drops.js';
import type { Frame } from '../../core/frame.js';
import { type Queue, type QueueLimits, type QueueOwner, type Waiting, WaitingFrames } from './queue.js';

/** Controlled delay. */
export interface CoDelOptions extends QueueLimits {
  readonly kind: 'codel';
  /** Milliseconds of waiting that are fine (RFC 8289 4.4). Default 5. */
  readonly target?: number;
  /** Milliseconds in which the wait must have been that short at least once: about the longest usual round-trip time. Default 100. */
  readonly interval?: number;
  /** Mark packets whose ends understand it, rather than dropping them. Default false. */
  readonly ecn?: boolean;
}

const TARGET = 5;
const INTERVAL = 100;
// Below one frame of the wire there is no standing queue to speak of (RFC 8289 4.4); larger frames raise it.
const SMALLEST_LARGE_FRAME = 1514;
/** Having dropped within so many intervals, go on where that ended (RFC 8289 5.5). */
const MEMORY = 16;

export class CoDel implements Queue {
  private readonly waiting: WaitingFrames;
  private readonly target: number;
  private readonly interval: number;
  private readonly ecn: boolean;
  private largest = SMALLEST_LARGE_FRAME;
  /** When the wait will have been too long for an interval; 0 while it is not. */
  private firstAbove = 0;
  private dropping = false;
  private dropNext = 0;
  /** Drops of this dropping state, and how many there were when it began. */
  private count = 0;
  private lastCount = 0;

  constructor(owner: QueueOwner, options: CoDelOptions) {
    const { target = TARGET, interval = INTERVAL, ecn = false } = options;
    this.target = target;
    this.interval = interval;
    this.ecn = ecn;
    this.waiting = new WaitingFrames(owner, options);
  }

  get frames(): number {
    return this.waiting.frames;
  }
  get bytes(): number {
    return this.waiting.bytes;
  }

  push(frame: Frame, now: number, _rate?: number, isIdle = false): void {
    this.largest = Math.max(this.largest, frame.length);
    this.waiting.push(frame, now, isIdle);
  }

  clear(): readonly Frame[] {
    return this.waiting.clear();
  }

  pop(now: number): Frame | undefined {
    const next = this.waiting.pop();
    const late = this.isLate(next, now);
    if (next === undefined) {
      this.dropping = false;
      return undefined;
    }
    if (this.dropping) return late ? this.popWhileDropping(next, now) : this.leave(next);
    return late ? this.begin(next, now) : next.frame;
  }

  private leave(next: Waiting): Frame {
    this.dropping = false;
    return next.frame;
  }

  /** Whether waits have been too long for a whole interval (`dodequeue` of RFC 8289 5.6). */
  private isLate(next: Waiting | undefined, now: number): boolean {
    if (next === undefined || now - next.since < this.target || this.waiting.bytes <= this.largest) {
      this.firstAbove = 0;
      return false;
    }
    if (this.firstAbove === 0) {
      this.firstAbove = now + this.interval;
      return false;
    }
    return now >= this.firstAbove;
  }

  /** Drops as many as are due; a mark is a drop that arrives. */
  private popWhileDropping(first: Waiting, now: number): Frame | undefined {
    let next: Waiting | undefined = first;
    while (next !== undefined && this.dropping && now >= this.dropNext) {
      this.count++;
      const marked = this.hit(next.frame);
      if (marked !== undefined) {
        this.dropNext += this.pause();
        return marked;
      }
      next = this.waiting.pop();
      if (this.isLate(next, now)) this.dropNext += this.pause();
      else this.dropping = false;
    }
    return next?.frame;
  }

  private begin(next: Waiting, now: number): Frame | undefined {
    const marked = this.hit(next.frame);
    const sent = marked === undefined ? this.waiting.pop() : undefined;
    if (marked === undefined) this.isLate(sent, now);
    this.dropping = true;
    const earlier = this.count - this.lastCount;
    this.count = earlier > 1 && now - this.dropNext < MEMORY * this.interval ? earlier : 1;
    this.dropNext = now + this.pause();
    this.lastCount = this.count;
    return marked ?? sent?.frame;
  }

  /** Marks the frame and returns it, or drops it. */
  private hit(frame: Frame): Frame | undefined {
    const marked = this.ecn ? this.waiting.marked(frame) : undefined;
    if (marked === undefined) this.waiting.drop(frame, DropReason.LinkCodel);
    return marked;
  }

  /** The control law: time to the next drop (RFC 8289 3.3). */
  private pause(): number {
    return this.interval / Math.sqrt(this.count);
  }
}
