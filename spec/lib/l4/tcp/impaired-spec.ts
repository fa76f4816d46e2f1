import { expect } from 'chai';
import { forBothVersions } from '../../../both-versions.js';
import { forSeeds } from '../../../operators/stack/transfer.js';
import { survive } from './survive.js';

/** Of each version. */
const SEEDS = 1500;
const SEEDS_OFFLOAD = 500;
const BATCH = 50;
forBothVersions('TCP over an impaired pipe', ({ version }) => {
  const bursts = { superSegments: 0, cutSegments: 0 };
  const met = { retransmits: 0, fastRetransmits: 0, timeouts: 0, windowProbes: 0, outOfOrder: 0, resetsReceived: 0 };

  for (let first = 1; first <= SEEDS; first += BATCH) {
    const last = first + BATCH - 1;
    it(`bytes out are bytes in, every invariant holds, and nothing is left behind: seeds ${first} to ${last}`, () => {
      forSeeds(first, last, (seed) => {
        for (const { counters } of survive(seed, version).hosts) {
          for (const key of Object.keys(met) as (keyof typeof met)[]) met[key] += counters[key];
        }
      });
    }).timeout(90_000);
  }

  for (let first = 1; first <= SEEDS_OFFLOAD; first += BATCH) {
    const last = first + BATCH - 1;
    it(`the same where devices cut super-segments: seeds ${first} to ${last}`, () => {
      forSeeds(first, last, (seed) => {
        const { superSegments, cutSegments } = survive(seed, version, { offload: true });
        bursts.superSegments += superSegments;
        bursts.cutSegments += cutSegments;
      });
    }).timeout(90_000);
  }

  it('has sent super-segments, and not only the smallest', () => {
    expect(bursts.superSegments).to.be.greaterThan(SEEDS_OFFLOAD);
    expect(bursts.cutSegments / bursts.superSegments).to.be.greaterThan(2);
  });

  it('has met in all that what it was to survive', () => {
    for (const [what, count] of Object.entries(met)) expect(count, what).to.be.greaterThan(50);
  });
});
