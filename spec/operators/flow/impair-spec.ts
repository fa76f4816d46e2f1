import { expect } from 'chai';
import { Subject, take } from 'rxjs';
import { DropReason } from '../../../lib/core/drops.js';
import { asRx, asTx, ChecksumState, FramePool, GsoType, type RxFrame, type TxFrame } from '../../../lib/core/frame.js';
import { demux } from '../../../operators/flow/demux.js';
import { impair, impairOutgoing } from '../../../operators/flow/impair.js';
import { environment } from '../../../operators/time/environment.js';
import { SimulationScheduler } from '../../../operators/time/simulation-scheduler.js';
import { BULK, parse, superSegment } from '../../lib/wire/super-segments.js';

function bench() {
  const scheduler = new SimulationScheduler();
  return { scheduler, env: environment({ scheduler, seed: 1, pool: new FramePool({ poison: true }) }) };
}

describe('impair', () => {
  it('keeps received frames alive while they are on their way, and releases them afterwards', () => {
    const { scheduler, env } = bench();
    const source = new Subject<RxFrame>();
    const seen: number[] = [];
    source.pipe(impair({ delay: 10 }, env)).subscribe((frame) => {
      expect(frame.exclusive).to.equal(true);
      seen.push(frame.slab.bytes[frame.start] ?? 0, scheduler.now());
    });
    const frame = env.pool.alloc(1);
    frame.slab.bytes[frame.put(1)] = 42;
    source.next(asRx(frame));
    frame.release();
    expect(env.pool.outstanding).to.equal(1);
    scheduler.run();
    expect(seen).to.deep.equal([42, 10]);
    expect(env.pool.outstanding).to.equal(0);
  });

  for (const [what, impairments, last] of [
    ['on its way', { delay: 10 }, 10],
    ['held back', { reorder: 1, reorderDelay: 7 }, 7],
    ['that waits', { rate: 8000 }, 180],
  ] as const) {
    it(`restores the range of a frame ${what} that somebody else narrows meanwhile`, () => {
      const { scheduler, env } = bench();
      const source = new Subject<RxFrame>();
      const all = demux(source, () => 0, {}, env);
      const seen: number[] = [];
      all
        .on(0)
        .pipe(impair(impairments, env))
        .subscribe((frame) => seen.push(frame.length));
      // As `ethernet` does.
      all.on(0).subscribe((frame) => {
        frame.start += 14;
        frame.end -= 6;
      });
      for (let i = 0; i < 3; i++) {
        const frame = env.pool.alloc(60);
        frame.put(60);
        source.next(asRx(frame));
        frame.release();
      }
      scheduler.run();
      expect(seen).to.deep.equal([60, 60, 60]);
      expect(scheduler.now()).to.equal(last);
      expect(env.pool.outstanding).to.equal(0);
    });
  }

  it('counts what waits by what it was when it came', () => {
    const { scheduler, env } = bench();
    const source = new Subject<RxFrame>();
    let seen = 0;
    source.pipe(impair({ rate: 480_000, queueBytes: 120 }, env)).subscribe(() => seen++);
    source.subscribe((frame) => (frame.start += 14));
    for (let i = 0; i < 100; i++) {
      // The first is sent at once, two wait.
      for (let j = 0; j < 3; j++) {
        const frame = env.pool.alloc(60);
        frame.put(60);
        source.next(asRx(frame));
        frame.release();
      }
      scheduler.run();
    }
    expect(seen).to.equal(300);
    expect(env.drops.toJSON()).to.deep.equal({});
  });

  it('drops what is left of a super-segment when its subscriber leaves at one of the packets', () => {
    for (const impairments of [{}, { rate: 1e9 }, { delay: 5 }]) {
      const { scheduler, env } = bench();
      const source = new Subject<TxFrame>();
      let seen = 0;
      source.pipe(impairOutgoing(impairments, env), take(1)).subscribe((frame) => {
        seen++;
        frame.release();
      });
      source.next(asTx(superSegment(BULK, env.pool)));
      scheduler.run();
      expect(seen).to.equal(1);
      expect(env.drops.toJSON()).to.deep.equal({ disposed: 2 });
      expect([env.pool.outstanding, scheduler.pending]).to.deep.equal([0, 0]);
    }
  });

  it('does to each packet of a super-segment by itself what it does, in both directions', () => {
    const { scheduler, env } = bench();
    const source = new Subject<RxFrame>();
    const sizes: number[] = [];
    source.pipe(impair({ loss: 0.5, maxFrame: 1514 }, env)).subscribe((frame) => {
      sizes.push(parse(frame, 'ethernet').payload.length);
    });
    for (let i = 0; i < 20; i++) {
      const frame = asRx(superSegment(BULK, env.pool));
      source.next(frame);
      frame.release();
    }
    const tx = new Subject<TxFrame>();
    tx.pipe(impairOutgoing({ loss: 0.5 }, env)).subscribe((frame) => {
      sizes.push(parse(frame, 'ethernet').payload.length);
      frame.release();
    });
    for (let i = 0; i < 20; i++) tx.next(asTx(superSegment(BULK, env.pool)));
    scheduler.run();
    expect(sizes.length + env.drops.count(DropReason.LinkLoss)).to.equal(120);
    expect(sizes.length % 3).not.to.equal(0);
    expect(new Set(sizes)).to.deep.equal(new Set([1448, 1104]));
    expect(env.pool.outstanding).to.equal(0);
  });

  it('leaves nobody in the belief that the checksum of a corrupted packet is right', () => {
    const { scheduler, env } = bench();
    const source = new Subject<TxFrame>();
    let seen = 0;
    source.pipe(impairOutgoing({ corrupt: 1, seed: 3 }, env)).subscribe((frame) => {
      seen++;
      expect(frame.checksum).to.equal(ChecksumState.None);
      frame.release();
    });
    source.next(asTx(superSegment(BULK, env.pool)));
    const partial = superSegment({ ...BULK, gsoSize: 0 }, env.pool);
    partial.gsoType = GsoType.None;
    source.next(asTx(partial));
    scheduler.run();
    expect(seen).to.equal(4);
    expect(env.pool.outstanding).to.equal(0);
  });

  it('refuses a super-segment that cannot be cut', () => {
    const { env } = bench();
    const source = new Subject<TxFrame>();
    source.pipe(impairOutgoing({}, env)).subscribe(() => expect.fail('emitted'));
    source.next(asTx(superSegment({ ...BULK, gsoSize: 0 }, env.pool)));
    expect(env.drops.toJSON()).to.deep.equal({ 'super-segment-bad': 1 });
    expect(env.pool.outstanding).to.equal(0);
  });

  it('passes on at once where there is no delay', () => {
    const { env } = bench();
    const source = new Subject<RxFrame>();
    const seen: RxFrame[] = [];
    source.pipe(impair({}, env)).subscribe((frame) => seen.push(frame));
    const frame = asRx(env.pool.alloc(1));
    source.next(frame);
    expect(seen).to.deep.equal([frame]);
    frame.release();
    expect(env.pool.outstanding).to.equal(0);
  });

  it('drops what is on its way when its subscriber leaves or its source ends', () => {
    for (const end of ['unsubscribe', 'complete', 'error'] as const) {
      const { scheduler, env } = bench();
      const source = new Subject<RxFrame>();
      const subscription = source.pipe(impair({ delay: 10 }, env)).subscribe({ error: () => undefined });
      const frame = asRx(env.pool.alloc(1));
      source.next(frame);
      frame.release();
      if (end === 'unsubscribe') subscription.unsubscribe();
      else if (end === 'complete') source.complete();
      else source.error(new Error('broken'));
      expect(env.pool.outstanding, end).to.equal(0);
      expect(scheduler.pending, end).to.equal(0);
      expect(env.drops.toJSON(), end).to.deep.equal({ disposed: 1 });
    }
  });

  it('hands on the references of outgoing frames, and releases those that it loses', () => {
    const { scheduler, env } = bench();
    const source = new Subject<TxFrame>();
    let seen = 0;
    source.pipe(impairOutgoing({ delay: 5, loss: 0.5, duplicate: 0.5 }, env)).subscribe((frame) => {
      seen++;
      frame.release();
    });
    for (let i = 0; i < 100; i++) source.next(asTx(env.pool.alloc(100)));
    scheduler.run();
    expect(seen).to.be.greaterThan(40);
    expect(env.drops.toJSON()['link-loss']).to.be.within(30, 70);
    expect(env.pool.outstanding).to.equal(0);
  });

  it('has a state of its own for every subscription', () => {
    const { env } = bench();
    const source = new Subject<RxFrame>();
    const impaired = source.pipe(impair({ seed: 5, loss: 0.5 }, env));
    const seen: number[][] = [[], []];
    for (const numbers of seen) impaired.subscribe((frame) => numbers.push(frame.mark));
    for (let i = 0; i < 50; i++) {
      const frame = asRx(env.pool.alloc(1));
      frame.mark = i;
      source.next(frame);
      frame.release();
    }
    expect(seen[0]).to.deep.equal(seen[1]);
    expect(seen[0]?.length).to.be.within(10, 40);
  });
});
