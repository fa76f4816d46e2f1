import { expect } from 'chai';
import { traverse } from './topology.js';
import { forSeeds } from './transfer.js';

const SEEDS = 400;
const BATCH = 50;

describe('TCP in networks of many hosts, switches and bad links', () => {
  const met = { switches: 0, connections: 0, cuts: 0, retransmits: 0 };

  for (let first = 1; first <= SEEDS; first += BATCH) {
    const last = first + BATCH - 1;
    it(`bytes out are bytes in, every invariant holds, and nothing is left: seeds ${first} to ${last}`, () => {
      forSeeds(first, last, (seed) => {
        const outcome = traverse(seed);
        for (const key of Object.keys(met) as (keyof typeof met)[]) met[key] += outcome[key];
      });
    }).timeout(90_000);
  }

  it('has met in all that what it was to survive', () => {
    for (const [what, count] of Object.entries(met)) expect(count, what).to.be.greaterThan(100);
  });
});
