/**
 * Queues in front of a wire of limited rate: who may wait, who is dropped, who is marked. Each discipline has a room of its own.
 */

import type { Medium } from '../../core/device.js';
import { DropReason } from '../../core/drops.js';
import type { Env } from '../../core/env.js';
import { Fifo } from '../../core/fifo.js';
import type { Frame } from '../../core/frame.js';
import { isEcnCapable, markCongestion } from '../../wire/mark-congestion.js';

/** How much may wait, whatever else a discipline decides. What a wire that is idle sends at once does not wait. */
export interface QueueLimits {
  /** Frames. Default 1000. */
  readonly frames?: number;
  /** Bytes, with link headers. Default no limit. */
  readonly bytes?: number;
}

/** What a queue takes from its wire. */
export interface QueueOwner {
  readonly env: Env;
  chance(probability: number): boolean;
  /** What frames begin with. */
  medium(frame: Frame): Medium;
  /** Says in drop reports where frames got lost. */
  readonly name: string;
}

/** A queueing discipline. Times in milliseconds. */
export interface Queue {
  /** How many wait. */
  readonly frames: number;
  readonly bytes: number;
  /**
   * Takes a frame over, to keep or to drop.
   *
   * @param rate bits a second that the wire sends
   * @param isIdle whether the wire would send it at once, so that it does not wait: limits are for those that do. Default false
   */
  push(frame: Frame, now: number, rate: number, isIdle?: boolean): void;
  /** The next frame to send; what is dropped instead is not waiting any more. */
  pop(now: number): Frame | undefined;
  /** Empties the queue: what waited is the caller's. */
  clear(): readonly Frame[];
}

const FRAMES = 1000;

/** A frame that waits, and the range that it came with: whoever else holds it may narrow it meanwhile. */
export interface Waiting {
  readonly frame: Frame;
  readonly start: number;
  readonly end: number;
  readonly since: number;
}

/** What the disciplines have in common: waiting in order, the limits, and the fate of those that are not sent. */
export class WaitingFrames {
  readonly line: Fifo<Waiting> = new Fifo<Waiting>();
  bytes = 0;
  private readonly owner: QueueOwner;
  private readonly limits: QueueLimits;

  constructor(owner: QueueOwner, limits: QueueLimits) {
    this.owner = owner;
    this.limits = limits;
  }

  get frames(): number {
    return this.line.length;
  }

  /** Whether one more frame of this length may wait, or need not. */
  fits(length: number, isIdle: boolean): boolean {
    const { frames = FRAMES, bytes = Number.POSITIVE_INFINITY } = this.limits;
    return isIdle || (this.line.length < frames && this.bytes + length <= bytes);
  }

  /** Takes a frame over: to wait, or to be dropped where it does not fit. */
  push(frame: Frame, now: number, isIdle: boolean): void {
    const { start, end, length } = frame;
    if (!this.fits(length, isIdle)) return this.drop(frame, DropReason.LinkQueueFull);
    this.line.push({ frame, start, end, since: now });
    this.bytes += length;
  }

  /** The next one, with the range that it came with. */
  pop(): Waiting | undefined {
    const next = this.line.shift();
    if (next === undefined) return undefined;
    const { frame, start, end } = next;
    frame.start = start;
    frame.end = end;
    this.bytes -= end - start;
    return next;
  }

  clear(): readonly Frame[] {
    const frames: Frame[] = [];
    for (let next = this.pop(); next !== undefined; next = this.pop()) frames.push(next.frame);
    return frames;
  }

  drop(frame: Frame, reason: DropReason): void {
    this.owner.env.drops.refuse(reason, frame, this.owner.name);
  }

  /** The frame with Congestion Experienced set, a copy where somebody else holds it; `undefined` if its ends do not understand that. */
  marked(frame: Frame): Frame | undefined {
    const medium = this.owner.medium(frame);
    if (!isEcnCapable(frame, medium)) return undefined;
    const own = frame.exclusive ? frame : this.owner.env.pool.copy(frame);
    if (own !== frame) frame.release();
    markCongestion(own, medium);
    return own;
  }
}
