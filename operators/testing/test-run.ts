/** One run of a packet marble test: what is to be checked at its end, and the end itself. */

import { Subscription } from 'rxjs';
import type { TestScheduler } from 'rxjs/testing';
import type { Env } from '../../lib/core/env.js';
import { UsageError } from '../../lib/core/errors.js';
import type { PacketNotation } from '../../lib/text/notation.js';
import { sameTimeline, timelineDiff, type TimelineEntry } from './diff.js';
import type { Recording } from './recording.js';

/** A packet marble test found something else than it expected. The message has a diff for each expectation that failed. */
export class MarbleMismatch extends Error {
  constructor(complaints: readonly string[]) {
    super(complaints.join('\n\n'));
    this.name = 'MarbleMismatch';
  }
}

/** What an expectation comes down to at the end. */
export interface Verdict {
  readonly subject: string;
  readonly expected: readonly TimelineEntry[];
  readonly actual: readonly TimelineEntry[];
}

/** State of one run; the expectations register with it. */
export class TestRun {
  readonly scheduler: TestScheduler;
  readonly env: Env;
  readonly notation: PacketNotation;
  readonly recording: Recording;
  /** What is unsubscribed at the end. */
  readonly subscriptions: Subscription = new Subscription();
  private readonly verdicts: (() => Verdict)[] = [];
  private readonly failures: unknown[] = [];
  private readonly unsaid = new Set<string>();
  private end = 0;
  private opened = 1;

  constructor(scheduler: TestScheduler, env: Env, notation: PacketNotation, recording: Recording) {
    this.scheduler = scheduler;
    this.env = env;
    this.notation = notation;
    this.recording = recording;
  }

  /** Virtual time, in milliseconds. */
  now(): number {
    return this.scheduler.now();
  }

  /** Lets the run last until just before `time` at least. */
  lastUntil(time: number): void {
    this.end = Math.max(this.end, time);
  }

  /** Notes an expectation that does not say yet what it expects; returns what it calls when it does. */
  open(name: string): () => void {
    const key = `expectation ${this.opened++}, ${name}()`;
    this.unsaid.add(key);
    return () => void this.unsaid.delete(key);
  }

  /** Has something compared at the end. */
  check(verdict: () => Verdict): void {
    this.verdicts.push(verdict);
  }

  /** Keeps an error that must not be lost in a subscriber. */
  fail(error: unknown): void {
    this.failures.push(error);
  }

  /**
   * Lets virtual time pass, tears everything down, and checks.
   *
   * @throws MarbleMismatch, UsageError `ERR_INVALID_STATE` for an expectation without `toBe`
   */
  finish(flush: () => void, pendingTimers: () => number): void {
    // An expectation that expects nothing could never fail.
    const [name] = this.unsaid;
    if (name !== undefined) throw new UsageError('ERR_INVALID_STATE', `${name}, has no toBe()`);
    // The end itself is in no diagram any more.
    this.scheduler.maxFrames = Math.max(0, this.end - 1);
    try {
      flush();
    } finally {
      this.subscriptions.unsubscribe();
    }
    if (this.failures.length > 0) throw this.failures[0];
    const complaints = this.verdicts.map(complaintOf).filter((complaint) => complaint !== '');
    const { outstanding } = this.env.pool;
    if (outstanding !== 0) complaints.push(`${outstanding} frames were not released`);
    const timers = pendingTimers();
    if (timers !== 0) complaints.push(`${timers} timers are still armed after everything was unsubscribed`);
    const actions = this.scheduler.actions.length;
    if (timers === 0 && actions !== 0) complaints.push(`${actions} actions are still scheduled after the end`);
    if (complaints.length > 0) throw new MarbleMismatch(complaints);
  }
}

function complaintOf(check: () => Verdict): string {
  const { subject, expected, actual } = check();
  if (sameTimeline(expected, actual)) return '';
  return `${subject} differ (- expected, + actual):\n${timelineDiff(expected, actual)}`;
}
