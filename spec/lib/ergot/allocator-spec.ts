import { expect } from 'chai';
import * as fc from 'fast-check';
import { UsageError } from '../../../lib/core/errors.js';
import { SeededRandom } from '../../../lib/core/random.js';
import {
  AddressAllocator,
  AddressPool,
  AllocError,
  AllocFlag,
  type Allocation,
  type AllocRequest,
  type Grow,
  PhoneAddress,
  PhoneRange,
} from '../../../lib/ergot/index.js';

const { AllowMulticast, AllowUnaligned } = AllocFlag;
const ask = (...lens: number[]): AllocRequest[] => lens.map((len) => ({ len, flags: 0 }));
const unaligned = (...lens: number[]): AllocRequest[] => lens.map((len) => ({ len, flags: AllowUnaligned }));

/** A pool of one range of the given scope, from 0 on. */
function poolOf(len: number, options = {}): AddressPool {
  const pool = new AddressPool(options);
  expect(pool.add(0, len)).to.equal(true);
  return pool;
}

/** What was given, as ranges of ^10; or the error. */
function ranges(result: readonly Allocation[] | AllocError): string[] | AllocError {
  if (typeof result === 'number') return result;
  return result.map(({ first, len }) => new PhoneRange(new PhoneAddress(first, 10), len).toString());
}

/** A pool that looks at every number. */
class NaivePool {
  readonly free = Array.from({ length: 256 }, () => false);
  private readonly packed: boolean;

  constructor(packed: boolean) {
    this.packed = packed;
  }

  private lowest(len: number, step: number): number {
    for (let at = 0; at + 2 ** len <= 256; at += step) {
      if (this.free.slice(at, at + 2 ** len).every(Boolean)) return at;
    }
    return -1;
  }

  private place({ len, flags }: AllocRequest): number {
    const aligned = this.lowest(len, 2 ** len);
    if (flags !== AllowUnaligned) return aligned;
    return this.packed || aligned < 0 ? this.lowest(len, 1) : aligned;
  }

  allocate(requests: readonly AllocRequest[]): Allocation[] | undefined {
    const before = [...this.free];
    const made = new Map<AllocRequest, number>();
    for (const request of [...requests].sort((a, b) => b.len - a.len)) {
      const first = this.place(request);
      if (first < 0) {
        before.forEach((free, at) => (this.free[at] = free));
        return undefined;
      }
      this.free.fill(false, first, first + 2 ** request.len);
      made.set(request, first);
    }
    return requests.map((request) => ({ first: made.get(request) ?? -1, ...request }));
  }
}

