/** The queue that most of the Internet has: whoever comes when it is full is dropped. */

import type { Frame } from '../../core/frame.js';
import { type Queue, type QueueLimits, type QueueOwner, WaitingFrames } from './queue.js';

/** Drop-tail, the default. */
export interface DropTailOptions extends QueueLimits {
  readonly kind: 'drop-tail';
}

export class DropTail implements Queue {
  private readonly waiting: WaitingFrames;

  constructor(owner: QueueOwner, limits: QueueLimits) {
    this.waiting = new WaitingFrames(owner, limits);
  }

  get frames(): number {
    return this.waiting.frames;
  }
  get bytes(): number {
    return this.waiting.bytes;
  }

  push(frame: Frame, now: number, _rate?: number, isIdle = false): void {
    this.waiting.push(frame, now, isIdle);
  }

  clear(): readonly Frame[] {
    return this.waiting.clear();
  }

  pop(): Frame | undefined {
    return this.waiting.pop()?.frame;
  }
}
