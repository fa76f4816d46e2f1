import { expect } from 'chai';
import {
  asyncScheduler,
  delay,
  interval,
  of,
  type SchedulerLike,
  Subscription,
  take,
  VirtualTimeScheduler,
} from 'rxjs';
import { TestScheduler } from 'rxjs/testing';
import { SimulationScheduler } from '../../../operators/time/simulation-scheduler.js';
import { TimerWheel } from '../../../operators/time/timer-wheel.js';
import { type Clock, timersContract } from './timers-contract.js';

function overVirtual(base: VirtualTimeScheduler): Clock {
  const timers = new TimerWheel(base);
  const runUntil = (time: number) => {
    base.maxFrames = time;
    base.flush();
    base.frame = Math.max(base.frame, time);
  };
  return { timers, runUntil, pending: () => base.actions.length };
}

function overSimulation(): Clock {
  const base = new SimulationScheduler();
  return { timers: new TimerWheel(base), runUntil: (time) => base.runUntil(time), pending: () => base.pending };
}

function marbles(test: (scheduler: TestScheduler, wheel: TimerWheel) => void): void {
  const scheduler = new TestScheduler((actual, expected) => {
    expect(actual).to.deep.equal(expected);
  });
  scheduler.run(() => test(scheduler, new TimerWheel(scheduler)));
}

