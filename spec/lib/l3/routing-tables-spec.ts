import { expect } from 'chai';
import * as fc from 'fast-check';
import { type Address, addressBits, Cidr, type IpAddress, type IpVersion, parseIp } from '../../../lib/core/address.js';
import type { Device } from '../../../lib/core/device.js';
import type { Route } from '../../../lib/l3/routes.js';
import { RouteQuery } from '../../../lib/l3/routing-query.js';
import type { RoutingRule } from '../../../lib/l3/routing-rules.js';
import { MAIN_RULE, RoutingTables } from '../../../lib/l3/routing-tables.js';
import { device, hopOf, route } from './ways-of-flows.js';

type Version = 4 | 6;

const [LAN, WAN] = [device('lan'), device('wan')] as const;
const TABLES = ['main', 'one', 2, 'nothing'] as const;
const ADDRESSES = {
  4: ['10.0.0.1', '10.1.0.1', '192.168.0.1'],
  6: ['2001:db8::1', '2001:db8:1::1', 'fd00::1'],
};
const PREFIXES = {
  4: ['0.0.0.0/0', '10.0.0.0/8', '10.1.0.0/16', '10.0.0.1/32'],
  6: ['::/0', '2001:db8::/32', '2001:db8:1::/48', '2001:db8::1/128'],
};

interface Packet {
  readonly from: IpAddress;
  readonly to: IpAddress;
  readonly device: Device | undefined;
  readonly mark: number;
  readonly dscp: number;
}

function queryOf({ from, to, device: by, mark, dscp }: Packet): RouteQuery {
  const query = new RouteQuery();
  [query.a, query.b, query.c, query.d] = words(to);
  [query.source0, query.source1, query.source2, query.source3] = words(from);
  query.device = by;
  query.mark = mark;
  query.dscp = dscp;
  return query;
}

function words(address: IpAddress): [number, number, number, number] {
  return [address.word(0) | 0, address.word(1) | 0, address.word(2) | 0, address.word(3) | 0];
}

/** What rules are, word by word. */
function naive(rules: readonly RoutingRule[], tables: ReadonlyMap<unknown, readonly Route[]>, packet: Packet): unknown {
  const inOrder = rules.map((rule, index) => ({ rule, index }));
  inOrder.sort((one, other) => one.rule.priority - other.rule.priority || one.index - other.index);
  for (const { rule } of inOrder) {
    const asked = [
      rule.from === undefined || Cidr.of(rule.from).contains(packet.from),
      rule.to === undefined || Cidr.of(rule.to).contains(packet.to),
      rule.device === undefined || rule.device === packet.device,
      rule.mark === undefined || and(packet.mark, rule.mask) === and(rule.mark, rule.mask),
      rule.dscp === undefined || rule.dscp === packet.dscp,
      rule.origin === undefined || rule.origin === (packet.device === undefined ? 'local' : 'forwarded'),
    ];
    if (asked.every(Boolean) === (rule.invert === true)) continue;
    if (rule.action !== undefined) return rule.action;
    const fitting = (tables.get(rule.table) ?? []).filter(({ destination }) => destination.contains(packet.to));
    fitting.sort((one, other) => other.destination.length - one.destination.length);
    const [best] = fitting;
    if (best !== undefined && best.destination.length > (rule.suppressPrefixLength ?? -1)) return hopOf(best);
  }
  return undefined;
}

function and(mark: number, mask = 0xffff_ffff): bigint {
  return BigInt(mark) & BigInt(mask);
}

function rule(version: Version): fc.Arbitrary<RoutingRule> {
  const mark = fc.constantFrom(0, 1, 3, 0x8000_0000, 0xffff_ffff);
  const prefix = fc.constantFrom(...PREFIXES[version]);
  const selector = {
    priority: fc.nat(4),
    from: prefix,
    to: prefix,
    device: fc.constantFrom(LAN, WAN),
    mark,
    mask: mark,
    dscp: fc.constantFrom(0, 46),
    origin: fc.constantFrom('local' as const, 'forwarded' as const),
    invert: fc.boolean(),
  };
  const action = fc.constantFrom('blackhole' as const, 'unreachable' as const, 'prohibit' as const);
  const table = {
    table: fc.constantFrom(...TABLES),
    suppressPrefixLength: fc.constantFrom(0, 8, addressBits(version)),
  };
  return fc.oneof(
    { arbitrary: fc.record({ ...selector, ...table }, { requiredKeys: ['priority', 'table'] }), weight: 4 },
    { arbitrary: fc.record({ ...selector, action }, { requiredKeys: ['priority', 'action'] }), weight: 1 },
  );
}

