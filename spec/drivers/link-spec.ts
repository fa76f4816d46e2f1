import { createHash } from 'node:crypto';
import { expect } from 'chai';
import * as fc from 'fast-check';
import { type Impairments, link, type LinkOptions, type QueueOptions } from '../../drivers/link.js';
import type { Device } from '../../lib/core/device.js';
import type { Env } from '../../lib/core/env.js';
import { asTx, FramePool } from '../../lib/core/frame.js';
import { environment } from '../../operators/time/environment.js';
import { SimulationScheduler } from '../../operators/time/simulation-scheduler.js';

interface Bench {
  readonly scheduler: SimulationScheduler;
  readonly env: Env;
}

function bench(seed = 1): Bench {
  const scheduler = new SimulationScheduler();
  return { scheduler, env: environment({ scheduler, seed, pool: new FramePool({ poison: true }) }) };
}

/** Sends a frame of `length` bytes that ends in a 16-bit number. */
function send(device: Device, env: Env, number: number, length = 100): void {
  const frame = env.pool.alloc(length);
  const at = frame.put(length);
  frame.slab.bytes.fill(0, at, at + length);
  frame.slab.view.setUint16(frame.end - 2, number);
  device.sink.next(asTx(frame));
}

/** When which numbers arrive. */
function arrivals(device: Device): { at: number; number: number }[] {
  const seen: { at: number; number: number }[] = [];
  device.frames$.subscribe((frame) => seen.push({ at: frame.time, number: frame.slab.view.getUint16(frame.end - 2) }));
  return seen;
}

/** Sends `count` frames, one a millisecond, over a wire with these impairments. */
function run(impairments: Impairments, count = 1000, { scheduler, env }: Bench = bench()) {
  const wire = link({ impair: impairments }, env);
  const [a, b] = wire.ends;
  const seen = arrivals(b);
  for (let i = 0; i < count; i++) {
    send(a, env, i);
    scheduler.runFor(1);
  }
  scheduler.run();
  const drops = env.drops.toJSON();
  void wire.close();
  expect(env.pool.outstanding).to.equal(0);
  expect(scheduler.pending).to.equal(0);
  return { seen, drops, numbers: seen.map(({ number }) => number) };
}

const ALL: Impairments = {
  loss: 0.05,
  burstLoss: { fail: 0.02, recover: 0.3 },
  duplicate: 0.05,
  corrupt: 0.05,
  delay: 20,
  jitter: 10,
  reorder: 0.1,
  rate: 2e6,
  queueFrames: 10,
};

