import { expect } from 'chai';
import { asapScheduler, delay, filter, identity, map, merge, Observable, observeOn, Subject, take, tap } from 'rxjs';
import type { Device } from '../../../lib/core/device.js';
import { DropReason } from '../../../lib/core/drops.js';
import type { Env } from '../../../lib/core/env.js';
import { asRx, asTx, type Frame, FramePool, type RxFrame, type TxFrame } from '../../../lib/core/frame.js';
import { batch } from '../../../operators/flow/batch.js';
import { retain } from '../../../operators/flow/retain.js';
import { tag, tagOutgoing } from '../../../operators/flow/tag.js';
import { trampoline } from '../../../operators/flow/trampoline.js';
import { unbatch } from '../../../operators/flow/unbatch.js';
import { where, whereOutgoing } from '../../../operators/flow/where.js';
import { environment } from '../../../operators/time/environment.js';
import { driver, frameWith, letterOf, letters, marbles, passesOn, sunk } from './marbles.js';

function poisoned(): Env {
  return environment({ seed: 1, pool: new FramePool({ poison: true }) });
}

function throwing(): never {
  throw new Error('mine');
}

describe('trampoline', () => {
  for (const diagram of ['---', '|', '#', '--a--|', '(abc|)', '-a-b-#']) {
    it(`passes on ${diagram}`, () => {
      marbles(({ env, tx, expectObservable }) => {
        expectObservable(tx(diagram).pipe(trampoline(env), sunk())).toBe(diagram);
      });
    });
  }

  it('leaves the source when it is left', () => {
    marbles(({ env, cold, expectObservable, expectSubscriptions }) => {
      const source = cold('-a-b-c-|');
      const frames$ = source.pipe(map((letter) => asTx(frameWith(env, letter))));
      expectObservable(frames$.pipe(trampoline(env), sunk()), '^---!').toBe('-a-b-');
      expectSubscriptions(source.subscriptions).toBe('^---!');
    });
  });

  it('keeps the order where output comes back as input, and the stack flat', () => {
    const env = poisoned();
    const loop$ = new Subject<TxFrame>();
    const seen: string[] = [];
    let depth = 0;
    let rounds = 0;
    loop$.pipe(trampoline(env)).subscribe((frame) => {
      depth++;
      expect(depth).to.equal(1);
      const letter = letterOf(frame);
      frame.release();
      if (seen.length < 7) seen.push(letter);
      if (letter === 'a' && rounds === 0) {
        loop$.next(asTx(frameWith(env, 'b')));
        loop$.next(asTx(frameWith(env, 'c')));
      }
      if (rounds++ < 100_000) loop$.next(asTx(frameWith(env, letter)));
      depth--;
    });
    loop$.next(asTx(frameWith(env, 'a')));
    expect(seen).to.deep.equal(['a', 'b', 'c', 'a', 'b', 'c', 'a']);
    expect(env.pool.outstanding).to.equal(0);
  });

  it('ends only after what waits', () => {
    const env = poisoned();
    const loop$ = new Subject<TxFrame>();
    const seen: string[] = [];
    loop$.pipe(trampoline(env), sunk()).subscribe({
      next: (letter) => {
        seen.push(letter);
        if (letter !== 'a') return;
        loop$.next(asTx(frameWith(env, 'b')));
        loop$.complete();
      },
      complete: () => seen.push('|'),
    });
    loop$.next(asTx(frameWith(env, 'a')));
    expect(seen).to.deep.equal(['a', 'b', '|']);
  });

  it('releases what comes after it was left', () => {
    const env = poisoned();
    // It looks at nothing but its own list.
    const stubborn$ = new Observable<TxFrame>((subscriber) => {
      for (const letter of 'abc') subscriber.next(asTx(frameWith(env, letter)));
    });
    const seen: string[] = [];
    stubborn$.pipe(trampoline(env), sunk(), take(1)).subscribe((letter) => seen.push(letter));
    expect(seen).to.deep.equal(['a']);
    expect(env.drops.toJSON()).to.deep.equal({ disposed: 2 });
    expect(env.pool.outstanding).to.equal(0);
  });

  it('releases what waits when it is left', () => {
    const env = poisoned();
    const loop$ = new Subject<TxFrame>();
    const subscription = loop$.pipe(trampoline(env), sunk()).subscribe((letter) => {
      expect(letter).to.equal('a');
      loop$.next(asTx(frameWith(env, 'b')));
      loop$.next(asTx(frameWith(env, 'c')));
      subscription.unsubscribe();
    });
    loop$.next(asTx(frameWith(env, 'a')));
    expect(env.drops.toJSON()).to.deep.equal({ disposed: 2 });
    expect(env.pool.outstanding).to.equal(0);
  });
});

