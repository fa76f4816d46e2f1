import { expect } from 'chai';
import * as fc from 'fast-check';
import { Cidr, type IpAddress, parseIp } from '../../../lib/core/address.js';
import type { Device } from '../../../lib/core/device.js';
import { type MulticastRouteOptions, MulticastRoutes } from '../../../lib/l3/multicast-routes.js';
import { fakeDevice, virtualEnv } from '../l2/fake-device.js';

const env = virtualEnv();
const deviceOf = (name: string): Device => fakeDevice(env, { name });
const [a, b, c] = [deviceOf('a'), deviceOf('b'), deviceOf('c')] as const;

/** What a packet between these addresses looks up. */
function lookup(routes: MulticastRoutes, source: string, group: string) {
  const words = [parseIp(source), parseIp(group)].flatMap((address) =>
    ([0, 1, 2, 3] as const).map((index) => address.word(index)),
  );
  return routes.lookup(Int32Array.from(words));
}

function routesOf(...options: readonly Omit<MulticastRouteOptions, 'from' | 'to'>[]): MulticastRoutes {
  const routes = new MulticastRoutes();
  for (const one of options) routes.add({ from: a, to: [b], ...one });
  return routes;
}

describe('MulticastRoutes', () => {
  it('finds a route by source and group, and else one of the group', () => {
    for (const [group, other, sender, another] of [
      ['239.1.1.1', '239.1.1.2', '10.0.0.1', '10.0.0.2'],
      ['ff0e::1', 'ff0e::2', '2001:db8::1', '2001:db8::2'],
    ] as const) {
      const routes = routesOf({ group, source: sender }, { group });
      const length = group.includes(':') ? 128 : 32;
      expect(lookup(routes, sender, group)?.source.toString()).to.equal(`${sender}/${length}`);
      expect(lookup(routes, another, group)?.source.length).to.equal(0);
      expect(lookup(routes, sender, other)).to.equal(undefined);
      expect(routes.remove({ group })).to.equal(true);
      expect(routes.remove({ group })).to.equal(false);
      expect(lookup(routes, another, group)).to.equal(undefined);
      expect(lookup(routes, sender, group)?.from).to.equal(a);
    }
  });

  it('tells the versions apart', () => {
    const routes = routesOf({ group: '224.0.0.0/4' });
    expect(lookup(routes, '2001:db8::1', 'ff0e::1')).to.equal(undefined);
    routes.add({ group: 'ff00::/8', from: a, to: [] });
    expect(lookup(routes, '10.0.0.1', '239.1.1.1')?.group.version).to.equal(4);
    expect(lookup(routes, '2001:db8::1', 'ff0e::1')?.group.version).to.equal(6);
  });

  it('replaces the route of the same source and group, whose counters go on', () => {
    const routes = routesOf({ group: '239.1.1.0/24' });
    const before = lookup(routes, '10.0.0.1', '239.1.1.1');
    if (before === undefined) expect.fail();
    before.packets = 7;
    routes.add({ group: '239.1.1.99/24', from: b, to: [{ device: c, threshold: 16 }] });
    expect(routes.list()).to.have.lengthOf(1);
    expect(lookup(routes, '10.0.0.1', '239.1.1.1')).to.include({ from: b, packets: 7 });
    expect(routes.listensOn(a)).to.equal(false);
    expect(routes.listensOn(b)).to.equal(true);
  });

  it('refuses what cannot be', () => {
    const routes = new MulticastRoutes();
    for (const wrong of [
      { group: '10.0.0.1' },
      { group: '224.0.0.0/3' },
      { group: 'fe80::1' },
      { group: '239.1.1.1', source: '2001:db8::1' },
      { group: '239.1.1.1', source: '239.1.1.2' },
      { group: '239.1.1.1', to: [a] },
      { group: '239.1.1.1', to: [b, { device: b, threshold: 2 }] },
      { group: '239.1.1.1', to: [{ device: b, threshold: 0 }] },
      { group: '239.1.1.1', to: [{ device: b, threshold: 256 }] },
    ]) {
      expect(() => routes.add({ from: a, to: [b], ...wrong }), JSON.stringify(wrong.group))
        .to.throw()
        .with.property('code', 'ERR_INVALID_OPTION');
    }
    expect(() => routes.add({ group: 'nobody', from: a, to: [b] }))
      .to.throw()
      .with.property('code', 'ERR_INVALID_ADDRESS');
    expect(routes.size).to.equal(0);
  });

  it('finds what a list finds, whatever was added and removed', () => {
    const bits = fc.integer({ min: 0, max: 7 });
    const sources = fc.constantFrom(undefined, '10.0.0.0/8', '10.0.0.0/30', '10.0.0.1', '10.0.0.2', '0.0.0.0/0');
    const groups = fc.constantFrom(
      '224.0.0.0/4',
      '239.0.0.0/8',
      '239.0.0.0/29',
      '239.0.0.4/30',
      '239.0.0.1',
      '239.0.0.5',
    );
    const step = fc.record({ group: groups, source: sources, remove: fc.boolean() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 20 }), fc.array(fc.tuple(bits, bits)), (steps, packets) => {
        const routes = new MulticastRoutes();
        let naive: { source: Cidr; group: Cidr }[] = [];
        for (const { group, source, remove } of steps) {
          const entry = { source: Cidr.of(source ?? '0.0.0.0/0'), group: Cidr.of(group) };
          const key = { group, ...(source === undefined ? {} : { source }) };
          const others = naive.filter((one) => !(one.source.equals(entry.source) && one.group.equals(entry.group)));
          if (remove) expect(routes.remove(key)).to.equal(others.length < naive.length);
          else routes.add({ ...key, from: a, to: [b] });
          naive = remove ? others : [...others, entry];
        }
        for (const [sender, member] of packets) {
          const [source, group] = [`10.0.0.${sender}`, `239.0.0.${member}`];
          const [best] = naive
            .filter((one) => one.source.contains(parseIp(source)) && one.group.contains(parseIp(group)))
            .toSorted((one, other) => other.source.length - one.source.length || other.group.length - one.group.length);
          const found = lookup(routes, source, group);
          expect(found && text(found)).to.equal(best && text(best));
        }
      }),
    );
  });
});

function text({ source, group }: { readonly source: Cidr; readonly group: Cidr }): string {
  const from: IpAddress = source.network;
  return `${from.toString()}/${source.length} ${group.toString()}`;
}
