/** What every implementation of `Timers` must do; and the naive one that the others are compared with. */

import { expect } from 'chai';
import * as fc from 'fast-check';
import type { Timer, Timers } from '../../../lib/core/timers.js';

/** A clock under test: `runUntil` lets everything up to `time` happen. */
export interface Clock {
  readonly timers: Timers;
  readonly runUntil: (time: number) => void;
  /** Actions that are pending in the scheduler below. */
  readonly pending: () => number;
}

/** Keeps everything in one list and searches it; deadlines are rounded up to `grain`, or exact with 0. */
class NaiveTimers implements Timers {
  private readonly armed: { timer: object; deadline: number; order: number; callback: () => void }[] = [];
  private readonly grain: number;
  private clock = 0;
  private order = 0;

  constructor(grain: number) {
    this.grain = grain;
  }

  now(): number {
    return this.clock;
  }

  asOne(event: () => void): void {
    event();
  }

  atEnd(): boolean {
    return false;
  }

  timer(action: (owner: never) => void, owner?: unknown): Timer {
    const callback = () => action(owner as never);
    const { armed } = this;
    const find = () => armed.findIndex((entry) => entry.timer === timer);
    const cancel = () => {
      const at = find();
      if (at >= 0) armed.splice(at, 1);
    };
    const timer: Timer = {
      get armed() {
        return find() >= 0;
      },
      get deadline() {
        return armed[find()]?.deadline ?? Infinity;
      },
      arm: (deadline) => {
        cancel();
        armed.push({ timer, deadline: Math.max(deadline, this.clock), order: this.order++, callback });
      },
      cancel,
    };
    return timer;
  }

  runUntil(time: number): void {
    const due = (entry: { deadline: number }) => (this.grain === 0 ? entry.deadline : Math.ceil(entry.deadline));
    for (;;) {
      const [first] = [...this.armed].sort((a, b) => a.deadline - b.deadline || a.order - b.order);
      if (first === undefined || due(first) > time) break;
      this.clock = Math.max(this.clock, due(first));
      first.timer = {};
      this.armed.splice(this.armed.indexOf(first), 1);
      first.callback();
    }
    this.clock = Math.max(this.clock, time);
  }
}

type Act = { kind: 'arm' | 'cancel'; timer: number; delay: number };

const act = (timers: number): fc.Arbitrary<Act> =>
  fc.record({
    kind: fc.constantFrom('arm' as const, 'arm' as const, 'cancel' as const),
    timer: fc.nat(timers - 1),
    delay: fc.oneof(
      fc.integer({ min: -3, max: 70 }),
      fc.integer({ min: 0, max: 40_000 }).map((n) => n / 8),
      fc.nat(2 ** 31),
      fc.nat(2 ** 33),
    ),
  });

/** A script: what happens at which step of time, and what the callbacks of timers do. */
const script = fc.record({
  steps: fc.array(
    fc.record({
      wait: fc.oneof(fc.nat(50), fc.nat(2 ** 21), fc.nat(2 ** 31)),
      acts: fc.array(act(8), { maxLength: 6 }),
    }),
    {
      maxLength: 12,
    },
  ),
  inCallbacks: fc.array(act(8), { maxLength: 40 }),
});
type Script = typeof script extends fc.Arbitrary<infer T> ? T : never;

/** Plays a script and writes down every firing: which timer, when. */
function play(clock: Pick<Clock, 'timers' | 'runUntil'>, { steps, inCallbacks }: Script): string[] {
  const log: string[] = [];
  const { timers } = clock;
  const start = timers.now();
  const queue = [...inCallbacks];
  const all: Timer[] = [];
  const perform = ({ kind, timer, delay }: Act) => {
    if (kind === 'arm') all[timer]?.arm(timers.now() + delay);
    else all[timer]?.cancel();
  };
  for (let i = 0; i < 8; i++) {
    all.push(
      timers.timer(() => {
        log.push(`${i} at ${timers.now() - start}`);
        expect(all[i]?.armed).to.equal(false);
        expect(all[i]?.deadline).to.equal(Infinity);
        for (const doing of queue.splice(0, 2)) perform(doing);
      }),
    );
  }
  let time = start;
  for (const { wait, acts } of steps) {
    acts.forEach(perform);
    log.push(all.map((timer) => (timer.armed ? `${timer.deadline - start}` : '-')).join(' '));
    time += wait;
    clock.runUntil(time);
  }
  clock.runUntil(time + 2 ** 36);
  expect(all.some((timer) => timer.armed)).to.equal(false);
  return log;
}

