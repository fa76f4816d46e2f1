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
  /** The operator's subscription to its source; further ones are rare. */
  private inlet: Subscriber<P> | undefined = undefined;
  private otherInlets: readonly Subscriber<P>[] = [];
  /** No more packets come in; the operator is told when it has returned from its work. */
  private isClosing = false;
  private isClosed = false;
  /** The whole pipeline was left. */
  private isStopped = false;
  /** Packets that it has while it is given others: its own output may come back to it. */
  private suspended = 0;
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
      if (this.inlet === undefined) this.inlet = subscriber;
      else this.otherInlets = [...this.otherInlets, subscriber];
      return () => {
        if (this.inlet === subscriber) this.inlet = undefined;
        this.otherInlets = this.otherInlets.filter((other) => other !== subscriber);
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
    if (this.input !== undefined) return this.judgeNested(packet, frame);
    const { fate, holders } = frame;
    this.input = packet;
    this.hasPassed = this.hasEmitted = false;
    if (this.inlet !== undefined && this.otherInlets.length === 0) this.inlet.next(packet);
    else this.feedAll(packet, frame);
    const { hasPassed, hasEmitted } = this;
    this.input = undefined;
    if (this.isClosing) this.close();
    // What was dropped and passed on all the same is dropped: the first word counts.
    if (hasPassed && frame.fate === fate) {
      this.stage.passed++;
      return 'passed';
    }
    return this.ended(frame, verdictOf(frame, fate, holders, hasEmitted));
  }

  /** No more packets come in: completes the operator's source, after the packet that it may have. */
  close(): void {
    this.isClosing = true;
    if (this.isClosed || this.input !== undefined || this.suspended > 0) return;
    this.isClosed = true;
    this.inlet?.complete();
    for (const other of this.otherInlets) other.complete();
  }

  /** Ends it at once, with all that it holds. */
  stop(): void {
    this.isStopped = true;
    this.outlet.unsubscribe();
  }

  private ended(frame: Frame, verdict: Verdict): Verdict {
    const { stage, isStopped } = this;
    // Where the pipeline was left meanwhile no stage could have passed it on.
    const told = verdict === 'none' && isStopped ? 'dropped' : verdict;
    if (verdict === 'none') {
      this.env.drops.report(isStopped ? DropReason.Disposed : DropReason.NoVerdict, frame, stage.name);
    }
    stage[told]++;
    return told;
  }

  private judgeNested(packet: P, frame: Frame): Verdict {
    const { input, hasPassed, hasEmitted } = this;
    this.input = undefined;
    this.suspended++;
    const verdict = this.judge(packet, frame);
    this.suspended--;
    this.input = input;
    this.hasPassed = hasPassed;
    this.hasEmitted = hasEmitted;
    return verdict;
  }

  private feedAll(packet: P, frame: Frame): void {
    const { inlet, otherInlets } = this;
    const { shared } = frame;
    frame.shared = shared || otherInlets.length > 0;
    inlet?.next(packet);
    for (const other of otherInlets) other.next(packet);
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
      stage.released++;
      track.push(input, this.next);
      if (packet === input) return;
    }
    this.hasEmitted = true;
    stage.released++;
    track.push(packet, this.next);
  }
}