describe('AddressPool', () => {
  describe('splits 000..3FF after a ^7 for own sockets, as proposal 0145 says', () => {
    const table: readonly (readonly [string, AllocRequest[], string[]])[] = [
      ['one ^9', ask(9), ['200-3FF^10']],
      ['three ^8', ask(8, 8, 8), ['100-1FF^10', '200-2FF^10', '300-3FF^10']],
      [
        'seven ^7',
        ask(7, 7, 7, 7, 7, 7, 7),
        ['080-0FF^10', '100-17F^10', '180-1FF^10', '200-27F^10', '280-2FF^10', '300-37F^10', '380-3FF^10'],
      ],
      ['^6, ^6, ^8, ^9', ask(6, 6, 8, 9), ['080-0BF^10', '0C0-0FF^10', '100-1FF^10', '200-3FF^10']],
    ];
    for (const [name, requests, expected] of table) {
      for (const atOnce of [true, false]) {
        it(`${name}, ${atOnce ? 'in one request' : 'one after the other'}`, () => {
          const pool = poolOf(10);
          expect(ranges(pool.allocate(ask(7)))).to.deep.equal(['000-07F^10']);
          const got = atOnce
            ? ranges(pool.allocate(requests))
            : requests.map((one) => ranges(pool.allocate([one]))).flat();
          expect(got).to.deep.equal(expected);
        });
      }
    }

    it('a ^9 at 100..2FF, unaligned, where addresses are hard-coded', () => {
      const pool = poolOf(10);
      pool.allocate(ask(7));
      expect(pool.reserve(0x100, 9)).to.equal(true);
      expect(ranges(pool.allocate(ask(8)))).to.deep.equal(['300-3FF^10']);
      expect(ranges(pool.allocate(ask(9)))).to.equal(AllocError.NoSpace);
    });
  });

  it('lays out the network of proposal 0145 when it is packed', () => {
    const A = poolOf(10, { packed: true });
    const placed = (pool: AddressPool, lens: number[]) =>
      lens.map((len) => ranges(pool.allocate(unaligned(len)))).flat();
    expect(placed(A, [7, 8, 9, 7])).to.deep.equal(['000-07F^10', '080-17F^10', '180-37F^10', '380-3FF^10']);
    expect(placed(poolOf(9, { packed: true }), [7, 8, 6])).to.deep.equal(['000-07F^10', '080-17F^10', '180-1BF^10']);
    expect(A.free).to.equal(0);
  });

  it('gives unaligned places only to who allows them, and only when it must', () => {
    const pool = poolOf(10);
    expect(pool.reserve(0, 7)).to.equal(true);
    expect(ranges(pool.allocate(unaligned(8)))).to.deep.equal(['100-1FF^10']);
    expect(pool.reserve(0x3c0, 6)).to.equal(true);
    expect(ranges(pool.allocate(ask(8)))).to.deep.equal(['200-2FF^10']);
    pool.release(0x100);
    expect(pool.reserve(0x1c0, 6)).to.equal(true);
    expect(ranges(pool.allocate(ask(8)))).to.equal(AllocError.NoSpace);
    expect(ranges(pool.allocate(unaligned(8)))).to.deep.equal(['080-17F^10']);
  });

  it('gives all or nothing', () => {
    const pool = poolOf(10);
    const before = pool.nodes;
    for (const requests of [ask(9, 9, 1), ask(10, 10), ask(1, 10), unaligned(9, 8, 8, 1)]) {
      expect(pool.allocate(requests)).to.equal(AllocError.NoSpace);
      expect(pool).to.include({ free: 1024, allocations: 0, nodes: before });
    }
    expect(pool.allocate([])).to.deep.equal([]);
    expect(ranges(pool.allocate(ask(1, 9, 8)))).to.deep.equal(['300-301^10', '000-1FF^10', '200-2FF^10']);
  });

  it('refuses what is no request', () => {
    const pool = poolOf(10);
    for (const len of [0, 33, -1, 1.5, Number.NaN, 255])
      expect(pool.allocate(ask(1, len))).to.equal(AllocError.InvalidLength);
    for (const flags of [4, -1, 255, 0.5, 2 ** 32, Number.NaN]) {
      expect(pool.allocate([{ len: 1, flags }])).to.equal(AllocError.InvalidFlags);
    }
    expect(pool.allocate(ask(...Array.from({ length: 65 }, () => 1)))).to.equal(AllocError.TooMany);
    expect(pool.allocate(ask(11))).to.equal(AllocError.NoSpace);
    expect(pool.free).to.equal(1024);
    for (const minimum of [0, 33]) {
      expect(() => new AddressPool({ minimum }))
        .to.throw(UsageError)
        .with.property('code', 'ERR_INVALID_OPTION');
    }
  });

  it('may give more than what was asked for, and remembers flags', () => {
    const pool = poolOf(10, { minimum: 4 });
    const given = pool.allocate([
      { len: 1, flags: AllowMulticast },
      { len: 6, flags: AllowMulticast | AllowUnaligned },
    ]);
    expect(given).to.deep.equal([
      { first: 0x40, len: 4, flags: 1 },
      { first: 0, len: 6, flags: 3 },
    ]);
    expect(pool.at(0x40)).to.deep.equal({ first: 0x40, len: 4, flags: 1 });
    expect(pool.at(0x41)).to.equal(undefined);
  });

  it('takes back what it gave, once, and gives it again', () => {
    const pool = poolOf(10);
    pool.allocate(ask(8, 8, 8, 8));
    expect(pool.allocate(ask(1))).to.equal(AllocError.NoSpace);
    expect([pool.release(0x101), pool.release(0x400), pool.release(0x100), pool.release(0x100)]).to.deep.equal([
      false,
      false,
      true,
      false,
    ]);
    expect(ranges(pool.allocate(ask(8)))).to.deep.equal(['100-1FF^10']);
    for (const first of [0, 0x100, 0x200, 0x300]) expect(pool.release(first)).to.equal(true);
    expect(ranges(pool.allocate(ask(10)))).to.deep.equal(['000-3FF^10']);
  });

  it('is of several ranges, and allocations may span those that touch', () => {
    const pool = new AddressPool();
    expect(pool.allocate(ask(1))).to.equal(AllocError.NoSpace);
    expect([pool.add(0x80, 7), pool.add(0x100, 7), pool.add(0x300, 8)]).to.deep.equal([true, true, true]);
    for (const [first, len] of [
      [0x17f, 1],
      [0x80, 7],
      [0, 32],
      [0x200, 0],
      [0, 33],
      [-2, 1],
      [2 ** 32 - 1, 1],
      [0.5, 1],
    ] as const) {
      expect(pool.add(first, len), `${first} ^${len}`).to.equal(false);
    }
    expect(pool).to.include({ size: 512, free: 512 });
    expect(ranges(pool.allocate([...ask(8), ...unaligned(8)]))).to.deep.equal(['300-3FF^10', '080-17F^10']);
    expect(pool.remove(0x300, 8)).to.equal(false);
    pool.release(0x300);
    expect([pool.remove(0x300, 7), pool.remove(0x300, 8), pool.remove(0x300, 8)]).to.deep.equal([false, true, false]);
    expect(pool).to.include({ size: 256, free: 0 });
  });

  it('has the whole space of 32 bits', () => {
    const pool = poolOf(32);
    expect(pool.allocate(ask(32))).to.deep.equal([{ first: 0, len: 32, flags: 0 }]);
    pool.release(0);
    expect(pool.reserve(2 ** 32 - 2, 1)).to.equal(true);
    expect(pool.allocate(ask(31, 31))).to.equal(AllocError.NoSpace);
    expect(pool.allocate(ask(31, 30))).to.deep.equal([
      { first: 0, len: 31, flags: 0 },
      { first: 2 ** 31, len: 30, flags: 0 },
    ]);
    expect(pool.free).to.equal(2 ** 30 - 2);
  });

  it('agrees with a pool that looks at every number', () => {
    const request = fc.record({ len: fc.integer({ min: 1, max: 6 }), flags: fc.constantFrom(0, AllowUnaligned) });
    const step = fc.oneof(
      { weight: 3, arbitrary: fc.array(request, { minLength: 1, maxLength: 3 }) },
      { weight: 2, arbitrary: fc.nat() },
    );
    const parts = fc.uniqueArray(fc.integer({ min: 0, max: 15 }), { minLength: 1, maxLength: 16 });
    fc.assert(
      fc.property(parts, fc.boolean(), fc.array(step, { maxLength: 60 }), (blocks, packed, steps) => {
        const pool = new AddressPool({ packed });
        const naive = new NaivePool(packed);
        const live: Allocation[] = [];
        for (const block of blocks) {
          pool.add(block * 16, 4);
          naive.free.fill(true, block * 16, block * 16 + 16);
        }
        for (const one of steps) {
          if (typeof one === 'number') {
            const [gone] = live.splice(one % Math.max(1, live.length), 1);
            if (gone === undefined) continue;
            expect(pool.release(gone.first)).to.equal(true);
            naive.free.fill(true, gone.first, gone.first + 2 ** gone.len);
          } else {
            const expected = naive.allocate(one);
            expect(pool.allocate(one)).to.deep.equal(expected ?? AllocError.NoSpace);
            live.push(...(expected ?? []));
          }
          expect(pool.free).to.equal(naive.free.filter(Boolean).length);
        }
        for (const { first } of live) pool.release(first);
        expect(pool.free).to.equal(pool.size);
      }),
    );
  });

  it('holds 100,000 allocations in memory that goes by them, and lets go of it', () => {
    const pool = poolOf(32);
    const random = new SeededRandom(1);
    const live: number[] = [];
    const allocate = () => {
      const made = pool.allocate([{ len: 1 + random.below(12), flags: random.below(4) }]);
      if (typeof made === 'number') throw new Error('no space');
      live.push(...made.map(({ first }) => first));
    };
    while (live.length < 100_000) allocate();
    for (let i = 0; i < 100_000; i++) {
      const at = random.below(live.length);
      const last = live.pop() ?? 0;
      const gone = at < live.length ? (live[at] ?? 0) : last;
      if (at < live.length) live[at] = last;
      expect(pool.release(gone)).to.equal(true);
      allocate();
    }
    expect(pool.allocations).to.equal(100_000);
    expect(new Set(live).size).to.equal(100_000);
    // Neighbours share all but the last few halves of the way to them.
    expect(pool.nodes).to.be.below(2 * 100_000);
    for (const first of live) pool.release(first);
    expect(pool).to.include({ free: 2 ** 32, allocations: 0, nodes: 0 });
  });
});

