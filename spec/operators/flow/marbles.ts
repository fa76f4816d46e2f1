/** Marble tests whose values are one-byte frames: `a` in a diagram is a frame that holds the letter. */

import { expect } from 'chai';
import { map, Observable, type OperatorFunction } from 'rxjs';
import { type RunHelpers, TestScheduler } from 'rxjs/testing';
import type { Env } from '../../../lib/core/env.js';
import { asRx, asTx, type Frame, FramePool, type RxFrame, type TxFrame } from '../../../lib/core/frame.js';
import { frameOf, type Packet } from '../../../operators/flow/packet.js';
import { environment } from '../../../operators/time/environment.js';

/** What a marble test of packets works with. */
export interface Bench extends RunHelpers {
  readonly env: Env;
  readonly scheduler: TestScheduler;
  /** A source that releases each frame after its `next`, as a driver does. */
  readonly rx: (marbles: string) => Observable<RxFrame>;
  /** A source whose frames belong to whoever gets them. */
  readonly tx: (marbles: string) => Observable<TxFrame>;
}

/** A frame of one letter, which the caller owns. */
export function frameWith(env: Env, letter: string): Frame {
  const frame = env.pool.alloc(1);
  frame.slab.bytes[frame.put(1)] = letter.charCodeAt(0);
  return frame;
}

/** The letter that a packet's frame holds. */
export function letterOf(packet: Packet): string {
  const frame = frameOf(packet);
  return String.fromCharCode(frame.slab.bytes[frame.start] ?? 0);
}

/** Reads the letters of packets. */
export function letters(): OperatorFunction<Packet, string> {
  return map(letterOf);
}

/** Reads the letters of outgoing packets and releases them, as a sink does. */
export function sunk(): OperatorFunction<Packet, string> {
  return map((packet) => {
    const letter = letterOf(packet);
    frameOf(packet).release();
    return letter;
  });
}

/** What a driver does: it releases each frame when its `next` returns. */
export function driver(source$: Observable<Frame>): Observable<RxFrame> {
  return new Observable((subscriber) =>
    source$.subscribe({
      next(frame) {
        subscriber.next(asRx(frame));
        frame.release();
      },
      error: (error: unknown) => subscriber.error(error),
      complete: () => subscriber.complete(),
    }),
  );
}

/** Runs a marble test in an environment of its own; afterwards no frame may be left. */
export function marbles(test: (bench: Bench) => void): void {
  const scheduler = new TestScheduler((actual, expected) => {
    expect(actual).to.deep.equal(expected);
  });
  const env = environment({ scheduler, seed: 1, pool: new FramePool({ poison: true }) });
  scheduler.run((helpers) => {
    const tx = (diagram: string) => helpers.cold(diagram).pipe(map((letter) => asTx(frameWith(env, letter))));
    test({ ...helpers, env, scheduler, tx, rx: (diagram) => driver(tx(diagram)) });
  });
  expect(env.pool.outstanding, 'frames left').to.equal(0);
}

/** The tests of an operator that passes each packet on at once: never, empty, one, many, error, unsubscribed. */
export function passesOn(operator: (env: Env) => OperatorFunction<RxFrame, Packet>): void {
  for (const diagram of ['---', '|', '--|', '#', '--a--|', '-a-bc--d--|', '(abc|)', '-a-b-#', '-a-b-']) {
    it(`passes on ${diagram}`, () => {
      marbles(({ env, rx, expectObservable }) => {
        expectObservable(rx(diagram).pipe(operator(env), letters())).toBe(diagram);
      });
    });
  }

  it('leaves the source when it is left', () => {
    marbles(({ env, cold, expectObservable, expectSubscriptions }) => {
      const source = cold('-a-b-c-|');
      const frames$ = driver(source.pipe(map((letter) => frameWith(env, letter))));
      expectObservable(frames$.pipe(operator(env), letters()), '^---!').toBe('-a-b-');
      expectSubscriptions(source.subscriptions).toBe('^---!');
    });
  });

  it('subscribes to the source only when it is subscribed to', () => {
    marbles(({ env, expectSubscriptions, cold }) => {
      const source = cold('-a-|');
      source.pipe(
        map((letter) => asRx(frameWith(env, letter))),
        operator(env),
      );
      expectSubscriptions(source.subscriptions).toBe([]);
    });
  });
}