describe('retain', () => {
  for (const end of ['comes out', 'is left'] as const) {
    it(`knows a packet that comes again before it has left, with its ranges, when it ${end}`, async () => {
      const env = poisoned();
      const source$ = new Subject<Frame>();
      const lengths: number[] = [];
      const narrowed$ = source$.pipe(tap((frame) => (frame.start += 2)));
      const subscription = merge(source$, narrowed$, source$)
        .pipe(retain(observeOn(asapScheduler), env))
        .subscribe((frame) => lengths.push(frame.length));
      const frame = env.pool.alloc(10);
      frame.put(10);
      source$.next(frame);
      frame.release();
      if (end === 'is left') subscription.unsubscribe();
      await Promise.resolve();
      expect(lengths).to.deep.equal(end === 'is left' ? [] : [10, 8, 8]);
      expect(env.drops.toJSON()).to.deep.equal(end === 'is left' ? { disposed: 1 } : {});
      expect(env.pool.outstanding).to.equal(0);
    });
  }

  passesOn((env) => retain(identity, env));

  it('keeps frames intact through a delay, and releases them afterwards', () => {
    marbles(({ env, rx, scheduler, expectObservable }) => {
      expectObservable(rx('-a-b--c---|').pipe(retain(delay(3, scheduler), env), letters())).toBe('----a-b--c|');
    });
  });

  it('restores the range, whatever happened to the frame meanwhile', async () => {
    const env = poisoned();
    const source$ = new Subject<Frame>();
    const seen: string[] = [];
    source$.pipe(retain(observeOn(asapScheduler), env)).subscribe((frame) => seen.push(letterOf(frame)));
    source$.subscribe((frame) => {
      frame.start = frame.end;
    });
    const frame = frameWith(env, 'a');
    source$.next(frame);
    frame.release();
    await Promise.resolve();
    expect(seen).to.deep.equal(['a']);
    expect(env.pool.outstanding).to.equal(0);
  });

  it('releases what is inside when it is left, and what the inner operator swallowed when that ends', () => {
    marbles(({ env, rx, scheduler, expectObservable }) => {
      expectObservable(rx('-a-b-c').pipe(retain(delay(3, scheduler), env), letters()), '-----!').toBe('----a');
      const swallowing = retain<RxFrame>(
        filter((frame) => letterOf(frame) !== 'b'),
        env,
      );
      expectObservable(rx('-a-b-c-|').pipe(swallowing, letters())).toBe('-a---c-|');
      scheduler.schedule(() => expect(env.drops.toJSON()).to.deep.equal({ disposed: 2 }), 50);
    });
  });
});

describe('tag', () => {
  passesOn((env) => tag({ mark: 1 }, env));

  it('sets what it is told to, by value or by function, and nothing else', () => {
    const env = poisoned();
    const device = { name: 'eth0' } as Device;
    const frame = frameWith(env, 'a');
    frame.flow = 9;
    const source$ = new Subject<Frame>();
    source$.pipe(tag({ mark: (packet) => packet.length + 6, device }, env)).subscribe();
    source$.next(frame);
    expect([frame.mark, frame.flow, frame.device]).to.deep.equal([7, 9, device]);
    source$.pipe(tag({ mark: 1, flow: () => 5, device: () => undefined }, env)).subscribe();
    source$.next(frame);
    expect([frame.mark, frame.flow, frame.device]).to.deep.equal([1, 5, undefined]);
  });

  it('drops the packet whose function throws', () => {
    marbles(({ env, rx, expectObservable, flush }) => {
      const seen$ = rx('-a-b-|').pipe(tag({ flow: (frame) => (letterOf(frame) === 'a' ? throwing() : 1) }, env));
      expectObservable(seen$.pipe(letters())).toBe('---b-|');
      flush();
      expect(env.drops.toJSON()).to.deep.equal({ 'callback-threw': 1 });
    });
  });
});

describe('tagOutgoing', () => {
  it('sets what it is told to, and releases the packet whose function throws', () => {
    marbles(({ env, tx, expectObservable, flush }) => {
      const marks: number[] = [];
      const mark = (frame: Frame) => (letterOf(frame) === 'b' ? throwing() : 7);
      const out$ = tx('-a-b-c-|').pipe(
        tagOutgoing({ mark }, env),
        tap((frame) => marks.push(frame.mark)),
        sunk(),
      );
      expectObservable(out$).toBe('-a---c-|');
      flush();
      expect(marks).to.deep.equal([7, 7]);
      expect(env.drops.toJSON()).to.deep.equal({ 'callback-threw': 1 });
    });
  });
});