describe('TimerWheel', () => {
  describe('over SimulationScheduler', () => timersContract(overSimulation, 1));
  describe('over VirtualTimeScheduler', () => timersContract(() => overVirtual(new VirtualTimeScheduler()), 1));
  describe('over TestScheduler', () => timersContract(() => overVirtual(new TestScheduler(() => {})), 1));

  it('drives RxJS operators in a marble test', () => {
    marbles((scheduler, wheel) => {
      const source$ = scheduler.createHotObservable('a--b-----|');
      scheduler.expectObservable(source$.pipe(delay(3, wheel))).toBe('---a--b--|');
      scheduler.expectObservable(interval(2000, wheel).pipe(take(3))).toBe('2s 0 1999ms 1 1999ms (2|)', [0, 1, 2]);
      scheduler.expectObservable(of('k').pipe(delay(7_200_000, wheel))).toBe('120m (k|)');
    });
  });

  it('has one pending action in the base, and none when nothing is armed', () => {
    const base = new VirtualTimeScheduler();
    const wheel = new TimerWheel(base);
    const timers = Array.from({ length: 1000 }, (_, i) => {
      const timer = wheel.timer(() => {});
      timer.arm(10_000 - i * 7);
      return timer;
    });
    expect(wheel.pending).to.equal(1000);
    expect(base.actions.length).to.equal(1);
    for (const timer of timers) timer.cancel();
    expect(wheel.pending).to.equal(0);
    expect(base.actions.length).to.equal(0);
  });

  it('does not touch the base when a deadline moves later, a thousand times', () => {
    const base = new SimulationScheduler();
    let scheduled = 0;
    const counting: SchedulerLike = {
      now: () => base.now(),
      schedule: (work: unknown, ms?: number) => {
        scheduled++;
        return base.schedule(work as () => void, ms);
      },
    };
    const wheel = new TimerWheel(counting);
    const fired: number[] = [];
    const timer = wheel.timer(() => fired.push(base.now()));
    timer.arm(200);
    for (let i = 1; i <= 1000; i++) timer.arm(200 + i);
    expect(scheduled).to.equal(1);
    base.run();
    expect(fired).to.deep.equal([1200]);
    expect(scheduled).to.be.below(8);
  });

  it('does not wake in vain for long: a timer costs at most one wake-up per level', () => {
    const base = new SimulationScheduler({ maxEvents: 7 });
    const wheel = new TimerWheel(base);
    let fired = 0;
    wheel.timer(() => fired++).arm(2 ** 30 + 2 ** 29 + 12_345);
    base.run();
    expect(fired).to.equal(1);
  });

  it('keeps its clock and its timers going when the base is set back', () => {
    const base = new SimulationScheduler({ start: 1_000_000 });
    let set = 0;
    const skewed: SchedulerLike = {
      now: () => base.now() + set,
      schedule: (work: unknown, ms?: number) => base.schedule(work as () => void, ms),
    };
    const wheel = new TimerWheel(skewed);
    const fired: number[] = [];
    wheel.timer(() => fired.push(base.now())).arm(1_001_000);
    base.runFor(400);
    expect(wheel.now()).to.equal(1_000_400);
    set = -500_000;
    expect(wheel.now()).to.equal(1_000_400);
    base.run();
    expect(fired).to.deep.equal([1_001_000]);
    expect(wheel.now()).to.equal(1_001_000);
  });

  it('stands still within one event, and waits no longer for that', () => {
    const base = new SimulationScheduler();
    let clock = 100;
    let delayed = -1;
    const schedule = ((work: () => void, wait: number) => {
      delayed = wait;
      return base.schedule(work, wait);
    }) as SchedulerLike['schedule'];
    const wheel = new TimerWheel({ now: () => clock, schedule });
    const fail = () => {
      throw new Error('mine');
    };
    wheel.asOne(() => {
      clock = 130;
      expect(wheel.now()).to.equal(100);
      wheel.asOne(() => expect(wheel.now()).to.equal(100));
      clock = 140;
      expect(wheel.now()).to.equal(100);
      wheel.timer(() => {}).arm(190);
    });
    expect(wheel.now()).to.equal(140);
    expect(delayed).to.be.at.most(50);
    expect(() => wheel.asOne(fail)).to.throw('mine');
    clock = 150;
    expect(wheel.now()).to.equal(150);
  });

  it('calls what waits for the end of an event then, in order, the clock still standing', () => {
    let clock = 5;
    const wheel = new TimerWheel({ now: () => clock++, schedule: () => new Subscription() });
    const order: string[] = [];
    const note = (what: string) => () => void order.push(`${what} at ${wheel.now()}`);
    expect(wheel.atEnd(note('never'))).to.equal(false);
    wheel.asOne(() => {
      expect(wheel.atEnd(note('first'))).to.equal(true);
      wheel.atEnd(() => {
        note('second')();
        wheel.atEnd(note('third'));
      });
      note('event')();
    });
    const begun = Number(order[0]?.split(' ').at(-1));
    expect(order).to.deep.equal(['event', 'first', 'second', 'third'].map((what) => `${what} at ${begun}`));
    expect(wheel.now()).to.be.above(begun);
    expect(wheel.atEnd(note('never'))).to.equal(false);
  });

  it('calls it when that event ends, or one within it', () => {
    const wheel = new TimerWheel(new SimulationScheduler());
    const order: string[] = [];
    const note = (what: string) => void order.push(what);
    wheel.asOne(() => {
      wheel.atEnd(() => note('early'));
      wheel.asOne(() => {
        wheel.atEnd(() => {
          note('end of the inner');
          wheel.asOne(() => {
            wheel.atEnd(() => note('end of one in the end'));
          });
        });
        note('inner');
      });
      wheel.atEnd(() => note('end of the outer'));
      note('outer');
    });
    const inner = ['inner', 'early', 'end of the inner', 'end of one in the end'];
    expect(order).to.deep.equal([...inner, 'outer', 'end of the outer']);
  });

  it('calls all of it, whoever throws', () => {
    const wheel = new TimerWheel(new SimulationScheduler());
    const called: number[] = [];
    const fail = (what: number) => () => {
      called.push(what);
      throw new Error(`mine ${what}`);
    };
    expect(() =>
      wheel.asOne(() => {
        for (const what of [1, 2]) wheel.atEnd(fail(what));
        wheel.atEnd(() => void called.push(3));
        fail(0)();
      }),
    ).to.throw('mine');
    expect(called).to.deep.equal([0, 1, 2, 3]);
    expect(wheel.atEnd(() => {})).to.equal(false);
  });

  it('lets a callback that arms itself for now neither starve others nor stop time from being checked', () => {
    const base = new SimulationScheduler();
    const wheel = new TimerWheel(base);
    let rounds = 0;
    const order: string[] = [];
    const again = wheel.timer(() => {
      order.push('again');
      if (++rounds < 3) again.arm(base.now());
    });
    again.arm(10);
    wheel.timer(() => order.push('other')).arm(10);
    base.runUntil(10);
    expect(order).to.deep.equal(['again', 'other', 'again', 'again']);
  });

  it('arms, moves, cancels and fires 100,000 timers cheaply', () => {
    const base = new SimulationScheduler();
    const wheel = new TimerWheel(base);
    let fired = 0;
    const before = asyncScheduler.now();
    const timers = Array.from({ length: 100_000 }, (_, i) => {
      const timer = wheel.timer(() => fired++);
      timer.arm(1 + ((i * 7919) % 200_003));
      return timer;
    });
    for (const timer of timers) timer.arm(timer.deadline + 200);
    for (let i = 0; i < timers.length; i += 2) timers[i]?.cancel();
    base.run();
    expect(fired).to.equal(50_000);
    expect(base.pending).to.equal(0);
    expect(asyncScheduler.now() - before).to.be.below(3000);
  });

  describe('on the wall clock', () => {
    it('is never early', async () => {
      const wheel = new TimerWheel(asyncScheduler, { unref: false });
      const start = wheel.now();
      const delays = [0, 1, 2, 7, 15, 33];
      const late = await Promise.all(
        delays.map(
          (ms) =>
            new Promise<number>((resolve) => wheel.timer(() => resolve(wheel.now() - start - ms)).arm(start + ms)),
        ),
      );
      for (const by of late) expect(by).to.be.within(0, 500);
      expect(wheel.pending).to.equal(0);
    });

    it('with unref its timer does not keep the process alive', () => {
      const handle = (unref: boolean) => {
        const wheel = new TimerWheel(asyncScheduler, { unref });
        const before = process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
        const timer = wheel.timer(() => {});
        timer.arm(wheel.now() + 10_000);
        const after = process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
        timer.cancel();
        return after - before;
      };
      expect(handle(false)).to.equal(1);
      expect(handle(true)).to.equal(0);
    });

    it('keeps the platform timer of the last that was cancelled for the next, but not the process alive by it', () => {
      const timeouts = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
      let scheduled = 0;
      const base: SchedulerLike = {
        now: () => asyncScheduler.now(),
        schedule: (...args: Parameters<SchedulerLike['schedule']>) => {
          scheduled++;
          return asyncScheduler.schedule(...args);
        },
      };
      const before = timeouts();
      const wheel = new TimerWheel(base);
      const timer = wheel.timer(() => {});
      for (let i = 0; i < 1000; i++) {
        timer.arm(wheel.now() + 5000);
        expect(timeouts() - before, 'armed').to.equal(1);
        timer.cancel();
        expect(timeouts() - before, 'cancelled').to.equal(0);
      }
      expect(scheduled).to.be.lessThan(10);
    });

    it('is on time after all were cancelled, whether the next is sooner or later', async () => {
      const wheel = new TimerWheel(asyncScheduler);
      for (const [cancelled, ms] of [
        [1000, 20],
        [5, 40],
        [30, 30],
      ] as const) {
        const other = wheel.timer(() => {});
        other.arm(wheel.now() + cancelled);
        other.cancel();
        const due = wheel.now() + ms;
        const by = await new Promise<number>((resolve) => wheel.timer(() => resolve(wheel.now() - due)).arm(due));
        expect(by, `${ms} ms after ${cancelled}`).to.be.within(0, 500);
      }
    });
  });
});
