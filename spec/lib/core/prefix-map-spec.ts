import { expect } from 'chai';
import * as fc from 'fast-check';
import { PrefixMap } from '../../../lib/core/prefix-map.js';
import { SeededRandom } from '../../../lib/core/random.js';

type Words = readonly [number, number, number, number];
type Version = 4 | 6;

const VERSIONS: readonly Version[] = [4, 6];
const BITS = { 4: 32, 6: 128 };

/** The first `length` bits of an address, as text. */
function bitsOf(version: Version, [a, b, c, d]: Words, length: number): string {
  const words = version === 4 ? [d] : [a, b, c, d];
  return words
    .map((word) => (word >>> 0).toString(2).padStart(32, '0'))
    .join('')
    .slice(0, length);
}

/** What a prefix map is, without any wit. */
class NaiveMap {
  readonly prefixes = new Map<string, number>();
  private readonly version: Version;

  constructor(version: Version) {
    this.version = version;
  }

  set(words: Words, length: number, value: number): number {
    const former = this.get(words, length);
    this.prefixes.set(bitsOf(this.version, words, length), value);
    return former;
  }

  get(words: Words, length: number): number {
    return this.prefixes.get(bitsOf(this.version, words, length)) ?? -1;
  }

  delete(words: Words, length: number): number {
    const former = this.get(words, length);
    this.prefixes.delete(bitsOf(this.version, words, length));
    return former;
  }

  lookup(words: Words): number {
    for (let length = BITS[this.version]; length >= 0; length--) {
      const value = this.get(words, length);
      if (value >= 0) return value;
    }
    return -1;
  }
}

function entries(map: PrefixMap): Map<string, number> {
  const found = new Map<string, number>();
  map.forEach((a, b, c, d, length, value) => {
    const key = bitsOf(map.version, [a, b, c, d], length);
    expect(found.has(key)).to.equal(false);
    expect(bitsOf(map.version, [a, b, c, d], 128).slice(length)).not.to.include('1');
    found.set(key, value);
  });
  return found;
}

/** Words that share many first bits with others, so that prefixes of any length overlap. */
const word = fc.oneof(
  fc.constantFrom(0, 0xffff_ffff, 0x8000_0000, 0x2001_0db8, 0x0a00_0000, 1),
  fc.integer({ min: 0, max: 31 }).map((bit) => (0x2001_0db8 ^ (1 << bit)) >>> 0),
  fc.integer({ min: 0, max: 0xffff_ffff }),
);
const words = fc.tuple(word, word, word, word);

function step(version: Version) {
  const length = fc.oneof(
    fc.integer({ min: 0, max: BITS[version] }),
    fc.constantFrom(0, 1, 8, 14, 15, 16, 24, 30, 31, 32, BITS[version]),
  );
  return fc.record({
    kind: fc.constantFrom('set', 'set', 'set', 'delete', 'delete again'),
    words,
    length,
    value: fc.integer({ min: 0, max: 0x7fff_ffff }),
  });
}

for (const version of VERSIONS) {
  describe(`PrefixMap of IPv${version}`, () => {
    it('does what a naive one does', () => {
      const property = fc.property(
        fc.array(step(version), { maxLength: 120 }),
        fc.array(words, { maxLength: 20 }),
        (steps, probes) => {
          const map = new PrefixMap(version);
          const naive = new NaiveMap(version);
          const known: [Words, number][] = [];
          for (const { kind, words: at, length, value } of steps) {
            const [[a, b, c, d], bits] =
              kind === 'delete again' ? (known[value % known.length] ?? [at, length]) : [at, length];
            const former = kind === 'set' ? map.set(a, b, c, d, bits, value) : map.delete(a, b, c, d, bits);
            expect(former).to.equal(
              kind === 'set' ? naive.set([a, b, c, d], bits, value) : naive.delete([a, b, c, d], bits),
            );
            if (kind === 'set') known.push([at, length]);
            expect(map.size).to.equal(naive.prefixes.size);
          }
          for (const [a, b, c, d] of [...probes, ...known.map(([at]) => at)]) {
            expect(map.lookup(a, b, c, d)).to.equal(naive.lookup([a, b, c, d]));
            expect(map.lookup(a | 0, b | 0, c | 0, d | 0)).to.equal(naive.lookup([a, b, c, d]));
          }
          for (const [[a, b, c, d], length] of known) {
            expect(map.get(a, b, c, d, length)).to.equal(naive.get([a, b, c, d], length));
          }
          expect(entries(map)).to.deep.equal(naive.prefixes);
        },
      );
      fc.assert(property, { numRuns: 200 });
    });

    it('is right when it is large, while it grows and shrinks', () => {
      const map = new PrefixMap(version);
      const naive = new NaiveMap(version);
      const random = new SeededRandom(version);
      const present: [Words, number][] = [];
      const draw = (): [Words, number] => {
        const first = 0x2000_0000 + random.below(0x4000) * 0x1_0000 + (random.uint32() & 0xff00);
        const at: Words = version === 4 ? [0, 0, 0xffff, first] : [first, random.uint32(), 0, random.uint32()];
        return [at, random.below(8) === 0 ? random.below(16) : random.below(BITS[version] + 1)];
      };
      for (let i = 0; i < 12_000; i++) {
        const grows = i < 6000;
        if (random.below(10) < (grows ? 8 : 3)) {
          const [at, length] = draw();
          expect(map.set(...at, length, i)).to.equal(naive.set(at, length, i));
          present.push([at, length]);
        } else if (present.length > 0) {
          const [[at, length]] = present.splice(random.below(present.length), 1) as [[Words, number]];
          expect(map.delete(...at, length)).to.equal(naive.delete(at, length));
        }
        const [probe] = present[random.below(present.length)] ?? draw();
        expect(map.lookup(...probe)).to.equal(naive.lookup(probe));
      }
      expect(entries(map)).to.deep.equal(naive.prefixes);
      for (const [at, length] of present) map.delete(...at, length);
      expect(map.size).to.equal(0);
      expect(entries(map)).to.deep.equal(new Map());
    });

    it('takes no more room however often what is in it changes', () => {
      const map = new PrefixMap(version);
      const random = new SeededRandom(7);
      const turn = () => {
        const drawn = Array.from({ length: 2000 }, () => [random.uint32(), 8 + random.below(25)] as const);
        for (const [at, length] of drawn) map.set(at, 0, 0, at, length, 1);
        for (const [at, length] of drawn) map.delete(at, 0, 0, at, length);
      };
      for (let i = 0; i < 10; i++) turn();
      const { bytes } = map;
      for (let i = 0; i < 50; i++) turn();
      expect(map.bytes).to.be.below(bytes * 1.2);
    });

    it('forgets everything', () => {
      const map = new PrefixMap(version);
      for (let i = 0; i < 10_000; i++) map.set(i << 12, 0, 0, i << 12, 20, i);
      map.clear();
      expect(map.size).to.equal(0);
      expect(map.lookup(4096, 0, 0, 4096)).to.equal(-1);
      map.set(4096, 0, 0, 4096, 20, 5);
      expect(map.lookup(4097, 0, 0, 4097)).to.equal(5);
    });
  });
}
