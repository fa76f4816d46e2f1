import { expect } from 'chai';
import * as fc from 'fast-check';
import { type IpAddress, Ipv4Address, Ipv6Address, parseIp } from '../../../lib/core/address.js';
import {
  addressKey,
  admits,
  EVERYTHING,
  type FilterMode,
  intersection,
  isNothing,
  isSameFilter,
  mergeFilters,
  NOTHING,
  sourceFilter,
  sourceSet,
  without,
  withoutZone,
} from '../../../lib/l3/source-filter.js';

const VERSIONS: Record<string, (n: number) => IpAddress> = {
  IPv4: (n) => new Ipv4Address(0x0a00_0000 + n),
  IPv6: (n) => new Ipv6Address(0xfd00_0000, n, 0, 7),
};

for (const [version, source] of Object.entries(VERSIONS)) {
  describe(`source filters of ${version}`, () => {
    const names = Array.from({ length: 8 }, (_, n) => source(n));
    const anyFilter = fc
      .tuple(fc.constantFrom<FilterMode>('include', 'exclude'), fc.subarray(names))
      .map(([mode, sources]) => sourceFilter(mode, sources));

    it('3376-1 property: an interface wants what at least one of its sockets wants, and nothing else (RFC 3376 3.2)', () => {
      fc.assert(
        fc.property(fc.array(anyFilter, { maxLength: 6 }), (filters) => {
          const merged = mergeFilters(filters);
          // The naive model asks each socket about each source, and about one that none of them has named.
          for (const one of [...names, source(99)]) {
            expect(admits(merged, one)).to.equal(filters.some((filter) => admits(filter, one)));
          }
        }),
        { numRuns: 300 },
      );
    });

    it('property: the order of the sockets does not matter, and a filter merged with itself is itself', () => {
      fc.assert(
        fc.property(fc.array(anyFilter, { maxLength: 5 }), anyFilter, (filters, one) => {
          expect(isSameFilter(mergeFilters(filters), mergeFilters(filters.toReversed()))).to.equal(true);
          expect(isSameFilter(mergeFilters([one, one]), one)).to.equal(true);
        }),
        { numRuns: 200 },
      );
    });

    it('property: same filters want the same of every source, and only they', () => {
      fc.assert(
        fc.property(anyFilter, anyFilter, (one, other) => {
          const probes = [...names, source(99)];
          const isSame = probes.every((probe) => admits(one, probe) === admits(other, probe));
          expect(isSameFilter(one, other)).to.equal(isSame);
        }),
        { numRuns: 200 },
      );
    });

    it('property: sets are cut and joined by address', () => {
      fc.assert(
        fc.property(fc.subarray(names), fc.subarray(names), (some, more) => {
          const keys = (addresses: Iterable<IpAddress>) => [...addresses].map((address) => addressKey(address));
          const both = intersection(sourceSet(some), sourceSet(more));
          expect([...both.keys()]).to.have.members(keys(some.filter((address) => more.includes(address))));
          const left = without(sourceSet(some), sourceSet(more));
          expect([...left.keys()]).to.have.members(keys(some.filter((address) => !more.includes(address))));
        }),
        { numRuns: 100 },
      );
    });
  });
}

describe('source filters', () => {
  const at = (text: string) => parseIp(text);
  const shown = (filters: Parameters<typeof mergeFilters>[0]) => {
    const { mode, sources } = mergeFilters(filters);
    return `${mode} ${[...sources.values()].map(String).sort().join(' ')}`.trim();
  };
  const [a, b, c, d, e] = ['10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.0.4', '10.0.0.5'].map(at) as [
    IpAddress,
    IpAddress,
    IpAddress,
    IpAddress,
    IpAddress,
  ];

  it('3376-1 merges the examples of RFC 3376 3.2', () => {
    expect(shown([sourceFilter('exclude', [a, b, c, d]), sourceFilter('exclude', [b, c, d, e])])).to.equal(
      'exclude 10.0.0.2 10.0.0.3 10.0.0.4',
    );
    expect(
      shown([
        sourceFilter('exclude', [a, b, c, d]),
        sourceFilter('exclude', [b, c, d, e]),
        sourceFilter('include', [d, e]),
      ]),
    ).to.equal('exclude 10.0.0.2 10.0.0.3');
    expect(shown([sourceFilter('include', [a, b]), sourceFilter('include', [b, c])])).to.equal(
      'include 10.0.0.1 10.0.0.2 10.0.0.3',
    );
    expect(shown([])).to.equal('include');
  });

  it('knows who wants nothing, and who wants everything', () => {
    expect(isNothing(NOTHING)).to.equal(true);
    expect(isNothing(EVERYTHING)).to.equal(false);
    expect(isNothing(sourceFilter('include', [a]))).to.equal(false);
    expect([admits(NOTHING, a), admits(EVERYTHING, a)]).to.deep.equal([false, true]);
  });

  it('4007: an address is the same with and without its zone', () => {
    const zoned = at('fe80::1%tap0');
    expect(addressKey(zoned)).to.equal(addressKey(at('fe80::1')));
    expect(withoutZone(zoned).toString()).to.equal('fe80::1');
    expect(withoutZone(a)).to.equal(a);
    expect(admits(sourceFilter('include', [zoned]), at('fe80::1'))).to.equal(true);
  });
});