/** The tests that hold a clock to the contract of `Timers`; `grain` is the tick in ms, or 0 for exact times. */
export function timersContract(make: () => Clock, grain: 0 | 1): void {
  it('fires once, at its deadline, and can then be armed again from its callback', () => {
    const { timers, runUntil } = make();
    const fired: number[] = [];
    const timer = timers.timer(() => {
      fired.push(timers.now());
      if (fired.length < 3) timer.arm(timers.now() + 500);
    });
    timer.arm(1000);
    expect(timer.armed).to.equal(true);
    expect(timer.deadline).to.equal(1000);
    runUntil(10_000);
    expect(fired).to.deep.equal([1000, 1500, 2000]);
    expect(timer.armed).to.equal(false);
    expect(timer.deadline).to.equal(Infinity);
  });

  it('is never early: a fraction of a millisecond is rounded up to the tick, if there is one', () => {
    const { timers, runUntil } = make();
    const fired: number[] = [];
    timers.timer(() => fired.push(timers.now())).arm(10.25);
    runUntil(100);
    expect(fired).to.deep.equal([grain === 0 ? 10.25 : 11]);
  });

  it('does not fire in arm(), however late, but at the same time', () => {
    const { timers, runUntil } = make();
    runUntil(50);
    const fired: number[] = [];
    timers.timer(() => fired.push(timers.now())).arm(10);
    expect(fired).to.deep.equal([]);
    runUntil(50);
    expect(fired).to.deep.equal([50]);
  });

  it('does not fire when cancelled, also by a timer of the same deadline, and leaves nothing pending', () => {
    const { timers, runUntil, pending } = make();
    const fired: string[] = [];
    const late = timers.timer(() => fired.push('late'));
    timers.timer(() => late.cancel()).arm(20);
    late.arm(20);
    const other = timers.timer(() => fired.push('other'));
    other.arm(30);
    other.cancel();
    other.cancel();
    runUntil(25);
    expect(pending()).to.equal(0);
    runUntil(100);
    expect(fired).to.deep.equal([]);
  });

  it('fires in the order of deadlines, then of arming', () => {
    const { timers, runUntil } = make();
    let fired = '';
    const [a, b, c, d] = ['a', 'b', 'c', 'd'].map((name) => timers.timer(() => (fired += name)));
    a?.arm(100.5);
    b?.arm(100.25);
    c?.arm(100.25);
    d?.arm(40);
    b?.arm(100.25); // Armed anew, so now after c.
    runUntil(200);
    expect(fired).to.equal('dcba');
  });

  it('takes no deadline in the past, though one was moved there only a little, and though others wait for long', () => {
    const { timers, runUntil } = make();
    const fired: string[] = [];
    timers.timer(() => fired.push('far')).arm(512);
    runUntil(481);
    timers.timer(() => fired.push('present')).arm(481);
    const moved = timers.timer(() => fired.push('moved'));
    moved.arm(490);
    moved.arm(480);
    expect(moved.deadline).to.equal(481);
    runUntil(600);
    expect(fired).to.deep.equal(['present', 'moved', 'far']);
  });

  it('moves a deadline a little earlier, as often as that is asked for', () => {
    const { timers, runUntil } = make();
    const fired: number[] = [];
    const timer = timers.timer(() => fired.push(timers.now()));
    for (let deadline = 1000; deadline > 900; deadline -= 7) timer.arm(deadline);
    expect(timer.deadline).to.equal(902);
    runUntil(901);
    expect(fired).to.deep.equal([]);
    runUntil(2000);
    expect(fired).to.deep.equal([902]);
  });

  it('takes an infinite deadline for none, and refuses one that is not a number', () => {
    const { timers, pending } = make();
    const timer = timers.timer(() => expect.fail());
    timer.arm(5);
    timer.arm(Infinity);
    expect(timer.armed).to.equal(false);
    expect(pending()).to.equal(0);
    expect(() => timer.arm(Number.NaN))
      .to.throw()
      .with.property('code', 'ERR_INVALID_OPTION');
  });

  it('keeps two hours, and the 24 days of PAWS (RFC 7323 5.5), which setTimeout could not', () => {
    const { timers, runUntil } = make();
    const fired: number[] = [];
    const days = 24 * 86_400_000;
    for (const deadline of [7_200_000, days, 2 ** 31 + 5, 50 * days]) {
      timers.timer(() => fired.push(timers.now())).arm(deadline);
    }
    runUntil(60 * days);
    expect(fired).to.deep.equal([7_200_000, days, 2 ** 31 + 5, 50 * days]);
  });

  it('survives a callback that throws: the others still fire', () => {
    const { timers, runUntil, pending } = make();
    const fired: string[] = [];
    timers.timer(() => fired.push('before')).arm(10);
    timers
      .timer(() => {
        throw new Error('mine');
      })
      .arm(10);
    timers.timer(() => fired.push('same')).arm(10);
    timers.timer(() => fired.push('later')).arm(20);
    expect(() => runUntil(100)).to.throw('mine');
    // RxJS's virtual schedulers forget everything after an error: what comes next must wake the wheel again.
    timers.timer(() => fired.push('new')).arm(15);
    runUntil(100);
    runUntil(100);
    expect(fired).to.deep.equal(['before', 'same', 'new', 'later']);
    expect(pending()).to.equal(0);
  });

  it('does the same as a naive list of timers, whatever the script', () => {
    fc.assert(
      fc.property(script, (plan) => {
        const clock = make();
        expect(play(clock, plan)).to.deep.equal(playNaively(plan, grain));
        expect(clock.pending()).to.equal(0);
      }),
      { numRuns: 150 },
    );
  });
}

function playNaively(plan: Script, grain: number): string[] {
  const naive = new NaiveTimers(grain);
  return play({ timers: naive, runUntil: (time) => naive.runUntil(time) }, plan);
}
