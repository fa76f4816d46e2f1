/** What benchmarks of ergot say that does not depend on the machine, and that the path of a frame makes no objects. */

import { expect } from 'chai';
import { headerBytes, overheadRows } from '../../bench/ergot.js';
import { decisions, headers, routes, stuffing } from '../../bench/micro/ergot.js';
import { BATCH } from '../../bench/micro/pipeline.js';
import { netAddress } from '../../lib/ergot/index.js';
import { allocated } from './heap.js';

describe('the benchmark of ergot', () => {
  it('says how many bytes a frame takes beside what is said', () => {
    expect(overheadRows().map(({ value }) => value)).to.deep.equal([9, 13, 18, 11, 15, 20]);
    expect(headerBytes(netAddress(0, 1, 1), 0)).to.equal(8);
  });

  it('fills tables as it says', () => {
    expect([routes(10).size, routes(1_000).size, routes(10, true).size]).to.deep.equal([10, 1_000, 10]);
  });

  const works: readonly (readonly [name: string, work: () => void])[] = [
    ['a header that is read', headers.read(true)],
    ['a header that is written', headers.write(true)],
    ['a hop', headers.hop()],
    ['a frame that is stuffed', stuffing.encode(64)],
    ['a frame taken out of a stream', stuffing.decode(64)],
    ['a decision', decisions(100)],
    ['a decision among siblings', decisions(100, true)],
  ];
  for (const [name, work] of works) {
    it(`makes no object for ${name}`, () => {
      // Not even a number in memory, which is 16 bytes.
      expect(allocated(work, BATCH)).to.be.below(12);
    });
  }
});