function packet(version: Version): fc.Arbitrary<Packet> {
  const address = fc.constantFrom(...ADDRESSES[version]).map(parseIp);
  return fc.record({
    from: address,
    to: address,
    device: fc.constantFrom(LAN, WAN, undefined),
    mark: fc.constantFrom(0, 1, 2, 3, 0x8000_0001, 0xffff_ffff),
    dscp: fc.constantFrom(0, 46),
  });
}

for (const version of [4, 6] as const) {
  const [everything, wide, narrow] = PREFIXES[version] as [string, string, string];
  const [host, other, elsewhere] = ADDRESSES[version].map(parseIp) as [IpAddress, IpAddress, IpAddress];
  const make = () => new RoutingTables<IpVersion>(version);
  const from = (source: IpAddress, more: Partial<Packet> = {}): RouteQuery =>
    queryOf({ from: source, to: host, device: LAN, mark: 0, dscp: 0, ...more });

  describe(`RoutingTables of IPv${version}`, () => {
    it('does what a naive interpreter of the rules does', () => {
      const routes = fc.uniqueArray(
        fc.tuple(fc.constantFrom(...TABLES.slice(0, 3)), fc.constantFrom(...PREFIXES[version])),
        {
          selector: ([table, prefix]) => `${table} ${prefix}`,
        },
      );
      const property = fc.property(
        routes,
        fc.array(rule(version), { maxLength: 6 }),
        fc.array(packet(version), { minLength: 1, maxLength: 20 }),
        (given, rules, packets) => {
          const tables = make();
          const lists = new Map<unknown, Route[]>();
          for (const [i, [table, prefix]] of given.entries()) {
            const one = route<IpVersion>(prefix, i + 1);
            tables.table(table).add(one);
            lists.set(table, [...(lists.get(table) ?? []), one]);
          }
          tables.replaceRules(rules);
          for (const one of packets) {
            const found = tables.find(queryOf(one));
            expect(found?.type ?? hopOf(found)).to.equal(naive(rules, lists, one));
            const alone = {
              ...one,
              from: parseIp(version === 4 ? '0.0.0.0' : '::'),
              device: undefined,
              mark: 0,
              dscp: 0,
            };
            const local = tables.lookup(...words(one.to));
            expect(local?.type ?? hopOf(local)).to.equal(naive(rules, lists, alone));
            if (tables.isByDestination) expect(found).to.equal(local);
          }
        },
      );
      fc.assert(property, { numRuns: 500 });
    });

    it('is the table main at first', () => {
      const tables = make();
      tables.add(route(wide, 1));
      expect(tables.rules()).to.deep.equal([MAIN_RULE]);
      expect(tables.table('main')).to.equal(tables.main);
      expect(tables.table(254)).to.equal(tables.main);
      expect(hopOf(tables.find(from(host)))).to.equal(1);
      expect(hopOf(tables.lookup(...words(host)))).to.equal(1);
      expect(tables.list()).to.deep.equal(tables.main.list());
      expect(tables.isByDestination).to.equal(true);
    });

    it('routes by the sender, and by main where that table has no route', () => {
      const tables = make();
      tables.add(route(everything, 1));
      tables.table('guests').add(route(narrow, 2));
      tables.addRule({ priority: 100, from: narrow, table: 'guests' });
      expect(tables.isByDestination).to.equal(false);
      expect(hopOf(tables.find(from(other, { to: other })))).to.equal(2);
      expect(hopOf(tables.find(from(other, { to: elsewhere })))).to.equal(1);
      expect(hopOf(tables.find(from(elsewhere, { to: other })))).to.equal(1);
      expect(tables.removeRules(({ priority }) => priority === 100)).to.equal(1);
      expect(hopOf(tables.find(from(other, { to: other })))).to.equal(1);
    });

    it('ends the way where a rule or a route says so', () => {
      const tables = make();
      tables.add(route(everything, 1));
      tables.table(7).add(route(wide, 2, { type: 'blackhole' }));
      tables.addRule({ priority: 1, mark: 1, action: 'prohibit' });
      tables.addRule({ priority: 2, mark: 2, mask: 2, table: 7 });
      expect(tables.find(from(host, { mark: 1 }))?.type).to.equal('prohibit');
      expect(tables.find(from(host, { mark: 0xffff_ffff }))?.type).to.equal('blackhole');
      expect(tables.find(from(host, { mark: 4 }))?.type).to.equal(undefined);
    });

    it('takes only specific routes of a table whose short ones are suppressed', () => {
      const tables = make();
      tables.add(route(everything, 1));
      tables.add(route(narrow, 2));
      tables.table('vpn').add(route(everything, 3));
      tables.replaceRules([
        { priority: 1, table: 'main', suppressPrefixLength: 0 },
        { priority: 2, table: 'vpn' },
      ]);
      expect(hopOf(tables.find(from(host, { to: other })))).to.equal(2);
      expect(hopOf(tables.find(from(host, { to: elsewhere })))).to.equal(3);
    });

    it('tells of each change, in any table and of rules', () => {
      const tables = make();
      const changes: (() => unknown)[] = [
        () => tables.add(route(wide, 1)),
        () => tables.table('x').add(route(wide, 1)),
        () => tables.addRule({ priority: 1, table: 'x' }),
        () => tables.removeDevice(route(wide, 1).device),
        () => tables.replaceRules([]),
      ];
      for (const change of changes) {
        const { version: before } = tables;
        change();
        expect(tables.version).to.be.above(before);
      }
      expect(tables.table('x').size).to.equal(0);
      expect(tables.size).to.equal(0);
      expect(tables.find(from(host))).to.equal(undefined);
    });

    it('avoids gateways in all tables', () => {
      const tables = make();
      const [bad, good] = [route<IpVersion>(wide, 1), route<IpVersion>(wide, 2, { metric: 5 })];
      for (const one of [bad, good]) tables.table('x').add(one);
      tables.replaceRules([{ priority: 1, table: 'x' }]);
      const gateway = bad.gateway as Address<IpVersion>;
      expect(tables.avoid(bad.device, gateway)).to.equal(true);
      expect(tables.avoided).to.have.length(1);
      expect(tables.goBy(bad.device, gateway)).to.equal(true);
      expect(hopOf(tables.find(from(host)))).to.equal(2);
      tables.trust(bad.device, gateway);
      expect(hopOf(tables.find(from(host)))).to.equal(1);
      tables.avoid(bad.device, gateway);
      tables.trustAll();
      expect(hopOf(tables.find(from(host)))).to.equal(1);
      tables.table('x').clear();
      expect(tables.goBy(bad.device, gateway)).to.equal(false);
    });

    it('rejects wrong rules, and keeps those that there are', () => {
      const tables = make();
      const wrong: RoutingRule[] = [
        { priority: -1, table: 1 },
        { priority: 2 ** 32, table: 1 },
        { priority: 1 },
        { priority: 1, table: 1, action: 'blackhole' },
        { priority: 1, table: 1, mark: -1 },
        { priority: 1, table: 1, mark: 1, mask: 2 ** 32 },
        { priority: 1, table: 1, dscp: 64 },
        { priority: 1, table: 1, suppressPrefixLength: 129 },
        { priority: 1, action: 'blackhole', suppressPrefixLength: 1 },
        { priority: 1, table: 1, from: version === 4 ? '::/0' : '0.0.0.0/0' },
      ];
      for (const one of wrong) {
        expect(() => tables.replaceRules([one]), JSON.stringify(one))
          .to.throw()
          .with.property('code', 'ERR_INVALID_OPTION');
      }
      expect(tables.rules()).to.deep.equal([MAIN_RULE]);
    });
  });
}
