import { expect } from 'chai';
import * as fc from 'fast-check';
import { SeededRandom } from '../../../../lib/core/random.js';
import { NUMBERS, NumberSet, PortSet } from '../../../../lib/l4/nat/port-set.js';

/** Numbers close to where the tree's levels meet, and any. */
const number = fc.oneof(
  fc.nat(NUMBERS - 1),
  fc.constantFrom(0, 31, 32, 63, 1023, 1024, 1055, 2047, 31_743, 31_744, NUMBERS - 1),
);

describe('NumberSet', () => {
  it('finds what a plain set finds', () => {
    fc.assert(
      fc.property(fc.array(number), fc.array(number), fc.array(number), (added, removed, asked) => {
        const [set, oracle] = [new NumberSet(), new Set<number>()];
        for (const n of added) expect(set.add(n)).to.equal(!oracle.has(n) && oracle.add(n) === oracle);
        for (const n of removed) expect(set.remove(n)).to.equal(oracle.delete(n));
        expect(set.size).to.equal(oracle.size);
        const sorted = [...oracle].sort((a, b) => a - b);
        for (const n of [...asked, ...added]) {
          expect(set.has(n)).to.equal(oracle.has(n));
          expect(set.next(n)).to.equal(sorted.find((one) => one >= n) ?? -1);
        }
      }),
      { numRuns: 300 },
    );
  });

  it('is filled up to any number', () => {
    for (const count of [0, 1, 31, 32, 33, 1023, 1024, 1025, 5000, NUMBERS - 1, NUMBERS]) {
      const set = new NumberSet();
      set.fill(count);
      expect(set.size).to.equal(count);
      expect(set.next(0)).to.equal(count === 0 ? -1 : 0);
      expect(set.has(count - 1)).to.equal(count > 0);
      if (count < NUMBERS) expect(set.next(count)).to.equal(-1);
      for (let n = 0; n < count; n++) if (!set.has(n) || set.next(n) !== n) expect.fail(`${n} of ${count}`);
    }
  });
});

/** Ports of which some are taken, as naively as can be. */
class Oracle {
  readonly taken = new Set<number>();

  free(from: number, to: number, parity?: number): number[] {
    const ports = Array.from({ length: to - from + 1 }, (_, i) => from + i);
    return ports.filter((port) => port > 0 && !this.taken.has(port) && (parity === undefined || port % 2 === parity));
  }
}

type Step =
  | { readonly kind: 'any'; readonly from: number; readonly to: number; readonly like: number }
  | { readonly kind: 'take' | 'give'; readonly port: number };

const any = fc.record({
  kind: fc.constant('any' as const),
  from: fc.integer({ min: 1, max: 50 }),
  to: fc.nat(60),
  like: fc.integer({ min: -1, max: 3 }),
});
const one = fc.record({ kind: fc.constantFrom('take' as const, 'give' as const), port: fc.nat(60) });
const step: fc.Arbitrary<Step> = fc.oneof<fc.Arbitrary<Step>[]>(any, any, one);

describe('PortSet', () => {
  it('gives out free ports of the range and parity that is asked for, each to one, until there is none', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), fc.nat(), (steps, seed) => {
        const [ports, oracle, random] = [new PortSet(), new Oracle(), new SeededRandom(seed)];
        for (const one of steps) {
          if (one.kind === 'take') {
            const free = one.port > 0 && !oracle.taken.has(one.port);
            expect(ports.take(one.port)).to.equal(free);
            if (free) oracle.taken.add(one.port);
          } else if (one.kind === 'give') {
            expect(ports.give(one.port)).to.equal(oracle.taken.delete(one.port));
          } else if ('like' in one && one.from <= one.to) {
            const allowed = oracle.free(one.from, one.to, one.like < 0 ? undefined : one.like & 1);
            const got = ports.takeAny(one.from, one.to, one.like, random);
            if (allowed.length === 0) expect(got).to.equal(0);
            else expect(allowed).to.include(got);
            oracle.taken.add(got);
          }
          oracle.taken.delete(0);
          expect(ports.free).to.equal(65_535 - oracle.taken.size);
        }
      }),
      { numRuns: 300 },
    );
  });

  it('finds the last free port wherever it is, and says at once that there is none', () => {
    const ports = new PortSet();
    const random = new SeededRandom(1);
    const got = new Set<number>();
    for (let i = 0; i < 65_535; i++) got.add(ports.takeAny(1, 65_535, -1, random));
    expect(got.size).to.equal(65_535);
    expect(got.has(0)).to.equal(false);
    expect(ports.takeAny(1, 65_535, -1, random)).to.equal(0);
    for (const port of [1, 2, 1024, 31_337, 65_534, 65_535]) {
      expect(ports.give(port)).to.equal(true);
      expect(ports.takeAny(1, 65_535, -1, random)).to.equal(port);
    }
  });

  it('spreads what it gives out over the whole range (RFC 6056)', () => {
    const ports = new PortSet();
    const random = new SeededRandom(2);
    const buckets = Array.from({ length: 16 }, () => 0);
    for (let i = 0; i < 4000; i++) {
      const at = Math.floor((ports.takeAny(1024, 65_535, -1, random) - 1024) / 4032);
      buckets[at] = (buckets[at] ?? 0) + 1;
    }
    for (const count of buckets) expect(count).to.be.within(180, 320);
  });
});