describe('where', () => {
  passesOn((env) => where(() => true, DropReason.Filtered, env));

  it('lets through what fulfils the condition, and drops the rest with a reason', () => {
    marbles(({ env, rx, expectObservable, flush }) => {
      const picky = (frame: Frame) => (letterOf(frame) === 'c' ? throwing() : letterOf(frame) === 'b');
      expectObservable(rx('-a-b-c-b-|').pipe(where(picky, DropReason.RateLimited, env), letters())).toBe('---b---b-|');
      flush();
      expect(env.drops.toJSON()).to.deep.equal({ 'callback-threw': 1, 'rate-limited': 1 });
    });
  });
});

describe('whereOutgoing', () => {
  it('releases what it drops', () => {
    marbles(({ env, tx, expectObservable, flush }) => {
      const picky = (frame: Frame) => (letterOf(frame) === 'c' ? throwing() : letterOf(frame) === 'b');
      const out$ = tx('-a-b-c-b-|').pipe(whereOutgoing(picky, DropReason.Filtered, env), sunk());
      expectObservable(out$).toBe('---b---b-|');
      flush();
      expect(env.drops.toJSON()).to.deep.equal({ 'callback-threw': 1, filtered: 1 });
    });
  });
});

describe('batch', () => {
  const joined = () => map((frames: readonly RxFrame[]) => frames.map(letterOf).join(''));

  it('groups what comes at once, up to a size', () => {
    marbles(({ env, rx, expectObservable }) => {
      const frames$ = rx('--(abc)--d-----(ef)-|');
      expectObservable(frames$.pipe(batch({}, env), joined())).toBe('  --x------d-----y----|', {
        x: 'abc',
        d: 'd',
        y: 'ef',
      });
      expectObservable(frames$.pipe(batch({ size: 2 }, env), joined())).toBe('--(xc)---d-----y----|', {
        x: 'ab',
        c: 'c',
        d: 'd',
        y: 'ef',
      });
    });
  });

  it('passes on never, empty, an error, and what waits when the source completes', () => {
    marbles(({ env, rx, expectObservable }) => {
      for (const diagram of ['---', '|', '--|', '-#', '(a|)']) {
        expectObservable(rx(diagram).pipe(batch({}, env), joined())).toBe(diagram);
      }
    });
  });

  it('waits as long as its scheduler says', () => {
    marbles(({ env, rx, scheduler, expectObservable }) => {
      const slow = {
        now: () => scheduler.now(),
        schedule: (work: unknown) => scheduler.schedule(work as () => void, 3),
      };
      expectObservable(rx('-ab-----c|').pipe(batch({ scheduler: slow }, env), joined())).toBe('----x----(c|)', {
        x: 'ab',
        c: 'c',
      });
    });
  });

  it('releases what waits when it is left or the source fails, and leaves no action', () => {
    const env = poisoned();
    const source$ = new Subject<RxFrame>();
    const send = () => {
      const frame = frameWith(env, 'a');
      source$.next(asRx(frame));
      frame.release();
    };
    const subscription = source$.pipe(batch({}, env)).subscribe(() => expect.fail());
    send();
    subscription.unsubscribe();
    source$.pipe(batch({}, env)).subscribe({ next: () => expect.fail(), error: () => {} });
    send();
    source$.error(new Error('mine'));
    expect(env.drops.toJSON()).to.deep.equal({ disposed: 2 });
    expect(env.pool.outstanding).to.equal(0);
    expect(asapScheduler).to.have.property('actions').that.deep.equals([]);
  });

  it('refuses a size that cannot be', () => {
    for (const size of [0, -1, 1.5, Number.NaN]) {
      expect(() => batch({ size }))
        .to.throw()
        .with.property('code', 'ERR_INVALID_OPTION');
    }
  });
});

describe('unbatch', () => {
  passesOn((env) => (source$) => source$.pipe(batch({ size: 1 }, env), unbatch()));

  it('is the opposite of batch', () => {
    marbles(({ env, rx, expectObservable }) => {
      expectObservable(rx('-a-(bcd)--|').pipe(batch({}, env), unbatch(), letters())).toBe('-a-(bcd)--|');
    });
  });
});

describe('driver of these specs', () => {
  it('releases each frame, so that a view that outlives its next shows poison', () => {
    const env = poisoned();
    const source$ = new Subject<Frame>();
    const kept: Frame[] = [];
    driver(source$)
      .pipe(tap((frame) => kept.push(frame)))
      .subscribe();
    source$.next(frameWith(env, 'a'));
    expect(kept[0]?.slab.bytes[kept[0].start]).to.equal(0xdb);
  });
});
