import { expect } from 'chai';
import * as fc from 'fast-check';
import { MAX_PROBES, MtuSearch, PROBE_INTERVAL, RAISE_INTERVAL } from '../../../../lib/l4/tcp/mtu-search.js';

const LIMITS = { min: 552, base: 1064, max: 1500 };

/** Lets a search that may probe now find out what a path of `mtu` bytes carries; returns the sizes of its probes. */
function drive(search: MtuSearch, mtu: number, from = 0): number[] {
  const probes: number[] = [];
  let now = from;
  while (search.state === 'searching') {
    const size = search.next(now);
    if (size > 0) {
      probes.push(size);
      search.sent(size);
      if (size <= mtu) search.arrived(now);
      else search.lost(now);
    }
    now += PROBE_INTERVAL;
  }
  return probes;
}

/** One that fell into a black hole, and found that packets of the base size arrive. */
function fallen(limits = LIMITS): MtuSearch {
  const search = new MtuSearch(limits, limits.max, 0);
  expect(search.blackHole()).to.equal(true);
  expect([search.state, search.plpmtu]).to.deep.equal(['base', limits.base]);
  expect(search.next(0), 'the base size first').to.equal(0);
  search.confirmed(0);
  return search;
}

describe('the search for the path MTU (RFC 8899 5)', () => {
  it('has nothing to do where the path is as wide as its first link', () => {
    const search = new MtuSearch(LIMITS, 1500, 0);
    expect(search.isAtMaximum).to.equal(true);
    expect(search.next(RAISE_INTERVAL)).to.equal(0);
  });

  it('tries the largest size first: most often it was an outage', () => {
    const search = fallen();
    expect(drive(search, 1500)).to.deep.equal([1500]);
    expect([search.state, search.plpmtu, search.isAtMaximum]).to.deep.equal(['complete', 1500, true]);
  });

  it('gives a size up after MAX_PROBES losses, then goes by common sizes', () => {
    const search = fallen();
    expect(drive(search, 1450)).to.deep.equal([1500, 1500, 1500, 1280, 1400, 1450, 1480, 1480, 1480]);
    expect(search.plpmtu).to.equal(1450);
  });

  it('does not count losses of other sizes, nor what says nothing', () => {
    const search = fallen();
    let now = 0;
    for (let round = 0; round < 4 * MAX_PROBES; round++, now += PROBE_INTERVAL) {
      expect(search.next(now)).to.equal(1500);
      search.sent(1500);
      if (round % 4 === 0) search.lost(now);
      else search.inconclusive(now);
      if (round === 8) break;
    }
    expect(search.next(now + PROBE_INTERVAL), 'three losses, and six that say nothing').to.equal(1280);
  });

  it('leaves at least PROBE_TIMER between a loss and the next probe, and sends one at a time', () => {
    const search = fallen();
    search.sent(search.next(0));
    expect(search.next(10_000_000), 'one is on its way').to.equal(0);
    search.lost(5);
    expect(search.next(5 + PROBE_INTERVAL - 1)).to.equal(0);
    expect(search.next(5 + PROBE_INTERVAL)).to.equal(1500);
  });

  it('finds what any path carries, up to a step, with few probes', () => {
    const path = fc.integer({ min: 1064, max: 9000 });
    fc.assert(
      fc.property(path, fc.constantFrom(1500, 9000, 1280, 1064), (mtu, max) => {
        const search = fallen({ min: 552, base: 1024, max });
        const probes = drive(search, mtu);
        const carried = Math.min(mtu, max);
        expect(search.plpmtu).to.be.at.most(carried);
        expect(search.plpmtu).to.be.above(carried - 32);
        expect(probes.length).to.be.at.most(45);
        expect(search.state).to.equal('complete');
      }),
      { numRuns: 300 },
    );
  });

  it('looks again after PMTU_RAISE_TIMER', () => {
    const search = new MtuSearch(LIMITS, 1300, 0);
    expect(search.next(RAISE_INTERVAL - 1)).to.equal(0);
    expect(search.next(RAISE_INTERVAL)).to.equal(1500);
    drive(search, 1300, RAISE_INTERVAL);
    expect([search.state, search.plpmtu]).to.deep.equal(['complete', 1300]);
    const later = 2 * RAISE_INTERVAL + 60_000;
    expect(search.next(later)).to.equal(1500);
    drive(search, 1500, later);
    expect(search.plpmtu).to.equal(1500);
  });

  it('takes a router at its word about a probe: its size is the next one (RFC 8899 4.6.2)', () => {
    const search = fallen();
    search.sent(search.next(0));
    search.refused(1333, 0);
    expect(search.next(0)).to.equal(1333);
    search.sent(1333);
    search.arrived(0);
    expect([search.state, search.plpmtu]).to.deep.equal(['complete', 1333]);
  });

  it('is complete where the router says that what arrives is all there is', () => {
    const search = fallen();
    search.sent(search.next(0));
    search.refused(1064, 0);
    expect([search.state, search.plpmtu]).to.deep.equal(['complete', 1064]);
  });

  it('keeps what a router says of other packets, but never less than the least (8201)', () => {
    const search = new MtuSearch(LIMITS, 1500, 0);
    search.narrowed(1400, 0);
    expect([search.state, search.plpmtu]).to.deep.equal(['complete', 1400]);
    search.narrowed(68, 0);
    expect(search.plpmtu).to.equal(552);
    expect(search.next(RAISE_INTERVAL)).to.equal(1500);
  });

  it('falls from the base size to the least, and no further; from there it climbs as well', () => {
    const search = new MtuSearch(LIMITS, 1500, 0);
    expect([search.blackHole(), search.blackHole(), search.blackHole()]).to.deep.equal([true, true, false]);
    expect([search.state, search.plpmtu]).to.deep.equal(['error', 552]);
    search.confirmed(0);
    expect(drive(search, 1000).slice(0, 4)).to.deep.equal([1500, 1500, 1500, 1006]);
    expect(search.plpmtu).to.be.within(969, 1000);
    expect(search.next(10 * RAISE_INTERVAL)).to.equal(1500);
  });

  it('has no black hole where nothing smaller is possible: IPv6 at its minimum', () => {
    const search = new MtuSearch({ min: 1280, base: 1280, max: 1500 }, 1280, 0);
    expect(search.blackHole()).to.equal(false);
    expect(search.plpmtu).to.equal(1280);
  });

  it('learns from others, and forgets a probe that became pointless', () => {
    const search = fallen();
    search.sent(search.next(0));
    search.raised(1400, 0);
    expect([search.plpmtu, search.probed], 'a larger probe goes on').to.deep.equal([1400, 1500]);
    search.raised(1500, 0);
    expect([search.plpmtu, search.probed, search.isAtMaximum]).to.deep.equal([1500, 0, true]);
    const other = new MtuSearch(LIMITS, 1280, 0);
    other.raised(1400, 0);
    expect([other.state, other.plpmtu]).to.deep.equal(['complete', 1400]);
    other.raised(9000, 0);
    expect(other.plpmtu).to.equal(1500);
  });

  it('always: begins at the base size', () => {
    const search = new MtuSearch(LIMITS, 1500, 0);
    search.start(0);
    expect([search.state, search.plpmtu, search.next(0)]).to.deep.equal(['searching', 1064, 1500]);
    const small = new MtuSearch({ min: 552, base: 576, max: 576 }, 576, 0);
    small.start(0);
    expect([small.state, small.plpmtu, small.isAtMaximum]).to.deep.equal(['complete', 576, true]);
  });
});