describe('link', () => {
  it('hands a frame over without a copy, as a new one, unless somebody else holds it', () => {
    const { scheduler, env } = bench();
    const [a, b] = link({}, env).ends;
    const frames: unknown[] = [];
    b.frames$.subscribe((frame) => {
      expect(frame.fate).to.equal(0);
      expect(frame.mark).to.equal(0);
      expect(frame.exclusive).to.equal(true);
      frames.push(frame);
    });
    const frame = env.pool.alloc(60);
    frame.put(60);
    frame.mark = 9;
    env.drops.deliver(frame);
    a.sink.next(asTx(frame.retain()));
    scheduler.run();
    a.sink.next(asTx(frame));
    scheduler.run();
    expect(frames[0]).not.to.equal(frame);
    expect(frames[1]).to.equal(frame);
    expect(env.pool.outstanding).to.equal(0);
  });

  it('bounces a frame a hundred thousand times at one moment on a flat stack, and lets others have their turn', () => {
    const { scheduler, env } = bench();
    const [a, b] = link({}, env).ends;
    let bounces = 0;
    let depth = 0;
    for (const end of [a, b]) {
      end.frames$.subscribe((frame) => {
        depth++;
        expect(depth).to.equal(1);
        if (++bounces < 100_000) end.sink.next(asTx(frame.retain()));
        depth--;
      });
    }
    send(a, env, 1);
    expect(bounces).to.equal(0);
    scheduler.run();
    expect(bounces).to.equal(100_000);
    expect(scheduler.now()).to.equal(0);
    expect(env.pool.outstanding).to.equal(0);
  });

  it('is a segment between more than two ends: all others receive, each a frame of its own', () => {
    const { scheduler, env } = bench();
    const wire = link({ ends: ['a', 'b', 'c'] }, env);
    const [a, b, c] = wire.ends;
    const seen = [a, b, ...(c === undefined ? [] : [c])].map((end) => {
      const numbers: number[] = [];
      end.frames$.subscribe((frame) => {
        numbers.push(frame.slab.view.getUint16(frame.end - 2));
        frame.slab.bytes.fill(0xff, frame.start, frame.end);
      });
      return numbers;
    });
    send(a, env, 1);
    send(b, env, 2);
    scheduler.run();
    expect(seen).to.deep.equal([[2], [1], [1, 2]]);
    void c?.close();
    send(a, env, 3);
    scheduler.run();
    expect(seen).to.deep.equal([[2], [1, 3], [1, 2]]);
    void b.close();
    send(a, env, 4);
    scheduler.run();
    expect(env.drops.toJSON()).to.deep.equal({ 'device-down': 1 });
    expect(env.pool.outstanding).to.equal(0);
  });

  it('delays, and keeps order under jitter', () => {
    const { seen, numbers } = run({ delay: 20, jitter: 15 });
    expect(numbers).to.deep.equal(Array.from({ length: 1000 }, (_, i) => i));
    const delays = seen.map(({ at, number }) => at - number);
    // Frames a millisecond apart that may not overtake wait for the slowest before them.
    expect(Math.min(...delays)).to.be.within(5, 30);
    expect(Math.max(...delays)).to.be.within(30, 35.001);
  });

  it('sends at its rate, and drops what its queue does not hold', () => {
    const { scheduler, env } = bench();
    // 100 bytes at 80 kbit/s: 10 ms a frame; one is being sent and three wait.
    const [a, b] = link({ impair: { rate: 80_000, queueFrames: 3 } }, env).ends;
    const seen = arrivals(b);
    for (let i = 0; i < 10; i++) send(a, env, i);
    scheduler.run();
    expect(seen).to.deep.equal([0, 1, 2, 3].map((number) => ({ number, at: (number + 1) * 10 })));
    expect(env.drops.toJSON()).to.deep.equal({ 'link-queue-full': 6 });
    a.impair({ rate: 80_000, queueBytes: 250 });
    for (let i = 10; i < 20; i++) send(a, env, i);
    scheduler.run();
    expect(seen.slice(4).map(({ number }) => number)).to.deep.equal([10, 11, 12]);
    expect(env.pool.outstanding).to.equal(0);
  });

  for (const kind of ['drop-tail', 'red', 'codel'] as const) {
    for (const limits of [{ frames: 0 }, { bytes: 99 }]) {
      it(`sends at once what need not wait, though nothing may (${kind}, ${JSON.stringify(limits)})`, () => {
        const { scheduler, env } = bench();
        const queue = { kind, ...limits };
        const [a, b] = link({ impair: { rate: 80_000, queue } }, env).ends;
        const seen = arrivals(b);
        for (const number of [0, 1, 2]) {
          send(a, env, number);
          scheduler.runFor(number === 1 ? 9 : 10);
        }
        scheduler.run();
        // The last one comes while the second is being sent.
        expect(seen.map((one) => one.number)).to.deep.equal([0, 1]);
        a.impair({ rate: 80_000, queue: { ...queue, frames: 10, bytes: 1000 } });
        for (const number of [3, 4, 5]) send(a, env, number);
        a.impair({ rate: 80_000, queue });
        scheduler.run();
        expect(seen.map((one) => one.number)).to.deep.equal([0, 1, 3]);
        expect(env.drops.toJSON()).to.deep.equal({ 'link-queue-full': 3 });
      });
    }
  }

  it('carries thousands of frames at once, in time that does not grow with their number', () => {
    const { scheduler, env } = bench();
    // 100 Mbit/s and a second of delay: over 80,000 frames of 150 bytes on the wire.
    const [a, b] = link({ impair: { rate: 100e6, delay: 1000, reorder: 0.01, reorderDelay: 500 } }, env).ends;
    let last = -1;
    let late = 0;
    b.frames$.subscribe(({ time }) => {
      if (time < last) late++;
      last = time;
    });
    for (let ms = 0; ms < 1000; ms++) {
      for (let i = 0; i < 83; i++) send(a, env, i, 150);
      scheduler.runFor(1);
    }
    expect(env.pool.outstanding).to.equal(83_000);
    scheduler.run();
    expect(late).to.equal(0);
    expect(env.pool.outstanding).to.equal(0);
  });

  it('queues as it is told: early detection and controlled delay keep waits shorter than drop-tail', () => {
    const waits = (queue: QueueOptions): number => {
      const { scheduler, env } = bench();
      const [a, b] = link({ impair: { rate: 800_000, queue } }, env).ends;
      const seen = arrivals(b);
      const sent: number[] = [];
      // A frame takes a millisecond; eleven come in ten of them.
      for (let i = 0; i < 3000; i++) {
        sent[i] = scheduler.now();
        send(a, env, i);
        scheduler.runFor(10 / 11);
      }
      scheduler.run();
      expect(seen.length + env.drops.total).to.equal(3000);
      const late = seen.slice(-500).map(({ at, number }) => at - (sent[number] ?? 0));
      return late.reduce((sum, wait) => sum + wait, 0) / late.length;
    };
    expect(waits({ kind: 'drop-tail', frames: 200 })).to.be.within(190, 202);
    expect(waits({ kind: 'red', frames: 200 })).to.be.within(10, 25);
    // Slower against a sender that does not listen: it has to find out how often to drop.
    expect(waits({ kind: 'codel', frames: 200 })).to.be.below(120);
  });

  it('sends what waits by another queue, or at another rate, when it is changed', () => {
    const { scheduler, env } = bench();
    const [a, b] = link({ impair: { rate: 80_000 } }, env).ends;
    const seen = arrivals(b);
    for (let i = 0; i < 10; i++) send(a, env, i);
    a.impair({ rate: 160_000, queue: { kind: 'codel', frames: 4 } });
    scheduler.run();
    // The first takes 10 ms still; four of the others may wait.
    expect(seen.map(({ number }) => number)).to.deep.equal([0, 1, 2, 3, 4]);
    expect(seen.map(({ at }) => at)).to.deep.equal([10, 15, 20, 25, 30]);
    expect(env.drops.toJSON()).to.deep.equal({ 'link-queue-full': 5 });
    for (let i = 0; i < 3; i++) send(a, env, i);
    a.impair({});
    send(a, env, 9);
    scheduler.run();
    expect(seen.slice(5).map(({ number }) => number)).to.deep.equal([0, 1, 2, 9]);
    expect(env.pool.outstanding).to.equal(0);
  });

  it('loses as often as it is told', () => {
    const { numbers, drops } = run({ loss: 0.1 }, 10_000);
    expect(drops['link-loss']).to.be.within(850, 1150);
    expect(numbers.length + (drops['link-loss'] ?? 0)).to.equal(10_000);
  });

  it('loses in bursts: as often as Gilbert and Elliott say, and in longer runs than chance', () => {
    const { numbers } = run({ burstLoss: { fail: 0.01, recover: 0.2 } }, 20_000);
    const lost = 20_000 - numbers.length;
    const runs = numbers.filter((number, i) => number - (numbers[i - 1] ?? -1) > 1).length;
    // Stationary loss: fail / (fail + recover) = 4.8 %; runs of 1 / recover = 5 frames.
    expect(lost / 20_000).to.be.within(0.035, 0.062);
    expect(lost / runs).to.be.within(4, 6);
  });

  it('duplicates, right after the original', () => {
    const { numbers } = run({ duplicate: 0.1 });
    const twice = numbers.filter((number, i) => number === numbers[i - 1]);
    expect(twice.length).to.be.within(60, 140);
    expect(numbers.length).to.equal(1000 + twice.length);
  });

  it('reorders: those held back come later, all come', () => {
    const { numbers } = run({ reorder: 0.1, reorderDelay: 3 });
    expect([...numbers].sort((one, other) => one - other)).to.deep.equal(Array.from({ length: 1000 }, (_, i) => i));
    const overtaken = numbers.filter((number, i) => number < (numbers[i - 1] ?? -1)).length;
    expect(overtaken).to.be.within(60, 140);
  });

  it('flips exactly as many bits as it is told, in a copy', () => {
    const { scheduler, env } = bench();
    const [a, b] = link({ impair: { corrupt: 1, corruptBits: 1 } }, env).ends;
    let bits = 0;
    b.frames$.subscribe((frame) => {
      for (const byte of frame.bytes()) bits += byte.toString(2).replaceAll('0', '').length;
    });
    const frame = env.pool.alloc(100);
    frame.put(100);
    frame.slab.bytes.fill(0, frame.start, frame.end);
    for (let i = 0; i < 50; i++) a.sink.next(asTx(frame.retain()));
    scheduler.run();
    expect(bits).to.equal(50);
    expect(frame.bytes().every((byte) => byte === 0)).to.equal(true);
    frame.release();
    expect(env.pool.outstanding).to.equal(0);
  });

  it('loses what is sent and what is on its way while it is partitioned, in either direction or both', () => {
    const { scheduler, env } = bench();
    const wire = link({ impair: { delay: 10 } }, env);
    const [a, b] = wire.ends;
    const atA = arrivals(a);
    const atB = arrivals(b);
    const both = (number: number) => {
      send(a, env, number);
      send(b, env, number);
    };
    both(1);
    scheduler.runFor(5);
    wire.partition();
    both(2);
    scheduler.runFor(20);
    wire.heal();
    a.partition();
    both(3);
    scheduler.runFor(20);
    a.heal();
    both(4);
    scheduler.run();
    expect(atA.map(({ number }) => number)).to.deep.equal([3, 4]);
    expect(atB.map(({ number }) => number)).to.deep.equal([4]);
    expect(env.drops.toJSON()).to.deep.equal({ 'link-partition': 5 });
  });

  it('loses what is on its way when it is cut, and what it begins to send while it is, also where that ends before it would arrive', () => {
    const { scheduler, env } = bench();
    // 10 ms a frame; of the held-back ones one more is on its way.
    const wire = link({ impair: { rate: 80_000, delay: 50, reorder: 0.5, reorderDelay: 5 } }, env);
    const [a, b] = wire.ends;
    const seen = arrivals(b);
    for (let i = 0; i < 7; i++) send(a, env, i);
    scheduler.runFor(32);
    wire.partition();
    expect(env.drops.toJSON()).to.deep.equal({ 'link-partition': 4 });
    scheduler.runFor(10);
    wire.heal();
    scheduler.run();
    expect(env.drops.toJSON()).to.deep.equal({ 'link-partition': 5 });
    expect(seen.map(({ number }) => number).toSorted((one, other) => one - other)).to.deep.equal([5, 6]);
    expect(env.pool.outstanding).to.equal(0);
    expect(scheduler.pending).to.equal(0);
  });

  it('has nothing wait for what was lost when it was cut', () => {
    const { scheduler, env } = bench();
    const wire = link({ impair: { delay: 100 } }, env);
    const [a, b] = wire.ends;
    const seen = arrivals(b);
    send(a, env, 1);
    wire.partition();
    expect(scheduler.pending).to.equal(0);
    wire.heal();
    a.impair({ delay: 1 });
    send(a, env, 2);
    scheduler.run();
    expect(seen).to.deep.equal([{ number: 2, at: 1 }]);
  });

  it('is impaired in each direction as told', () => {
    const { scheduler, env } = bench();
    const [a, b] = link({ ends: ['a', 'b'], impair: { delay: 1 }, impairFrom: { b: { maxFrame: 99 } } }, env).ends;
    const atA = arrivals(a);
    const atB = arrivals(b);
    send(a, env, 1);
    send(b, env, 2);
    send(b, env, 3, 99);
    scheduler.run();
    expect(atA).to.deep.equal([{ number: 3, at: 0 }]);
    expect(atB).to.deep.equal([{ number: 1, at: 1 }]);
    expect(env.drops.toJSON()).to.deep.equal({ 'device-too-big': 1 });
  });

  it('drops what is on its way when it is closed, and leaves no timer', () => {
    const { scheduler, env } = bench();
    const wire = link({ impair: { delay: 10 } }, env);
    const [a, b] = wire.ends;
    send(a, env, 1);
    b.impair({});
    send(b, env, 2);
    void wire.close();
    expect(env.pool.outstanding).to.equal(0);
    expect(scheduler.pending).to.equal(0);
    expect(env.drops.toJSON()).to.deep.equal({ disposed: 1, 'device-down': 1 });
  });

  for (const number of [1, 2]) {
    it(`drops each frame once that has not been delivered when its receiver closes it on frame ${number} of three`, () => {
      const { scheduler, env } = bench();
      const wire = link({}, env);
      const [a, b] = wire.ends;
      const seen: number[] = [];
      b.frames$.subscribe((frame) => {
        seen.push(frame.slab.view.getUint16(frame.end - 2));
        if (seen.length === number) void wire.close();
      });
      for (const sent of [1, 2, 3]) send(a, env, sent);
      scheduler.run();
      expect(seen).to.deep.equal([1, 2].slice(0, number));
      expect(env.drops.toJSON()).to.deep.equal({ 'device-down': 3 - number });
      expect(env.pool.outstanding).to.equal(0);
      expect(scheduler.pending).to.equal(0);
    });
  }

  it('gives the same trace for the same seed, and another for another', () => {
    const hash = (seed: number) =>
      createHash('sha256')
        .update(JSON.stringify(run(ALL, 500, bench(seed)).seen))
        .digest('hex');
    expect(hash(7)).to.equal(hash(7));
    expect(hash(7)).not.to.equal(hash(8));
  });

  it('accounts for every frame, whatever is wrong with it', () => {
    const probability = fc.constantFrom(0, 0.2, 1);
    const amount = fc.constantFrom(0, 7, 30);
    const impairments = fc.record({
      loss: fc.constantFrom(0, 0.2),
      duplicate: probability,
      corrupt: probability,
      reorder: probability,
      delay: amount,
      jitter: amount,
      rate: fc.constantFrom(1e5, 1e9),
      queue: fc
        .record({ kind: fc.constantFrom('drop-tail', 'red', 'codel'), frames: amount })
        .map((queue) => queue as QueueOptions),
      seed: fc.nat(1000),
    });
    fc.assert(
      fc.property(impairments, (settings) => {
        const count = 50;
        const { seen, drops } = run(settings, count);
        const dropped = Object.values(drops).reduce((sum, n) => sum + n, 0);
        if (settings.duplicate === 0) expect(seen.length + dropped).to.equal(count);
        else expect(seen.length + dropped).to.be.within(count, 2 * count);
      }),
      { numRuns: 60 },
    );
  });

  it('refuses what cannot be', () => {
    const { env } = bench();
    const bad: LinkOptions[] = [
      { ends: 1 },
      { ends: ['a', 'a'] },
      { impair: { loss: 1.1 } },
      { impair: { loss: Number.NaN } },
      { impair: { burstLoss: { fail: -1, recover: 1 } } },
      { impair: { delay: -1 } },
      { impair: { rate: 0 } },
      { impair: { queue: { kind: 'codel' }, queueFrames: 3 } },
    ];
    for (const options of bad) {
      expect(() => link(options, env), JSON.stringify(options))
        .to.throw()
        .with.property('code', 'ERR_INVALID_OPTION');
    }
  });
});
