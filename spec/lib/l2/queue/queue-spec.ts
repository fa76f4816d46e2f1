import { expect } from 'chai';
import { UsageError } from '../../../../lib/core/errors.js';
import { type Frame, FramePool } from '../../../../lib/core/frame.js';
import { SeededRandom } from '../../../../lib/core/random.js';
import { CoDel } from '../../../../lib/l2/queue/codel.js';
import type { Queue, QueueOwner } from '../../../../lib/l2/queue/queue.js';
import type { RedOptions } from '../../../../lib/l2/queue/red.js';
import { checkQueue, type QueueOptions, queueOf } from '../../../../lib/l2/queue/queue-of.js';
import { environment } from '../../../../operators/time/environment.js';
import { SimulationScheduler } from '../../../../operators/time/simulation-scheduler.js';

const ECT = 2;
const CE = 3;

interface Bench extends QueueOwner {
  /** A raw IPv6 packet. */
  frame(length?: number, ecn?: number): Frame;
}

function bench(seed = 1): Bench {
  const env = environment({ scheduler: new SimulationScheduler(), seed, pool: new FramePool({ poison: true }) });
  const random = new SeededRandom(seed);
  return {
    env,
    name: 'q',
    chance: (probability) => random.float() < probability,
    medium: () => 'ip',
    frame: (length = 1000, ecn = 0) => {
      const frame = env.pool.alloc(length);
      frame.slab.view.setUint16(frame.put(length), 0x6000 | (ecn << 4));
      return frame;
    },
  };
}

const isMarked = (frame: Frame) => ((frame.slab.view.getUint16(frame.start) >>> 4) & 3) === CE;
const dropsOf = (owner: Bench) => owner.env.drops.toJSON();

function empty(queue: Queue): void {
  for (const frame of queue.clear()) frame.release();
  expect([queue.frames, queue.bytes]).to.deep.equal([0, 0]);
}

describe('queues', () => {
  const kinds: readonly QueueOptions[] = [
    { kind: 'drop-tail', frames: 3, bytes: 2500 },
    { kind: 'red', frames: 3, bytes: 2500 },
    { kind: 'codel', frames: 3, bytes: 2500 },
  ];
  for (const options of kinds) {
    it(`${options.kind} keeps order and its limits in frames and in bytes`, () => {
      const owner = bench();
      const queue = queueOf(options, owner);
      for (let i = 0; i < 4; i++) queue.push(owner.frame(100 + i), 0, 1e6);
      expect([queue.frames, queue.bytes]).to.deep.equal([3, 303]);
      expect(dropsOf(owner)).to.deep.equal({ 'link-queue-full': 1 });
      const lengths: number[] = [];
      for (let frame = queue.pop(0); frame !== undefined; frame = queue.pop(0)) {
        lengths.push(frame.length);
        frame.release();
      }
      expect(lengths).to.deep.equal([100, 101, 102]);
      for (let i = 0; i < 3; i++) queue.push(owner.frame(1000), 0, 1e6);
      expect([queue.frames, queue.bytes]).to.deep.equal([2, 2000]);
      empty(queue);
      expect(owner.env.pool.outstanding).to.equal(0);
    });
  }

  it('refuses what cannot be', () => {
    const bad: object[] = [
      { kind: 'lifo' },
      { kind: 'drop-tail', frames: -1 },
      { kind: 'drop-tail', bytes: Number.NaN },
      { kind: 'red', min: 15, max: 15 },
      { kind: 'red', min: 16 },
      { kind: 'red', probability: 1.1 },
      { kind: 'red', weight: 0 },
      { kind: 'codel', interval: 0 },
      { kind: 'codel', target: -1 },
    ];
    for (const options of bad) {
      expect(() => checkQueue(options as QueueOptions), JSON.stringify(options)).to.throw(UsageError);
    }
    for (const options of kinds) checkQueue(options);
  });
});

