/** A pipeline under one subscription: its stages in a chain that can be changed between any two packets, and within one. */

import type { Subscriber } from 'rxjs';
import type { Env } from '../../lib/core/env.js';
import type { Frame } from '../../lib/core/frame.js';
import { frameOf, type Packet } from './packet.js';
import type { Stage } from './pipeline-stage.js';
import type { Tracing } from './pipeline-trace.js';
import { StageRun, type Track } from './stage-run.js';

export class PipelineRun<P extends Packet> implements Track<P> {
  private readonly output: Subscriber<P>;
  private readonly tracing: Tracing<P>;
  private readonly env: Env;
  private head: StageRun<P> | undefined = undefined;
  /** Stages that were removed and still have something to let go. */
  private readonly draining = new Set<StageRun<P>>();
  private sourceHasEnded = false;
  /** Packets on their way, one within the other: while there are any, nothing behind them is completed. */
  private depth = 0;
  private isSettling = false;
  private isUnsettled = false;

  constructor(stages: readonly Stage<P>[], output: Subscriber<P>, tracing: Tracing<P>, env: Env) {
    this.output = output;
    this.tracing = tracing;
    this.env = env;
    // From the last one on: what a stage emits as soon as it is subscribed to goes to those behind it.
    for (const stage of stages.toReversed()) this.insert(stage, undefined);
  }

  /** A packet comes in. */
  enter(packet: P): void {
    this.push(packet, this.head);
  }

  push(packet: P, to: StageRun<P> | undefined): void {
    this.depth++;
    const frame = frameOf(packet);
    const isThrough = this.tracing.isWanted ? this.followed(packet, frame, to) : this.advance(packet, frame, to);
    if (isThrough) this.output.next(packet);
    this.depth--;
    if (this.isUnsettled && this.depth === 0) this.settle();
  }

  /** Whether the packet passed all stages from `to` on. */
  private advance(packet: P, frame: Frame, to: StageRun<P> | undefined): boolean {
    for (let at = to; at !== undefined; at = at.next) {
      if (!at.take(packet, frame)) return false;
    }
    return true;
  }

  /** The same, with a record of it. */
  private followed(packet: P, frame: Frame, to: StageRun<P> | undefined): boolean {
    const recorder = this.tracing.begin(packet, frame, to === this.head ? undefined : (to?.stage.name ?? ''));
    if (recorder === undefined) return this.advance(packet, frame, to);
    for (let at = to; at !== undefined; at = at.next) {
      recorder.enter(at.stage);
      const verdict = at.judge(packet, frame);
      recorder.leave(at.stage, verdict, frame);
      if (verdict === 'passed') continue;
      recorder.end(verdict);
      return false;
    }
    recorder.end('passed');
    return true;
  }

  /** Puts a stage behind another, or first. */
  insert(stage: Stage<P>, after: Stage<P> | undefined): void {
    const run = new StageRun(stage, this, this.env);
    const before = after === undefined ? undefined : this.find(after);
    run.next = before === undefined ? this.head : before.next;
    run.start();
    if (before === undefined) this.head = run;
    else before.next = run;
    this.settle();
  }

  /** Takes a stage out. What it still has goes on behind the place where it was. */
  remove(stage: Stage<P>): void {
    const run = this.find(stage);
    if (run === undefined) return;
    const before = this.before(run);
    if (before === undefined) this.head = run.next;
    else before.next = run.next;
    for (const other of this.draining) if (other.next === run) other.next = run.next;
    if (!run.hasEnded) this.draining.add(run);
    run.close();
    this.settle();
  }

  /** The source has completed. */
  complete(): void {
    this.sourceHasEnded = true;
    this.settle();
  }

  ended(run: StageRun<P>): void {
    this.draining.delete(run);
    this.settle();
  }

  failed(error: unknown): void {
    this.output.error(error);
  }

  /** Ends everything at once. */
  stop(): void {
    for (let at = this.head; at !== undefined; at = at.next) at.stop();
    for (const run of this.draining) run.stop();
    this.draining.clear();
  }

  /** Completes the sources of stages into which nothing more can come, and the output behind the last one. */
  private settle(): void {
    this.isUnsettled = true;
    if (this.depth > 0 || this.isSettling) return;
    this.isSettling = true;
    while (this.isUnsettled) {
      this.isUnsettled = false;
      let isOver = this.sourceHasEnded;
      for (let at = this.head; at !== undefined; at = at.next) {
        if (isOver && !this.isFed(at)) at.close();
        isOver = at.hasEnded;
      }
      if (isOver && !this.isFed(undefined)) this.output.complete();
    }
    this.isSettling = false;
  }

  private isFed(to: StageRun<P> | undefined): boolean {
    for (const run of this.draining) if (run.next === to) return true;
    return false;
  }

  private find(stage: Stage<P>): StageRun<P> | undefined {
    let at = this.head;
    while (at !== undefined && at.stage !== stage) at = at.next;
    return at;
  }

  private before(run: StageRun<P>): StageRun<P> | undefined {
    let at = this.head;
    while (at !== undefined && at.next !== run) at = at.next;
    return at;
  }
}
