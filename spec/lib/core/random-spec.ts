import { expect } from 'chai';
import * as fc from 'fast-check';
import { type Random, SeededRandom, SystemRandom } from '../../../lib/core/random.js';

/** sfc32 as PractRand defines it, in unbounded integers cut to 32 bits. */
function* sfc32(seed: number): Generator<number> {
  const cut = (n: bigint) => BigInt.asUintN(32, n);
  let [a, b, c, counter] = [0n, 0n, BigInt(seed >>> 0), 1n];
  for (let i = 0; ; i++) {
    const out = cut(a + b + counter++);
    a = b ^ (b >> 9n);
    b = cut(c + (c << 3n));
    c = cut(cut((c << 21n) | (c >> 11n)) + out);
    if (i >= 12) yield Number(out);
  }
}

function properties(make: () => Random): void {
  it('draws unsigned words, and fractions below 1', () => {
    const random = make();
    let [all, none] = [0, 0xffff_ffff];
    for (let i = 0; i < 2000; i++) {
      const word = random.uint32();
      expect(Number.isInteger(word) && word >= 0 && word <= 0xffff_ffff).to.equal(true);
      all |= word;
      none &= word;
      const float = random.float();
      expect(float >= 0 && float < 1).to.equal(true);
    }
    expect([all >>> 0, none >>> 0]).to.deep.equal([0xffff_ffff, 0]);
  });

  it('draws below any bound up to 2^32, evenly', () => {
    const random = make();
    for (const bound of [1, 2, 3, 10, 28_232, 0x1_0000, 0x1_0001, 3 * 2 ** 30, 2 ** 32]) {
      let sum = 0;
      for (let i = 0; i < 4000; i++) {
        const n = random.below(bound);
        if (!(Number.isInteger(n) && n >= 0 && n < bound)) expect.fail(`${n} is not below ${bound}`);
        sum += n;
      }
      // The mean of 4,000 is within 6 standard deviations (0.289 * bound / 63) of the middle.
      expect(sum / 4000).to.be.closeTo((bound - 1) / 2, 0.0275 * bound);
    }
    // With one word there would be twice as many multiples of 3 as of the other two: the map from 2^32 to 3 * 2^30 is not even.
    const thirds = [0, 0, 0];
    for (let i = 0; i < 6000; i++) {
      const third = random.below(3 * 2 ** 30) % 3;
      thirds[third] = (thirds[third] ?? 0) + 1;
    }
    for (const third of thirds) expect(third).to.be.closeTo(2000, 250);
  });

  it('fills bytes of any number, also beyond 64 KiB', () => {
    for (const length of [0, 1, 2, 3, 4, 5, 70_000]) {
      const bytes = new Uint8Array(length);
      // oxlint-disable-next-line unicorn/no-array-fill-with-reference-type -- Random.fill, not Array.fill
      make().fill(bytes);
      if (length > 5) expect(new Set(bytes.subarray(65_536)).size).to.equal(256);
    }
    const odd = new Uint8Array(7);
    const random = make();
    const seen = odd.map(() => 0);
    for (let i = 0; i < 200; i++) {
      // oxlint-disable-next-line unicorn/no-array-fill-with-reference-type -- Random.fill, not Array.fill
      random.fill(odd);
      odd.forEach((byte, at) => {
        seen[at] = (seen[at] ?? 0) | byte;
      });
    }
    expect([...seen]).to.deep.equal(seen.length === 7 ? Array.from({ length: 7 }, () => 0xff) : []);
  });
}

describe('SeededRandom', () => {
  properties(() => new SeededRandom(42));

  it('is sfc32', () => {
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        const random = new SeededRandom(seed);
        const reference = sfc32(seed);
        for (let i = 0; i < 50; i++) expect(random.uint32()).to.equal(reference.next().value);
      }),
      { numRuns: 50 },
    );
  });

  it('is determined by its seed, and different for neighbouring seeds', () => {
    const draw = (seed: number) => {
      const random = new SeededRandom(seed);
      return Array.from({ length: 4 }, () => random.uint32()).join();
    };
    expect(new Set(Array.from({ length: 1000 }, (_, seed) => draw(seed))).size).to.equal(1000);
    expect(draw(7)).to.equal(draw(7));
  });

  it('forks generators that do not depend on how much the others draw', () => {
    const fork = (drawn: number) => {
      const random = new SeededRandom(1);
      const [one, other] = [random.fork(), random.fork()];
      for (let i = 0; i < drawn; i++) one.uint32();
      return other.uint32();
    };
    expect(fork(0)).to.equal(fork(100));
    const random = new SeededRandom(1);
    expect(random.fork().uint32()).to.not.equal(random.fork().uint32());
  });
});

describe('SystemRandom', () => {
  properties(() => new SystemRandom());

  it('does not repeat itself', () => {
    const random = new SystemRandom();
    const words = Array.from({ length: 1000 }, () => random.uint32());
    expect(new Set(words).size).to.be.above(990);
  });
});
