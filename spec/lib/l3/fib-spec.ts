import { expect } from 'chai';
import * as fc from 'fast-check';
import { type Address, addressBits, Cidr, Ipv4Address, Ipv6Address, parseIp } from '../../../lib/core/address.js';
import type { Device } from '../../../lib/core/device.js';
import { Fib, NOWHERE } from '../../../lib/l3/fib.js';
import { type Route, RouteTable } from '../../../lib/l3/routes.js';
import { device } from './ways-of-flows.js';

type Version = 4 | 6;

const DEVICES = ['left', 'right', 'middle'].map(device);

function at<V extends Version>(fib: Pick<Fib<V>, 'lookup'>, text: string, flow?: number): Route<V> | undefined {
  const address = parseIp(text);
  return fib.lookup(address.word(0), address.word(1), address.word(2), address.word(3), flow);
}

function cidr<V extends Version>(text: string): Cidr<V> {
  return Cidr.parse(text);
}

/** Few prefixes, many of them in one another. */
function destination<V extends Version>(version: V): fc.Arbitrary<Cidr<V>> {
  const most = addressBits(version);
  const word = fc.constantFrom(0, 0xffff_ffff, 0x2001_0db8, 0x2001_0db9, 0x8000_0000);
  return fc.tuple(word, word, word, word, fc.nat(most)).map(([a, b, c, d, length]) => {
    const address = version === 4 ? new Ipv4Address(d) : new Ipv6Address(a, b, c, d);
    return new Cidr<V>(new Cidr(address, length).network as Address<V>, length);
  });
}

function route<V extends Version>(version: V): fc.Arbitrary<Route<V>> {
  return fc.record(
    {
      destination: destination(version),
      device: fc.constantFrom(...DEVICES),
      gateway: fc.constantFrom(...GATEWAYS[version]) as fc.Arbitrary<Address<V>>,
      metric: fc.nat(3),
    },
    { requiredKeys: ['destination', 'device', 'metric'] },
  ) as fc.Arbitrary<Route<V>>;
}

const GATEWAYS = {
  4: [new Ipv4Address(1), new Ipv4Address(2)],
  6: [new Ipv6Address(0, 0, 0, 1), new Ipv6Address(0, 0, 0, 2)],
};

type Step<V extends Version> =
  | { readonly kind: 'add' | 'remove' | 'avoid' | 'go by' | 'trust'; readonly route: Route<V> }
  | { readonly kind: 'remove device'; readonly route: Route<V> };

function step<V extends Version>(version: V): fc.Arbitrary<Step<V>> {
  const kind = fc.constantFrom(
    'add',
    'add',
    'add',
    'add',
    'remove',
    'avoid',
    'go by',
    'trust',
    'remove device' as const,
  );
  return fc.record({ kind, route: route(version) }) as fc.Arbitrary<Step<V>>;
}

function apply<V extends Version>(table: Fib<V> | RouteTable<V>, { kind, route: one }: Step<V>): unknown {
  const { device: by, gateway, destination: to } = one;
  if (kind === 'add') return table.add(one);
  if (kind === 'remove') return table.remove(({ destination: other }) => other.equals(to));
  if (kind === 'remove device') return table.remove((other) => other.device === by);
  if (gateway === undefined) return undefined;
  if (kind === 'avoid') return table.avoid(by, gateway);
  if (kind === 'go by') return table.goBy(by, gateway);
  return table.trust(by, gateway);
}

const textOf = ({ destination: to, device: by, gateway, metric = 0 }: Route) =>
  `${to.toString()} ${by.name} ${gateway?.toString()} ${metric}`;