describe('RED', () => {
  /** Offers frames to a queue that is kept at `length`, once its average has come near that. */
  function offered(length: number, options: Partial<RedOptions> = {}, ecn = 0) {
    const owner = bench();
    const red = { kind: 'red', weight: 0.05, frames: 100, ...options } as const;
    const queue = queueOf(red, owner);
    let hits = 0;
    let sinceLast = 0;
    const gaps: number[] = [];
    for (let i = 0; i < 4000; i++) {
      const before = queue.frames;
      queue.push(owner.frame(100, ecn), 0, 1e6);
      const kept = queue.frames > before;
      const sent = queue.frames > length ? queue.pop(0) : undefined;
      const hit = kept ? sent !== undefined && isMarked(sent) : true;
      sent?.release();
      if (i < 500) continue;
      sinceLast++;
      if (!hit) continue;
      hits++;
      gaps.push(sinceLast);
      sinceLast = 0;
    }
    empty(queue);
    expect(owner.env.pool.outstanding).to.equal(0);
    return { share: hits / 3500, gaps, drops: dropsOf(owner) };
  }

  it('drops nothing below its first threshold', () => {
    expect(offered(4).drops).to.deep.equal({});
  });

  it('drops the likelier the longer the queue is on average, evenly spread', () => {
    const ten = offered(10);
    // Half way to the second threshold the probability is 1 in 20: gaps are uniform from 1 to 20.
    expect(ten.share).to.be.within(0.08, 0.11);
    expect(Math.max(...ten.gaps)).to.be.at.most(21);
    expect(offered(13).share).to.be.greaterThan(ten.share);
    expect(Object.keys(ten.drops)).to.deep.equal(['link-red']);
  });

  it('goes on gently beyond the second threshold, or drops everything', () => {
    // What is dropped does not keep the queue long: it settles where as much is dropped as is too much.
    expect(offered(22).share).to.be.within(0.3, 0.9);
    const owner = bench();
    const queue = queueOf({ kind: 'red', weight: 1, gentle: false }, owner);
    for (let i = 0; i < 40; i++) queue.push(owner.frame(100), 0, 1e6);
    expect(queue.frames).to.be.at.most(16);
    empty(queue);
  });

  it('marks instead of dropping where the ends understand it (RFC 3168 5)', () => {
    const marked = offered(10, { ecn: true }, ECT);
    expect(marked.share).to.be.within(0.06, 0.13);
    expect(marked.drops).to.deep.equal({});
    expect(Object.keys(offered(10, { ecn: true }).drops)).to.deep.equal(['link-red']);
    expect(offered(10, {}, ECT).drops).to.have.property('link-red');
  });

  it('drops what it could mark once marks do not help (RFC 3168 7)', () => {
    const owner = bench();
    const queue = queueOf({ kind: 'red', weight: 1, ecn: true }, owner);
    for (let i = 0; i < 60; i++) queue.push(owner.frame(100, ECT), 0, 1e6);
    expect(queue.frames).to.equal(30);
    expect(dropsOf(owner)).to.deep.equal({ 'link-red': 30 });
    empty(queue);
  });

  it('forgets while the wire is idle, by what could have been sent', () => {
    const owner = bench();
    const queue = queueOf({ kind: 'red', weight: 0.5 }, owner);
    const fill = (now: number) => {
      for (let i = 0; i < 12; i++) queue.push(owner.frame(100), now, 8e6);
    };
    const drain = (now: number) => {
      for (let frame = queue.pop(now); frame !== undefined; frame = queue.pop(now)) frame.release();
    };
    fill(0);
    drain(0);
    // A frame a millisecond: after 20 ms the average is next to nothing again.
    queue.push(owner.frame(100), 20, 8e6);
    drain(20);
    const before = dropsOf(owner)['link-red'] ?? 0;
    for (let i = 0; i < 5; i++) queue.push(owner.frame(100), 20, 8e6);
    expect(dropsOf(owner)['link-red'] ?? 0).to.equal(before);
    empty(queue);
  });

  it('drops nothing on a wire without a limit that keeps it empty', () => {
    const owner = bench();
    const queue = queueOf({ kind: 'red' }, owner);
    for (let now = 0; now < 10; now++) {
      for (let i = 0; i < 2; i++) {
        queue.push(owner.frame(100), now, Number.POSITIVE_INFINITY);
        queue.pop(now)?.release();
      }
    }
    expect(dropsOf(owner)).to.deep.equal({});
    empty(queue);
  });
});

describe('CoDel', () => {
  /** A queue that gets `arrivals` frames each ms and sends one, from 0 to `until` ms; returns waits and when frames were hit. */
  function overload(options: { ecn?: boolean }, ecn: number, until: number, burst = 60) {
    const owner = bench();
    const queue = new CoDel(owner, { kind: 'codel', ...options });
    const hits: number[] = [];
    for (let now = 0; now < until; now++) {
      for (let i = 0; i < (now === 0 ? burst : 1); i++) queue.push(owner.frame(1000, ecn), now);
      const before = owner.env.drops.total;
      const frame = queue.pop(now);
      if (owner.env.drops.total > before || (frame !== undefined && isMarked(frame))) hits.push(now);
      frame?.release();
    }
    const left = queue.frames;
    empty(queue);
    expect(owner.env.pool.outstanding).to.equal(0);
    return { hits, left, drops: dropsOf(owner) };
  }

  it('bears a burst for an interval, then drops by the control law until the wait is short (RFC 8289 3.3, 5.5)', () => {
    const { hits, left } = overload({}, 0, 2000);
    // The wait reaches the target after 5 ms and is over it for 100 ms; then 100, 100/sqrt(2), 100/sqrt(3) ms and so on.
    expect(hits.slice(0, 4)).to.deep.equal([105, 205, 276, 334]);
    expect(left).to.be.within(2, 8);
  });

  it('drops nothing of a burst that drains within the interval, nor below the target', () => {
    expect(overload({}, 0, 1000, 5).drops).to.deep.equal({});
    const owner = bench();
    const queue = new CoDel(owner, { kind: 'codel' });
    for (let i = 0; i < 90; i++) queue.push(owner.frame(), 0);
    for (let now = 0; now < 90; now++) queue.pop(now)?.release();
    expect(dropsOf(owner)).to.deep.equal({});
    expect(queue.pop(100)).to.equal(undefined);
  });

  it('marks instead of dropping where the ends understand it (RFC 8289 5.5, RFC 3168 5)', () => {
    const { hits, drops } = overload({ ecn: true }, ECT, 500);
    expect(hits.slice(0, 3)).to.deep.equal([105, 205, 276]);
    expect(drops).to.deep.equal({});
    expect(overload({ ecn: true }, 0, 500).drops).to.deep.equal({ 'link-codel': 7 });
  });

  it('marks a copy of what somebody else holds', () => {
    const owner = bench();
    const queue = new CoDel(owner, { kind: 'codel', ecn: true, target: 0, interval: 1 });
    const held = owner.frame(1000, ECT);
    for (let i = 0; i < 4; i++) queue.push(i === 1 ? held.retain() : owner.frame(1000, ECT), 0);
    queue.pop(0)?.release();
    const sent = queue.pop(10);
    expect(sent).to.not.equal(held);
    expect(sent !== undefined && isMarked(sent)).to.equal(true);
    expect(isMarked(held)).to.equal(false);
    sent?.release();
    held.release();
    empty(queue);
    expect(owner.env.pool.outstanding).to.equal(0);
  });
});
