import { expect } from 'chai';
import * as fc from 'fast-check';
import type { IpVersion } from '../../../lib/core/address.js';
import { SeededRandom } from '../../../lib/core/random.js';
import { Fib } from '../../../lib/l3/fib.js';
import { device, hopOf, route, SOME_DEVICE } from './ways-of-flows.js';

const FLOWS = 20_000;
/** By version: the gateways of the first flows, evenly and by weight. */
const FINGERPRINTS = {
  4: ['432212131311244211133432', '432212434331244241433432'],
  6: ['343344442223214313413412', '343344442223244343443443'],
};

for (const version of [4, 6] as const) {
  const net = version === 4 ? '10.0.0.0/8' : '2001:db8::/32';
  const to = (gateway: number, weight = 1) => route<IpVersion>(net, gateway, { weight });
  const address = to(1).destination.address;
  const [a, b, c, d] = [address.word(0), address.word(1), address.word(2), address.word(3)] as const;
  const table = (routes: readonly ReturnType<typeof to>[]) => {
    const fib = new Fib<IpVersion>(version);
    for (const one of routes) fib.add(one);
    return fib;
  };
  const hops = (fib: Fib, flows = FLOWS) =>
    Array.from({ length: flows }, (_, flow) => hopOf(fib.lookup(a, b, c, d, Math.imul(flow, 0x9e37_79b1))));
  const counts = (chosen: readonly (number | undefined)[]) => {
    const found = new Map<number | undefined, number>();
    for (const hop of chosen) found.set(hop, (found.get(hop) ?? 0) + 1);
    return found;
  };

  describe(`equally good routes of IPv${version}`, () => {
    it('share the flows evenly', () => {
      for (const ways of [2, 3, 8, 16]) {
        const found = counts(hops(table(Array.from({ length: ways }, (_, i) => to(i + 1)))));
        for (let hop = 1; hop <= ways; hop++) expect(found.get(hop)).to.be.closeTo(FLOWS / ways, (FLOWS / ways) * 0.1);
      }
    });

    it('share the flows by their weights', () => {
      const found = counts(hops(table([to(1, 1), to(2, 3), to(3, 16)])));
      expect(found.get(1)).to.be.closeTo(FLOWS / 20, FLOWS / 200);
      expect(found.get(2)).to.be.closeTo((FLOWS * 3) / 20, FLOWS / 100);
      expect(found.get(3)).to.be.closeTo((FLOWS * 16) / 20, FLOWS / 100);
    });

    it('keep each flow on its way, whatever else comes and goes, and in whatever order', () => {
      const way = fc.record({ gateway: fc.integer({ min: 1, max: 8 }), weight: fc.constantFrom(1, 1, 1, 2, 5) });
      const ways = fc.uniqueArray(way, { minLength: 1, maxLength: 8, selector: ({ gateway }) => gateway });
      fc.assert(
        fc.property(ways, fc.nat(), fc.boolean(), (all, chance, evenly) => {
          const routes = all.map(({ gateway, weight }) => to(gateway, evenly ? 1 : weight));
          const fib = table(routes);
          const before = hops(fib, 300);
          expect(hops(table(routes.toReversed()), 300)).to.deep.equal(before);
          const gone = routes[chance % routes.length];
          fib.remove((one) => one === gone);
          for (const [flow, hop] of hops(fib, 300).entries()) {
            const former = before[flow];
            if (former !== hopOf(gone)) expect(hop).to.equal(former);
            else if (routes.length > 1) expect(hop).not.to.equal(former);
            else expect(hop).to.equal(undefined);
          }
          if (gone !== undefined) fib.add(gone);
          expect(hops(fib, 300)).to.deep.equal(before);
        }),
        { numRuns: 100 },
      );
    });

    it('hand the flows of one that goes to all others', () => {
      const fib = table([1, 2, 3, 4].map((gateway) => to(gateway)));
      const before = hops(fib);
      fib.remove((one) => hopOf(one) === 3);
      const moved = counts(hops(fib).filter((_, flow) => before[flow] === 3));
      for (const hop of [1, 2, 4]) expect(moved.get(hop)).to.be.closeTo(FLOWS / 12, FLOWS / 60);
    });

    it('hand only the flows of a gateway that is avoided to the others, and take them back', () => {
      const fib = table([1, 2, 3].map((gateway) => to(gateway)));
      const before = hops(fib, 1000);
      const [, second] = fib.at(to(1).destination);
      if (second?.gateway === undefined) throw new Error('no route');
      expect(fib.avoid(second.device, second.gateway)).to.equal(true);
      for (const [flow, hop] of hops(fib, 1000).entries()) {
        if (before[flow] === hopOf(second)) expect(hop).not.to.equal(hopOf(second));
        else expect(hop).to.equal(before[flow]);
      }
      fib.trust(second.device, second.gateway);
      expect(hops(fib, 1000)).to.deep.equal(before);
    });

    it('choose alike in every process: these are the first flows', () => {
      const fib = table([1, 2, 3, 4].map((gateway) => to(gateway)));
      const weighted = table([1, 2, 3, 4].map((gateway) => to(gateway, gateway)));
      expect([hops(fib, 24).join(''), hops(weighted, 24).join('')]).to.deep.equal(FINGERPRINTS[version]);
    });

    it('are those of the lowest metric, by any device', () => {
      const other = device('net1');
      const fib = table([to(1), { ...to(1), device: other }, { ...to(2), metric: 5 }]);
      const random = new SeededRandom(1);
      const found = new Set(Array.from({ length: 100 }, () => fib.lookup(a, b, c, d, random.uint32() | 0)));
      expect([...found].map((one) => one?.device)).to.have.members([SOME_DEVICE, other]);
      expect(fib.isByDestination).to.equal(false);
      fib.removeDevice(other);
      expect(fib.isByDestination).to.equal(true);
    });
  });
}
