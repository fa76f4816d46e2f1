/** What the specs of pipelines have in common: small operators, and a pipeline between a source and a list. */

import { type MonoTypeOperatorFunction, Subject } from 'rxjs';
import type { Env } from '../../../lib/core/env.js';
import { type Frame, FramePool } from '../../../lib/core/frame.js';
import { layer } from '../../../operators/flow/layer.js';
import type { Pipeline } from '../../../operators/flow/pipeline.js';
import { environment } from '../../../operators/time/environment.js';
import { frameWith, letterOf } from './marbles.js';

export type Operator = MonoTypeOperatorFunction<Frame>;

/** Adds to the mark; each subscription counts for itself. */
export function adds(n: number): Operator {
  return layer(() => (frame) => {
    frame.mark += n;
    return frame;
  });
}

export function passes(): Operator {
  return layer(() => (frame) => frame);
}

/** Writes its name into a list for each packet. */
export function logs(list: string[], name: string): Operator {
  return layer(() => (frame) => {
    list.push(`${letterOf(frame)}${name}`);
    return frame;
  });
}

/** A pipeline between a source and a list of what came out. */
export class Bed {
  readonly env: Env = environment({ seed: 1, pool: new FramePool({ poison: true }) });
  readonly in$: Subject<Frame> = new Subject();
  readonly out: string[] = [];
  /** The marks of those that came out. */
  readonly marks: number[] = [];

  run(stages: Pipeline<Frame>): this {
    this.in$.pipe(stages).subscribe({
      next: (frame) => {
        this.out.push(letterOf(frame));
        this.marks.push(frame.mark);
      },
      error: (error: Error) => this.out.push(`#${error.message}`),
      complete: () => this.out.push('|'),
    });
    return this;
  }

  /** Sends packets as a driver does: each is released behind its `next`. */
  send(text: string): this {
    for (const letter of text) {
      const frame = frameWith(this.env, letter);
      this.in$.next(frame);
      frame.release();
    }
    return this;
  }
}
