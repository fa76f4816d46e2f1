/** How much comes and goes by a device, for what adapts to it: looked at every 10 ms, while there is any. */

import type { Timer, Timers } from '../../lib/core/timers.js';

/** Time between two looks, in milliseconds. */
const INTERVAL = 10;

/** What came and went since the last look. */
export interface Traffic {
  /** How often frames came. */
  readonly turns: number;
  /** Frames. */
  readonly received: number;
  readonly sent: number;
  /** Both ways. */
  readonly bytes: number;
}

/** What adapts to the traffic of a device. */
export interface Adaptive {
  /** Is called with every look, for the last time when there was no traffic since the one before. Must not throw. */
  look(traffic: Traffic): void;
  close(): void;
}

class Counts implements Traffic {
  turns = 0;
  received = 0;
  sent = 0;
  bytes = 0;
}

/** Counts, and has those look that adapt. */
export class TrafficWatch {
  private readonly adaptive: readonly Adaptive[];
  private readonly timers: Timers;
  private readonly timer: Timer;
  private readonly counts = new Counts();
  private open = true;

  /** Takes them over. */
  constructor(adaptive: readonly Adaptive[], timers: Timers) {
    this.adaptive = adaptive;
    this.timers = timers;
    this.timer = timers.timer((own) => own.look(), this as TrafficWatch);
  }

  /** So much came at once. */
  received(frames: number, bytes: number): void {
    const { counts } = this;
    counts.turns++;
    counts.received += frames;
    counts.bytes += bytes;
    if (!this.timer.armed) this.lookLater();
  }

  /** So much was sent at once. */
  sent(frames: number, bytes: number): void {
    const { counts } = this;
    counts.sent += frames;
    counts.bytes += bytes;
    if (!this.timer.armed) this.lookLater();
  }

  /** Traffic of a batch that was under way may still be told of. */
  close(): void {
    this.open = false;
    this.timer.cancel();
    for (const one of this.adaptive) one.close();
  }

  private look(): void {
    const { counts } = this;
    const any = counts.bytes > 0;
    for (const one of this.adaptive) one.look(counts);
    counts.turns = counts.received = counts.sent = counts.bytes = 0;
    if (any) this.lookLater();
  }

  private lookLater(): void {
    if (this.open) this.timer.arm(this.timers.now() + INTERVAL);
  }
}
