import { expect } from 'chai';
import { delay, interval, merge, of, take, timer } from 'rxjs';
import { SimulationScheduler } from '../../../operators/time/simulation-scheduler.js';
import { timersContract } from './timers-contract.js';

describe('SimulationScheduler', () => {
  timersContract(() => {
    const timers = new SimulationScheduler();
    return { timers, runUntil: (time) => timers.runUntil(time), pending: () => timers.pending };
  }, 0);

  it('drives RxJS operators, in the order of times, then of scheduling', () => {
    const scheduler = new SimulationScheduler({ start: 100 });
    const seen: string[] = [];
    merge(of('a').pipe(delay(20, scheduler)), of('b').pipe(delay(20, scheduler)), timer(0.5, scheduler)).subscribe(
      (value) => seen.push(`${value} ${scheduler.now()}`),
    );
    interval(10, scheduler)
      .pipe(take(3))
      .subscribe((n) => seen.push(`${n} ${scheduler.now()}`));
    scheduler.run();
    expect(seen).to.deep.equal(['0 100.5', '0 110', 'a 120', 'b 120', '1 120', '2 130']);
    expect(scheduler.pending).to.equal(0);
  });

  it('passes the state on, lets the work reschedule itself, and stops when unsubscribed', () => {
    const scheduler = new SimulationScheduler();
    const seen: [number | undefined, number][] = [];
    scheduler.schedule<number>(
      function (state = 0) {
        seen.push([state, scheduler.now()]);
        if (state < 3) this.schedule(state + 1, 5);
      },
      5,
      1,
    );
    const cancelled = scheduler.schedule(() => expect.fail(), 7);
    cancelled.unsubscribe();
    expect(scheduler.pending).to.equal(1);
    scheduler.run();
    expect(seen).to.deep.equal([
      [1, 5],
      [2, 10],
      [3, 15],
    ]);
  });

  it('runs a step, a span, or up to a time, and shows that time', () => {
    const scheduler = new SimulationScheduler();
    const seen: number[] = [];
    for (const at of [1, 2, 3, 4]) scheduler.schedule(() => seen.push(scheduler.now()), at);
    expect(scheduler.next).to.equal(1);
    expect(scheduler.step()).to.equal(true);
    expect([scheduler.now(), scheduler.pending]).to.deep.equal([1, 3]);
    scheduler.runUntil(2);
    scheduler.runFor(1.5);
    expect(scheduler.now()).to.equal(3.5);
    expect(seen).to.deep.equal([1, 2, 3]);
    scheduler.run();
    expect(scheduler.step()).to.equal(false);
    expect(scheduler.next).to.equal(Infinity);
    expect(scheduler.now()).to.equal(4);
  });

  it('does not count timers that were moved later as events', () => {
    const scheduler = new SimulationScheduler();
    const fired: number[] = [];
    const moved = scheduler.timer(() => fired.push(scheduler.now()));
    moved.arm(1);
    moved.arm(10);
    expect(scheduler.next).to.equal(10);
    expect(scheduler.step()).to.equal(true);
    expect(fired).to.deep.equal([10]);
  });

  it('gives up on an endless loop with an error, in run and in advance', async () => {
    const scheduler = new SimulationScheduler({ maxEvents: 1000, quietTurns: 1 });
    const loop = interval(0, scheduler).subscribe();
    expect(() => scheduler.run())
      .to.throw()
      .with.property('code', 'ERR_TOO_MANY_EVENTS');
    const failure: unknown = await scheduler.advance(1).catch((error: unknown) => error);
    expect(failure).to.have.property('code', 'ERR_TOO_MANY_EVENTS');
    loop.unsubscribe();
    expect(scheduler.pending).to.equal(0);
  });

  it('stops an action that failed', () => {
    const scheduler = new SimulationScheduler();
    scheduler.schedule(function () {
      this.schedule(undefined, 1);
      throw new Error('mine');
    });
    expect(() => scheduler.run()).to.throw('mine');
    expect(scheduler.pending).to.equal(0);
  });

  it('lets promises and turns of the event loop catch up between events', async () => {
    const scheduler = new SimulationScheduler();
    const seen: number[] = [];
    const sleep = (ms: number) => new Promise<void>((resolve) => scheduler.schedule(() => resolve(), ms));
    const turns = async (n: number) => {
      for (let i = 0; i < n; i++) await new Promise((resolve) => setImmediate(resolve));
    };
    const program = async () => {
      for (let i = 0; i < 4; i++) {
        await sleep(1000);
        await turns(1);
        await new Promise<void>((resolve) => process.nextTick(resolve));
        seen.push(scheduler.now());
      }
      return 'done';
    };
    const running = program();
    await scheduler.advance(2500);
    expect(seen).to.deep.equal([1000, 2000]);
    expect(scheduler.now()).to.equal(2500);
    expect(await scheduler.runUntilSettled(running)).to.equal('done');
    expect(seen).to.deep.equal([1000, 2000, 3000, 4000]);
  });

  it('says so when a promise can never settle, and passes a rejection on', async () => {
    const scheduler = new SimulationScheduler();
    const never: unknown = await scheduler.runUntilSettled(new Promise(() => {})).catch((error: unknown) => error);
    expect(never).to.have.property('code', 'ERR_INVALID_STATE');
    const rejected: unknown = await scheduler
      .runUntilSettled(Promise.reject(new Error('mine')))
      .catch((error: unknown) => error);
    expect(rejected).to.have.property('message', 'mine');
  });

  it('keeps 100,000 events in order cheaply', () => {
    const scheduler = new SimulationScheduler();
    let last = -1;
    let events = 0;
    const timers = Array.from({ length: 100_000 }, (_, i) => {
      const made = scheduler.timer(() => {
        expect(scheduler.now() >= last).to.equal(true);
        last = scheduler.now();
        events++;
      });
      made.arm((i * 7919) % 100_003);
      return made;
    });
    for (const made of timers) made.arm(made.deadline + 5);
    // Time of the processor, in microseconds: other tests run beside this one.
    const before = process.cpuUsage().user;
    scheduler.run();
    expect(events).to.equal(100_000);
    expect(process.cpuUsage().user - before).to.be.below(3_000_000);
  });
});
