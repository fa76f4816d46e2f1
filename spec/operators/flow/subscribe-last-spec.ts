import { expect } from 'chai';
import { EMPTY, from, map, merge, NEVER, type Observable, of, share, Subject, take, throwError } from 'rxjs';
import { TestScheduler } from 'rxjs/testing';
import { subscribeLast } from '../../../operators/flow/subscribe-last.js';

function marbles(run: Parameters<TestScheduler['run']>[0]): void {
  new TestScheduler((actual, expected) => void expect(actual).to.deep.equal(expected)).run(run);
}

/** Two branches of one source, the second of which is subscribed to after the first. */
function twice(source$: Observable<string>): Observable<string> {
  const shared$ = source$.pipe(share());
  return merge(shared$.pipe(map((letter) => letter.toUpperCase())), shared$);
}

describe('subscribeLast', () => {
  for (const [source, out, subscription] of [
    ['-', '-', '^'],
    ['|', '|', '(^!)'],
    ['#', '#', '(^!)'],
    ['--a---|', '--(Aa)|', '^-----!'],
    ['--a----b----#', '--(Aa)-(Bb)-#', '^-----------!'],
  ] as const) {
    it(`changes nothing for ${source}, which comes later`, () => {
      marbles(({ hot, cold, expectObservable, expectSubscriptions }) => {
        const source$ = cold(source);
        expectObservable(source$.pipe(subscribeLast(twice))).toBe(out);
        expectObservable(hot(source).pipe(subscribeLast(twice))).toBe(out);
        expectSubscriptions(source$.subscriptions).toBe(subscription);
      });
    });
  }

  it('shows all branches what a source emits at once, and its end', () => {
    marbles(({ expectObservable }) => {
      const last = subscribeLast(twice);
      expectObservable(of('a', 'b').pipe(last)).toBe('(AaBb|)');
      expectObservable(merge(of('a'), NEVER).pipe(last)).toBe('(Aa)');
      expectObservable(EMPTY.pipe(last)).toBe('|');
      expectObservable(throwError(() => 'error').pipe(last)).toBe('#');
    });
  });

  it('leaves the source when it is left, also within what it emits at once', () => {
    marbles(({ cold, expectObservable, expectSubscriptions }) => {
      const source$ = cold('-a-b-|');
      expectObservable(source$.pipe(subscribeLast(twice)), '^--!').toBe('-(Aa)');
      expectSubscriptions(source$.subscriptions).toBe('^--!');
      expectObservable(from('abc').pipe(subscribeLast(twice), take(3))).toBe('(AaB|)');
    });
  });

  it('does not subscribe to the source where the operator has ended already', () => {
    marbles(({ cold, expectObservable, expectSubscriptions }) => {
      const source$ = cold('-a-|');
      expectObservable(
        source$.pipe(
          subscribeLast((late$) =>
            merge(
              late$,
              throwError(() => 'error'),
            ),
          ),
        ),
      ).toBe('#');
      expectObservable(source$.pipe(subscribeLast(() => EMPTY))).toBe('|');
      expectSubscriptions(source$.subscriptions).toBe([]);
    });
  });

  it('subscribes at once for branches that come later', () => {
    const late = new Subject<Observable<string>>();
    const seen: string[] = [];
    of('a')
      .pipe(
        subscribeLast((source$) => {
          late.subscribe(() => source$.subscribe((letter) => seen.push(letter)));
          return source$;
        }),
      )
      .subscribe((letter) => seen.push(letter.toUpperCase()));
    late.next(EMPTY);
    expect(seen).to.deep.equal(['A', 'a']);
  });

  it('has a state of its own for each subscription, and takes what the operator throws for an error', () => {
    marbles(({ cold, expectObservable }) => {
      const out$ = cold('-a---|').pipe(subscribeLast(twice));
      expectObservable(out$).toBe('-(Aa)|');
      expectObservable(out$, '--^').toBe('---(Aa)|');
      const throws = subscribeLast<string, string>(() => {
        throw new Error('mine');
      });
      expectObservable(cold('-a|').pipe(throws)).toBe('#', {}, new Error('mine'));
    });
  });
});
