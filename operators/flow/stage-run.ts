/** One stage of one running pipeline: its operator is subscribed to an inlet, and what it emits goes to whatever stage is behind it then. */

import { Observable, type Subscriber } from 'rxjs';
import { DropReason } from '../../lib/core/drops.js';
import type { Env } from '../../lib/core/env.js';
import type { Frame } from '../../lib/core/frame.js';
import type { Packet } from './packet.js';
import { PacketSubscriber } from './packet-subscriber.js';
import { type Stage, type Verdict, verdictOf } from './pipeline-stage.js';

/** What a stage tells the pipeline that it runs in. */
export interface Track<P extends Packet> {
  /** A packet is to go on at `to`; behind the last stage where that is `undefined`. */
  push(packet: P, to: StageRun<P> | undefined): void;
  /** The operator has completed: nothing more comes. */
  ended(run: StageRun<P>): void;
  failed(error: unknown): void;
}

/**
 * A packet that a stage emits while it is given that very packet goes on only when the stage's `next` returns: so the stack does not grow with
 * the number of stages, what a stage does is done before the next one sees the packet, and a stage may remove itself. All
 * others, which may be valid no longer than that, go on at once.
 */
export class StageRun<P extends Packet> {
  readonly stage: Stage<P>;
  next: StageRun<P> | undefined = undefined;
  hasEnded = false;
  private readonly track: Track<P>;
  private readonly env: Env;
  private readonly outlet: PacketSubscriber<P>;
  private inlets: readonly Subscriber<P>[] = [];
  /** No more packets come in; the operator is told when it has returned from its work. */
  private isClosing = false;
  private isClosed = false;
  private depth = 0;
  /** The packet that the stage has at the moment, and what it did with it. */
  private input: P | undefined = undefined;
  private hasPassed = false;
  private hasEmitted = false;

  constructor(stage: Stage<P>, track: Track<P>, env: Env) {
    this.stage = stage;
    this.track = track;
    this.env = env;
    const ends = {
      error: (error: unknown) => track.failed(error),
      complete: () => {
        this.hasEnded = true;
        track.ended(this);
      },
    };
    this.outlet = new PacketSubscriber<P>(ends, (packet) => this.emitted(packet));
  }

  /** Subscribes the operator. */
  start(): void {
    const inlet$ = new Observable<P>((subscriber) => {
      if (this.isClosed) {
        subscriber.complete();
        return;
      }
      this.inlets = [...this.inlets, subscriber];
      return () => {
        this.inlets = this.inlets.filter((other) => other !== subscriber);
      };
    });
    this.stage.operator(inlet$).subscribe(this.outlet);
  }

  /** Gives the stage a packet; whether it passed it on. */
  take(packet: P, frame: Frame): boolean {
    return this.judge(packet, frame) === 'passed';
  }

  /** Gives the stage a packet; what it did with it. */
  judge(packet: P, frame: Frame): Verdict {
    const { stage, input, hasPassed, hasEmitted } = this;
    const { fate, holders } = frame;
    this.input = packet;
    this.hasPassed = this.hasEmitted = false;
    stage.in++;
    this.depth++;
    this.feed(packet, frame);
    this.depth--;
    const isPassed = this.hasPassed;
    const isReplaced = this.hasEmitted;
    this.input = input;
    this.hasPassed = hasPassed;
    this.hasEmitted = hasEmitted;
    if (this.isClosing && this.depth === 0) this.close();
    // What was dropped and passed on all the same is dropped: the first word counts.
    if (isPassed && frame.fate === fate) {
      stage.passed++;
      stage.out++;
      return 'passed';
    }
    const verdict = verdictOf(frame, fate, holders, isReplaced);
    stage[verdict]++;
    if (verdict === 'none') this.env.drops.report(DropReason.NoVerdict, frame, stage.name);
    return verdict;
  }

  /** No more packets come in: completes the operator's source, after the packet that it may have. */
  close(): void {
    this.isClosing = true;
    if (this.isClosed || this.depth > 0) return;
    this.isClosed = true;
    for (const inlet of this.inlets) inlet.complete();
  }

  /** Ends it at once, with all that it holds. */
  stop(): void {
    this.outlet.unsubscribe();
  }

  private feed(packet: P, frame: Frame): void {
    const { inlets } = this;
    const [only] = inlets;
    if (inlets.length === 1 && only !== undefined) {
      only.next(packet);
      return;
    }
    const { shared } = frame;
    frame.shared = shared || inlets.length > 1;
    for (const inlet of inlets) inlet.next(packet);
    frame.shared = shared;
  }

  private emitted(packet: P): void {
    const { stage, track, input } = this;
    if (packet === input && !this.hasPassed) {
      this.hasPassed = true;
      return;
    }
    if (this.hasPassed && input !== undefined) {
      // In the order of the emissions.
      this.hasPassed = packet === input;
      this.hasEmitted = true;
      stage.out++;
      track.push(input, this.next);
      if (packet === input) return;
    }
    this.hasEmitted = true;
    stage.out++;
    track.push(packet, this.next);
  }
}
