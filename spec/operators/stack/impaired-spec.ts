import { expect } from 'chai';
import type { IpVersion } from '../../../lib/core/address.js';
import { SeededRandom } from '../../../lib/core/random.js';
import type { NetworkLinkOptions } from '../../../operators/testing/index.js';
import { forBothVersions, type VersionFacts } from '../../both-versions.js';
import { bytesOf, forSeeds, type Outcome, type Side, transfer } from './transfer.js';

/** Of each version. */
const SEEDS = 500;
const BATCH = 50;
const BUFFERS = [1, 2, 7, 100, 535, 1000, 1460, 2000, 4096, 10_000, 65_535, 65_536, 200_000, 1 << 20];
const MTUS = { 4: [576, 577, 700, 1000, 1280, 1492, 1500, 4000, 9000], 6: [1280, 1281, 1400, 1492, 1500, 4000, 9000] };

function pick<T>(random: SeededRandom, values: readonly [T, ...T[]] | readonly T[]): T {
  const value = values[random.below(values.length)];
  if (value === undefined) throw new Error('nothing to pick from');
  return value;
}

/** A link that is bad in some of the ways, as the seed will have it. */
function badLink(random: SeededRandom, version: IpVersion): NetworkLinkOptions {
  const maybe = (most: number) => (random.below(2) === 0 ? 0 : random.float() * most);
  const impair = {
    loss: maybe(0.3),
    duplicate: maybe(0.2),
    corrupt: maybe(0.1),
    reorder: maybe(0.3),
    reorderDelay: random.float() * 60,
    delay: maybe(100),
    jitter: maybe(60),
    ...(random.below(4) === 0 ? { rate: 500_000 + random.below(20_000_000), queueFrames: 5 + random.below(100) } : {}),
  };
  return { mtu: pick(random, MTUS[version]), impair };
}

/** An end; `window` is what the smaller of the buffers lets through in a round trip. */
function side(random: SeededRandom, window: number, buffers: { receiveBuffer: number; sendBuffer: number }): Side {
  const size = pick(random, [0, 1, random.below(1000), random.below(100_000), random.below(1_000_000)]);
  const piece = 1 + random.below(pick(random, [10, 2000, 100_000]));
  const segment = random.below(4) === 0 ? 1 + random.below(1460) : 1460;
  return {
    plan: {
      data: bytesOf(Math.min(size, 150 * window, 1000 * piece, 300 * segment), random),
      piece,
      ...(random.below(3) === 0 ? { sip: 1 + random.below(20_000) } : {}),
      ...(random.below(4) === 0 ? { pause: random.float() * 100 } : {}),
    },
    options: {
      ...buffers,
      noDelay: random.below(2) === 0,
      maxSegmentSize: segment === 1460 ? 65_535 : segment,
    },
    tcp: {
      timestamps: random.below(2) === 0,
      windowScaling: random.below(4) > 0,
      sack: random.below(2) === 0,
      delayedAck: pick(random, [0, 40, 200]),
    },
  };
}

function run(seed: number, facts: VersionFacts): Outcome {
  const random = new SeededRandom(seed);
  const link = badLink(random, facts.version);
  const [a, b] = [0, 1].map(() => ({ receiveBuffer: pick(random, BUFFERS), sendBuffer: pick(random, BUFFERS) }));
  if (a === undefined || b === undefined) throw new Error('two ends');
  const client = side(random, Math.min(a.sendBuffer, b.receiveBuffer), a);
  const server = side(random, Math.min(b.sendBuffer, a.receiveBuffer), b);
  // At most one of them waits for the other's end.
  const answering = random.below(4);
  const answers = ({ plan, ...rest }: Side, on: boolean): Side => ({ ...rest, plan: { ...plan, answers: on } });
  return transfer(seed, link, answers(client, answering === 0), answers(server, answering === 1), random, facts);
}

forBothVersions('TCP between two hosts on an impaired link', (facts) => {
  const met = { retransmits: 0, fastRetransmits: 0, timeouts: 0, windowProbes: 0, outOfOrder: 0, blocked: 0 };

  function account({ counters, blocked }: Outcome): void {
    for (const one of counters) {
      for (const key of ['retransmits', 'fastRetransmits', 'timeouts', 'windowProbes', 'outOfOrder'] as const) {
        met[key] += one[key];
      }
    }
    met.blocked += blocked;
  }

  for (let first = 1; first <= SEEDS; first += BATCH) {
    const last = first + BATCH - 1;
    it(`bytes out are bytes in both ways, both ends close, and nothing is left: seeds ${first} to ${last}`, () => {
      forSeeds(first, last, (seed) => account(run(seed, facts)));
    }).timeout(90_000);
  }

  it('has met in all that what it was to survive', () => {
    for (const [what, count] of Object.entries(met)) expect(count, what).to.be.greaterThan(100);
  });

  it('runs the same for the same seed, frame by frame', () => {
    const hashes = [3, 3, 4].map((seed) => run(seed, facts).traceHash);
    expect(hashes[1]).to.equal(hashes[0]);
    expect(hashes[2]).to.not.equal(hashes[0]);
  });
});