for (const version of [4, 6] as const) {
  const net = version === 4 ? '10.0.0.0/8' : '2001:db8::/32';
  const host = version === 4 ? '10.1.2.3' : '2001:db8::1';
  const [first, second] = GATEWAYS[version] as [Address<Version>, Address<Version>];
  const [left, right] = DEVICES as [Device, Device];

  describe(`Fib of IPv${version}`, () => {
    const make = () => new Fib<Version>(version);
    const to = (more: Partial<Route<Version>> = {}): Route<Version> => ({
      destination: cidr(net),
      device: left,
      ...more,
    });

    it('finds the routes that a simple table does, but for which of equally good ones', () => {
      const property = fc.property(
        fc.array(step(version), { maxLength: 40 }),
        fc.array(destination(version), { maxLength: 20 }),
        (steps, probes) => {
          const fib = new Fib<typeof version>(version);
          const table = new RouteTable<typeof version>();
          for (const one of steps) {
            expect(apply(fib, one)).to.equal(apply(table, one));
            expect(fib.size).to.equal(table.size);
          }
          for (const { address } of [...probes, ...steps.map(({ route: { destination: one } }) => one)]) {
            const words = [address.word(0), address.word(1), address.word(2), address.word(3)] as const;
            const found = fib.lookup(...words, 7);
            const wanted = table.lookup(...words);
            expect(found?.destination.toString()).to.equal(wanted?.destination.toString());
            expect(found?.metric).to.equal(wanted?.metric);
            if (found !== undefined && fib.isByDestination) expect(found).to.equal(wanted);
          }
          expect(fib.list().map(textOf).sort()).to.deep.equal(table.list().map(textOf).sort());
          const lengths = fib.list().map(({ destination: one }) => one.length);
          expect(lengths).to.deep.equal([...lengths].sort((one, other) => other - one));
          for (const { destination: one } of table.list()) {
            expect(fib.at(one).map(textOf).sort()).to.deep.equal(table.at(one).map(textOf).sort());
          }
        },
      );
      fc.assert(property, { numRuns: 300 });
    });

    it('replaces a route by the same way, and tells that answers may have changed', () => {
      const fib = make();
      fib.add(to({ gateway: first }));
      const { version: before } = fib;
      fib.add(to({ gateway: first, mtu: 1280 }));
      expect(fib.version).to.be.above(before);
      expect(fib.size).to.equal(1);
      expect(at(fib, host)?.mtu).to.equal(1280);
    });

    it('answers with the same object each time', () => {
      const fib = make();
      const one = to();
      fib.add(one);
      expect(at(fib, host)).to.equal(one);
    });

    it('takes the lowest metric, and the next when that has gone', () => {
      const fib = make();
      fib.add(to({ gateway: first, metric: 20 }));
      fib.add(to({ gateway: second, metric: 10 }));
      expect(at(fib, host)?.metric).to.equal(10);
      expect(fib.at(cidr(net)).map(({ metric }) => metric)).to.deep.equal([10, 20]);
      expect(fib.removeAt(cidr(net), ({ metric }) => metric === 10)).to.equal(1);
      expect(at(fib, host)?.metric).to.equal(20);
      expect(fib.removeAt(cidr(net))).to.equal(1);
      expect(at(fib, host)).to.equal(undefined);
    });

    it('removes the routes of a device, and no others', () => {
      const fib = make();
      fib.add(to({ gateway: first }));
      fib.add(to({ gateway: first, device: right }));
      fib.add({ destination: cidr(`${host}/32`), device: left });
      expect(fib.removeDevice(left)).to.equal(2);
      expect(fib.list().map((one) => one.device)).to.deep.equal([right]);
      expect(fib.isByDestination).to.equal(true);
    });

    it('replaces all routes at once, or none', () => {
      const fib = make();
      fib.add(to({ gateway: first }));
      const other = version === 4 ? '::/0' : '0.0.0.0/0';
      const bad = [to({ gateway: second }), { destination: cidr<Version>(other), device: left }];
      expect(() => fib.replace(bad))
        .to.throw()
        .with.property('code', 'ERR_INVALID_OPTION');
      expect(at(fib, host)?.gateway).to.equal(first);
      fib.replace([to({ gateway: second })]);
      expect(at(fib, host)?.gateway).to.equal(second);
      expect(fib.size).to.equal(1);
      const next = make();
      next.add(to({ device: right }));
      fib.replace(next);
      expect(at(fib, host)?.device).to.equal(right);
      expect(next.size).to.equal(0);
      expect(at(next, host)).to.equal(undefined);
    });

    it('goes on avoiding gateways when all routes are replaced', () => {
      const fib = make();
      const both = [to({ gateway: first }), to({ gateway: second, metric: 5 })];
      fib.replace(both);
      expect(fib.avoid(left, first)).to.equal(true);
      expect(at(fib, host)?.gateway).to.equal(second);
      fib.replace(both);
      expect(at(fib, host)?.gateway).to.equal(second);
      fib.trustAll();
      expect(at(fib, host)?.gateway).to.equal(first);
    });

    it('has some route that packets are sent by, if there is one', () => {
      for (const table of [make(), new RouteTable<Version>()]) {
        expect(table.any()).to.equal(undefined);
        table.add(to({ type: 'blackhole', device: NOWHERE }));
        expect(table.any()).to.equal(undefined);
        table.add({ destination: cidr(host), device: right });
        expect(table.any()?.device).to.equal(right);
      }
    });

    it('rejects what is wrong', () => {
      for (const more of [{ metric: -1 }, { metric: 1.5 }, { weight: 0 }, { weight: 257 }]) {
        expect(() => make().add(to(more)))
          .to.throw()
          .with.property('code', 'ERR_INVALID_OPTION');
      }
    });
  });
}
