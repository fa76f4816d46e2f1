import { expect } from 'chai';
import { config, merge, of, Subject, throwError } from 'rxjs';
import { TestScheduler } from 'rxjs/testing';
import { funnel } from '../../../operators/flow/funnel.js';
import { layer } from '../../../operators/flow/layer.js';
import { responder } from '../../../operators/flow/responder.js';

function marbles(run: Parameters<TestScheduler['run']>[0]): void {
  new TestScheduler((actual, expected) => void expect(actual).to.deep.equal(expected)).run(run);
}

describe('funnel', () => {
  for (const [one, other] of [
    ['-', '-'],
    ['|', '|'],
    ['#', '-a-'],
    ['-a-b-|', '--c---d-|'],
    ['-a-b-#', '--c---d-|'],
    ['(ab|)', '(cd|)'],
    ['-a-|', '-'],
  ] as const) {
    it(`does with ${one} and ${other} as merge does`, () => {
      marbles(({ hot, cold, expectObservable }) => {
        expectObservable<string>(funnel(cold(one), cold(other))).toEqual(merge(cold(one), cold(other)));
        expectObservable<string>(funnel(hot(one), hot(other))).toEqual(merge(hot(one), hot(other)));
      });
    });
  }

  it('is empty without sources', () => {
    marbles(({ expectObservable }) => expectObservable(funnel()).toBe('|'));
  });

  it('leaves all sources when it is left, and the others when one fails', () => {
    marbles(({ cold, expectObservable, expectSubscriptions }) => {
      const [one, other, failing] = [cold('-a-b-c-|'), cold('--d-|'), cold('---#')];
      expectObservable(funnel(one, other), '^----!').toBe('-adb-');
      expectSubscriptions(one.subscriptions).toBe('^----!');
      expectSubscriptions(other.subscriptions).toBe('^---!');
      const [first, second] = [cold('-a-b-c-|'), failing];
      expectObservable(funnel(first, second)).toBe('-a-(b#)');
      expectSubscriptions(first.subscriptions).toBe('^--!');
    });
  });

  it('does not subscribe to sources behind one that fails at once', () => {
    marbles(({ cold, expectObservable, expectSubscriptions }) => {
      const never = cold('-a');
      expectObservable(
        funnel<unknown>(
          throwError(() => 'error'),
          never,
        ),
      ).toBe('#');
      expectSubscriptions(never.subscriptions).toBe([]);
    });
  });
});

describe('the subscribers of operators', () => {
  const operators = {
    layer: layer<number, number>(() => (value) => (value === 2 ? wrong() : value)),
    responder: responder<number, number>((emit) => ({ next: (value) => emit(value === 2 ? wrong() : value) })),
  };

  function wrong(): never {
    throw new Error('mine');
  }

  for (const [name, operator] of Object.entries(operators)) {
    it(`of a ${name} report what is thrown, and go on`, async () => {
      const errors: unknown[] = [];
      config.onUnhandledError = (error) => errors.push(error);
      try {
        const seen: number[] = [];
        of(1, 2, 3)
          .pipe(operator)
          .subscribe((value) => seen.push(value));
        expect(seen).to.deep.equal([1, 3]);
        await new Promise((resolve) => setTimeout(resolve, 1));
        expect(errors).to.have.length(1);
        expect(errors[0]).to.have.property('message', 'mine');
      } finally {
        config.onUnhandledError = null;
      }
    });

    it(`of a ${name} hear nothing after they left`, () => {
      const source = new Subject<number>();
      const seen: number[] = [];
      const subscription = source.pipe(operator).subscribe((value) => {
        seen.push(value);
        if (value === 3) subscription.unsubscribe();
      });
      for (const value of [1, 3, 4]) source.next(value);
      expect(seen).to.deep.equal([1, 3]);
      expect(source.observed).to.equal(false);
    });
  }
});
