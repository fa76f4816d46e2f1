/** What allocations cost: nodes of the tree that are looked at, and nodes that there are; neither depends on the machine. */

import { expect } from 'chai';
import { SeededRandom } from '../../../lib/core/random.js';
import { AddressPool, AllocError, AllocFlag, type AllocRequest } from '../../../lib/ergot/index.js';

/** The tree has as many levels, whatever is in it. */
const LEVELS = 32;
const COUNTS = [1_000, 10_000, 100_000] as const;
const MEASURED = 300;

/** How often nodes of a pool's tree are read in `run`; undefined if the tree grew in it, which doubles its memory and copies it. */
function reads(pool: AddressPool, run: () => void): number | undefined {
  const space = pool['space'];
  const nodes = space['left'];
  let count = 0;
  const counted = new Proxy(nodes, {
    get(target, key): unknown {
      count++;
      return Reflect.get(target, key, target);
    },
    set: (target, key, value) => Reflect.set(target, key, value, target),
  });
  space['left'] = counted;
  run();
  if (space['left'] !== counted) return undefined;
  space['left'] = nodes;
  return count;
}

interface Cost {
  readonly mean: number;
  readonly most: number;
}

/** Takes any one out of a list, whose order does not matter. */
function draw(live: number[], random: SeededRandom): number {
  const at = random.below(live.length);
  const last = live.pop() ?? -1;
  if (at === live.length) return last;
  const drawn = live[at] ?? -1;
  live[at] = last;
  return drawn;
}

/** A pool of 32 bits with allocations of `lens` in it, some of which were taken back, so that holes are everywhere. */
function crowded(
  count: number,
  random: SeededRandom,
  request: () => AllocRequest,
): { pool: AddressPool; live: number[] } {
  // Who allows unaligned places gets the lowest run.
  const pool = new AddressPool({ packed: true });
  pool.add(0, 32);
  const live: number[] = [];
  const allocate = () => {
    const made = pool.allocate([request()]);
    if (typeof made === 'number') throw new Error('no space');
    live.push(...made.map(({ first }) => first));
  };
  while (live.length < count) allocate();
  for (let i = 0; i < count / 4; i++) {
    expect(pool.release(draw(live, random))).to.equal(true);
  }
  while (live.length < count) allocate();
  return { pool, live };
}

/** What it costs to take one back and to give another, in a pool that has `count`. */
function costs(count: number, lens: number, flags: number): { give: Cost; take: Cost; nodes: number } {
  const random = new SeededRandom(count);
  const request = () => ({ len: 1 + random.below(lens), flags });
  const { pool, live } = crowded(count, random, request);
  const given: number[] = [];
  const taken: number[] = [];
  for (let i = 0; i < MEASURED; i++) {
    const gone = draw(live, random);
    taken.push(reads(pool, () => expect(pool.release(gone)).to.equal(true)) ?? 0);
    const count = reads(pool, () => {
      const made = pool.allocate([request()]);
      if (typeof made === 'number') throw new Error('no space');
      live.push(...made.map(({ first }) => first));
    });
    if (count !== undefined) given.push(count);
  }
  const cost = (all: number[]) => ({
    mean: all.reduce((sum, one) => sum + one, 0) / all.length,
    most: Math.max(...all),
  });
  return { give: cost(given), take: cost(taken), nodes: pool.nodes };
}

describe('the cost of an allocation', () => {
  for (const [name, lens, flags] of [
    ['of one size', 1, 0],
    ['of all sizes', 12, 0],
    ['of all sizes, unaligned', 12, AllocFlag.AllowUnaligned],
  ] as const) {
    it(`is that of a way down a tree and up again, beside 1,000 as beside 100,000 ${name}`, () => {
      const all = COUNTS.map((count) => costs(count, lens, flags));
      for (const [i, { give, take, nodes }] of all.entries()) {
        const count = COUNTS[i] ?? 0;
        // Down to find it, and for each edge of it down and up again, where what is below each node is summed up.
        expect(give.most, `${count}: most`).to.be.below(6 * LEVELS);
        expect(take.most, `${count}: most`).to.be.below(5 * LEVELS);
        // Ten times as many need three or four levels more, and nothing else.
        const before = all[i - 1] ?? { give, take };
        expect(give.mean - before.give.mean, `${count}: grown`).to.be.below(6 * Math.log2(10));
        expect(take.mean - before.take.mean, `${count}: grown`).to.be.below(5 * Math.log2(10));
        expect(nodes, `${count}: nodes`).to.be.below(4 * count + 2 * LEVELS);
      }
    });
  }

  it('has no more nodes after many of them than the allocations that are left need', () => {
    const pool = new AddressPool();
    pool.add(0, 24);
    const random = new SeededRandom(3);
    const live: number[] = [];
    let most = 0;
    for (let i = 0; i < 200_000; i++) {
      if (live.length < 1_000 || (live.length < 2_000 && random.below(2) === 0)) {
        const made = pool.allocate([{ len: 1 + random.below(4), flags: random.below(4) }]);
        if (typeof made === 'number') throw new Error('no space');
        for (const { first } of made) live.push(first);
      } else {
        if (!pool.release(draw(live, random))) throw new Error('not given');
      }
      most = Math.max(most, pool.nodes);
    }
    expect(most).to.be.below(2 * 2_000 + 2 * LEVELS);
    // Memory is that of the most nodes that there were at once, rounded up to a power of two.
    expect(pool['space']['left']).to.have.lengthOf.at.most(8_192);
    for (const first of live) pool.release(first);
    expect(pool).to.include({ free: 2 ** 24, allocations: 0, nodes: 8 });
  });

  it('is no more where the answer is no', () => {
    const random = new SeededRandom(5);
    const { pool } = crowded(10_000, random, () => ({ len: 1 + random.below(4), flags: 0 }));
    pool.reserve(2 ** 31, 31);
    for (const flags of [0, AllocFlag.AllowUnaligned]) {
      const read = reads(pool, () => {
        expect(pool.allocate([{ len: 32, flags }])).to.equal(AllocError.NoSpace);
      });
      expect(read).to.equal(0);
      // One that fits is given, and taken back.
      const both = reads(pool, () => {
        expect(
          pool.allocate([
            { len: 5, flags },
            { len: 32, flags },
          ]),
        ).to.equal(AllocError.NoSpace);
      });
      expect(both).to.equal(0);
      const undone = reads(pool, () => {
        expect(
          pool.allocate([
            { len: 30, flags },
            { len: 30, flags },
          ]),
        ).to.equal(AllocError.NoSpace);
      });
      expect(undone).to.be.below(12 * LEVELS);
    }
  });
});