describe('AddressAllocator', () => {
  const later = () => {
    const calls: { len: number; answer: Parameters<Grow>[1] }[] = [];
    const grow: Grow = (len, answer) => calls.push({ len, answer });
    return { calls, grow };
  };
  const results = () => {
    const got: (string[] | AllocError)[] = [];
    return { got, answer: (result: readonly Allocation[] | AllocError) => got.push(ranges(result)) };
  };

  it('answers at once what the pool has, and NoSpace without a parent', () => {
    const { got, answer } = results();
    const allocator = new AddressAllocator(poolOf(8));
    allocator.request(ask(7), answer);
    allocator.request(ask(8), answer);
    allocator.request(ask(0), answer);
    expect(got).to.deep.equal([['000-07F^10'], AllocError.NoSpace, AllocError.InvalidLength]);
    expect([allocator.release(0), allocator.release(0)]).to.deep.equal([true, false]);
  });

  it('asks its parent before it says no, once for all who wait', () => {
    const { calls, grow } = later();
    const { got, answer } = results();
    const allocator = new AddressAllocator(poolOf(6), { grow, growBy: 8 });
    allocator.request(ask(6), answer);
    allocator.request(ask(7, 5), answer);
    allocator.request(ask(6), answer);
    expect(calls.map(({ len }) => len)).to.deep.equal([8]);
    expect(allocator.pending).to.equal(2);
    calls[0]?.answer({ first: 0x200, len: 8 });
    calls[0]?.answer({ first: 0x300, len: 8 });
    expect(got).to.deep.equal([['000-03F^10'], ['200-27F^10', '280-29F^10'], ['2C0-2FF^10']]);
    expect(allocator).to.include({ pending: 0 });
    expect(allocator.pool.size).to.equal(64 + 256);
  });

  it('asks for twice as much when what it got was of no use, and then gives up', () => {
    const { calls, grow } = later();
    const { got, answer } = results();
    const allocator = new AddressAllocator(new AddressPool(), { grow });
    allocator.request(ask(6), answer);
    calls[0]?.answer({ first: 0x020, len: 6 });
    calls[1]?.answer({ first: 0x0a0, len: 7 });
    allocator.request(ask(8), answer);
    calls[2]?.answer({ first: 0x120, len: 5 });
    calls[3]?.answer({ first: 0x140, len: 5 });
    expect(calls.map(({ len }) => len)).to.deep.equal([6, 7, 8, 9]);
    expect(got).to.deep.equal([['0C0-0FF^10'], AllocError.NoSpace]);
  });

  it('tells who waits what the parent said, and asks again for the next', () => {
    const { calls, grow } = later();
    const { got, answer } = results();
    const allocator = new AddressAllocator(poolOf(4), { grow });
    for (const len of [8, 7, 6, 5]) allocator.request(ask(len), answer);
    calls[0]?.answer(AllocError.NoSpace);
    calls[1]?.answer(AllocError.ParentUnavailable);
    calls[2]?.answer({ first: 8, len: 6 });
    calls[3]?.answer({ first: 0x40, len: 5 });
    expect(got).to.deep.equal([
      AllocError.ParentRefused,
      AllocError.ParentUnavailable,
      AllocError.ParentRefused,
      ['040-05F^10'],
    ]);
    expect(calls).to.have.length(4);
  });

  it('bears parents that throw, and closes', () => {
    const { got, answer } = results();
    const throwing = new AddressAllocator(new AddressPool(), {
      grow() {
        throw new Error('no parent');
      },
    });
    throwing.request(ask(1), answer);
    expect(got).to.deep.equal([AllocError.ParentUnavailable]);
    const { calls, grow } = later();
    const allocator = new AddressAllocator(new AddressPool(), { grow, maxWaiting: 2 });
    for (let i = 0; i < 3; i++) allocator.request(ask(1), answer);
    expect(got.slice(1)).to.deep.equal([AllocError.Busy]);
    allocator.close();
    allocator.request(ask(1), answer);
    calls[0]?.answer({ first: 0, len: 4 });
    expect(got.slice(2)).to.deep.equal(Array.from({ length: 3 }, () => AllocError.ParentUnavailable));
    for (const options of [{ growBy: 0 }, { growBy: 33 }, { maxWaiting: 0 }, { maxWaiting: 1.5 }]) {
      expect(() => new AddressAllocator(new AddressPool(), options))
        .to.throw(UsageError)
        .with.property('code', 'ERR_INVALID_OPTION');
    }
  });

  it('grows through three levels, with requests at all of them at once and answers in any order', () => {
    const request = fc.record({
      who: fc.nat({ max: 5 }),
      lens: fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 3 }),
    });
    fc.assert(
      fc.property(fc.array(request, { maxLength: 40 }), fc.integer(), (asked, seed) => {
        const random = new SeededRandom(seed);
        const queue: (() => void)[] = [];
        const soon = (run: () => void) => queue.push(run);
        // What a child has of its parent, in the numbers of the apex.
        const below = (parent: AddressAllocator): AddressAllocator =>
          new AddressAllocator(new AddressPool(), {
            grow: (len, answer) =>
              soon(() =>
                parent.request(ask(len), (result) => {
                  const [range] = typeof result === 'number' ? [] : result;
                  soon(() => answer(range ?? (typeof result === 'number' ? result : AllocError.NoSpace)));
                }),
              ),
          });
        const apex = new AddressAllocator(poolOf(10));
        const middle = [below(apex), below(apex)];
        const leaves = middle.flatMap((parent) => [below(parent), below(parent)]);
        const all = [apex, ...middle, ...leaves];
        const got: Allocation[] = [];
        let answers = 0;
        for (const { who, lens } of asked) {
          soon(() =>
            all[who + 1]?.request(ask(...lens), (result) => {
              answers++;
              if (typeof result !== 'number') got.push(...result);
            }),
          );
        }
        for (let steps = 0; queue.length > 0 && steps < 5000; steps++)
          queue.splice(random.below(queue.length), 1)[0]?.();
        expect(queue).to.have.length(0);
        expect(answers).to.equal(asked.length);
        const taken = got.flatMap(({ first, len }) => Array.from({ length: 2 ** len }, (_, i) => first + i));
        expect(new Set(taken).size).to.equal(taken.length);
        expect(taken.every((value) => value < 1024)).to.equal(true);
        expect(all.map(({ pending }) => pending)).to.deep.equal(all.map(() => 0));
      }),
    );
  });
});
