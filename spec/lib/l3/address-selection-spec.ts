import { expect } from 'chai';
import { Cidr, type IpAddress, Ipv6Address, parseIp } from '../../../lib/core/address.js';
import type { Device } from '../../../lib/core/device.js';
import { type Ipv6AddressState, Ipv6Addresses } from '../../../lib/l3/addresses6.js';
import { orderDestinations } from '../../../lib/l3/destination-order.js';
import { IpTables } from '../../../lib/l3/ip-tables.js';
import { PolicyTable } from '../../../lib/l3/policy-table.js';
import { Scope, scopeOf, scopeOfIp } from '../../../lib/l3/scope.js';
import { fakeDevice, type VirtualEnv, virtualEnv } from '../l2/fake-device.js';

const ip6 = (text: string) => Ipv6Address.parse(text);

describe('policy table', () => {
  // RFC 6724 2.1.
  const rows: readonly (readonly [string, number, number])[] = [
    ['::1', 50, 0],
    ['2001:db8::1', 40, 1],
    ['fe80::1', 40, 1],
    ['10.0.0.1', 35, 4],
    ['::ffff:10.0.0.1', 35, 4],
    ['2002:c000:204::1', 30, 2],
    ['2001::1', 5, 5],
    ['2001:1::1', 40, 1],
    ['fd00::1', 3, 13],
    ['fc00::1', 3, 13],
    ['::10.0.0.1', 1, 3],
    ['::', 1, 3],
    ['fec0::1', 1, 11],
    ['3ffe::1', 1, 12],
  ];
  for (const [address, precedence, label] of rows) {
    it(`6724: ${address} has precedence ${precedence} and label ${label} (RFC 6724 2.1)`, () => {
      const one = parseIp(address);
      expect([PolicyTable.DEFAULT.precedence(one), PolicyTable.DEFAULT.label(one)]).to.deep.equal([precedence, label]);
    });
  }

  it('6724: takes the longest prefix of a table of the user’s, in whatever order', () => {
    const table = new PolicyTable([
      { prefix: '::/0', precedence: 1, label: 1 },
      { prefix: '2001:db8:1::/48', precedence: 3, label: 3 },
      { prefix: '2001:db8::/32', precedence: 2, label: 2 },
    ]);
    const labels = ['2001:db8:1::9', '2001:db8:2::9', '2001:db9::9'].map((text) => table.label(ip6(text)));
    expect(labels).to.deep.equal([3, 2, 1]);
  });

  it('refuses IPv4 prefixes, and a table that leaves addresses out', () => {
    expect(() => new PolicyTable([{ prefix: '10.0.0.0/8', precedence: 1, label: 1 }])).to.throw('::ffff:0:0/96');
    expect(() => new PolicyTable([{ prefix: '::/1', precedence: 1, label: 1 }])).to.throw('::/0');
  });
});

describe('scopes', () => {
  it('4007: of unicast and multicast addresses of both versions (RFC 4007 4, RFC 4291 2.7, RFC 6724 3)', () => {
    const scopes = ['fe80::1', '::1', 'fec0::1', 'fd00::1', '2001:db8::1', 'ff01::1', 'ff02::1', 'ff05::1', 'ff0e::1'];
    expect(scopes.map((text) => scopeOf(ip6(text)))).to.deep.equal([
      Scope.Link,
      Scope.Link,
      Scope.Site,
      Scope.Global,
      Scope.Global,
      Scope.Interface,
      Scope.Link,
      Scope.Site,
      Scope.Global,
    ]);
    const four = ['127.0.0.1', '169.254.1.1', '10.0.0.1', '192.0.2.1'].map((text) => scopeOfIp(parseIp(text)));
    expect(four).to.deep.equal([Scope.Link, Scope.Link, Scope.Global, Scope.Global]);
  });
});

describe('source address selection', () => {
  let env: VirtualEnv;
  let eth: Device;
  let other: Device;
  beforeEach(() => {
    env = virtualEnv();
    eth = fakeDevice(env, { name: 'eth' });
    other = fakeDevice(env, { name: 'other' });
  });

  type Own = string | readonly [string, Ipv6AddressState & { readonly on?: 'other' }];
  /** What is chosen, in whichever order the addresses were added. */
  function chosen(own: readonly Own[], target: string): string | undefined {
    const results = [own, own.toReversed()].map((order) => {
      const addresses = new Ipv6Addresses();
      for (const one of order) {
        const [cidr, { on, ...state }] = typeof one === 'string' ? [one, {}] : [one[0], { ...one[1] }];
        addresses.add(on === 'other' ? other : eth, Cidr.parse(cidr), state);
      }
      return addresses.sourceFor(eth, ip6(target))?.toString();
    });
    expect(results[1], 'does not depend on the order').to.equal(results[0]);
    return results[0];
  }

  // [rule, our addresses, destination, chosen]; many are the examples of RFC 6724 10.1.
  const table: readonly (readonly [string, readonly Own[], string, string | undefined])[] = [
    ['rule 1: the destination itself', ['2001:db8:1::1/64', '2001:db8:2::1/64'], '2001:db8:2::1', '2001:db8:2::1'],
    ['rule 2: a scope that is large enough', ['2001:db8:3::1/64', 'fe80::1/64'], '2001:db8:1::1', '2001:db8:3::1'],
    ['rule 2: the largest where none is', ['fec0::1/64', 'fe80::1/64'], 'ff0e::1', 'fec0::1'],
    ['rule 2: the smallest that is', ['2001:db8:3::1/64', 'fe80::1/64'], 'fe80::2', 'fe80::1'],
    ['rule 2: for groups of the link, too', ['2001:db8:3::1/64', 'fe80::1/64'], 'ff02::1', 'fe80::1'],
    ['rule 2: for groups of the site', ['2001:db8:3::1/64', 'fe80::1/64'], 'ff05::1', '2001:db8:3::1'],
    [
      'rule 3: not a deprecated one',
      [['2001:db8:1::2/64', { deprecated: true }], '2001:db8:3::2/64'],
      '2001:db8:1::1',
      '2001:db8:3::2',
    ],
    [
      'rule 3: a deprecated one of the right scope',
      [['2001:db8:1::2/64', { deprecated: true }], 'fe80::1/64'],
      '2001:db8:1::1',
      '2001:db8:1::2',
    ],
    [
      'rule 5: of the interface that it leaves by',
      ['2001:db8:3::1/64', ['2001:db8:1::2/64', { on: 'other' }]],
      '2001:db8:1::1',
      '2001:db8:3::1',
    ],
    [
      'rule 6: of the same label',
      ['2002:c633:6401::d5e3:7953:13eb:22e8/64', '2001:db8:1::2/64'],
      '2002:c633:6401::1',
      '2002:c633:6401:0:d5e3:7953:13eb:22e8',
    ],
    ['rule 6: unique local with unique local', ['2001:db8:1::2/64', 'fd00:1::2/64'], 'fd00:2::1', 'fd00:1::2'],
    [
      'rule 7: the temporary one (RFC 8981)',
      ['2001:db8:1::2/64', ['2001:db8:1::d5e3:0:0:1/64', { temporary: true }]],
      '2001:db8:1::d5e3:0:0:2',
      '2001:db8:1:0:d5e3::1',
    ],
    ['rule 8: the longest common prefix', ['2001:db8:1::2/64', '2001:db8:3::2/64'], '2001:db8:1::1', '2001:db8:1::2'],
    [
      'rule 4007: no link-local address of another link',
      [
        ['fe80::9/64', { on: 'other' }],
        ['2001:db8:1::2/64', { on: 'other' }],
      ],
      '2001:db8:5::1',
      '2001:db8:1::2',
    ],
    [
      'rule 4007: nothing of another link to a neighbour',
      [['2001:db8:1::2/64', { on: 'other' }]],
      'fe80::5',
      undefined,
    ],
    ['rule 4007: nothing of another link to a group', [['2001:db8:1::2/64', { on: 'other' }]], 'ff0e::5', undefined],
    [
      '4862-2: never a tentative one',
      [['2001:db8:1::2/64', { tentative: true }], 'fe80::1/64'],
      '2001:db8::1',
      'fe80::1',
    ],
  ];
  for (const [rule, own, target, source] of table) {
    it(`6724: ${rule}`, () => expect(chosen(own, target)).to.equal(source));
  }

  it('6724: rule 8 counts no interface identifiers (RFC 6724 2.2): the first of equals', () => {
    const addresses = new Ipv6Addresses();
    for (const text of ['2001:db8:1::1/64', '2001:db8:1::f/64']) addresses.add(eth, Cidr.parse(text));
    expect(addresses.sourceFor(eth, ip6('2001:db8:1::e'))?.toString()).to.equal('2001:db8:1::1');
  });

  it('6724: heeds a policy table of the user’s', () => {
    const addresses = new Ipv6Addresses();
    for (const text of ['2001:db8:1::1/64', '2001:db8:2::1/64']) addresses.add(eth, Cidr.parse(text));
    expect(addresses.sourceFor(eth, ip6('2001:db8:1::9'))?.toString()).to.equal('2001:db8:1::1');
    addresses.policies = new PolicyTable([
      { prefix: '::/0', precedence: 40, label: 1 },
      { prefix: '2001:db8:1::9/128', precedence: 40, label: 7 },
      { prefix: '2001:db8:2::/64', precedence: 40, label: 7 },
    ]);
    expect(addresses.sourceFor(eth, ip6('2001:db8:1::9'))?.toString()).to.equal('2001:db8:2::1');
  });
});

describe('destination address selection', () => {
  /** The order of some destinations, given the source that each would have. */
  function ordered(
    ways: readonly (readonly [string, string | undefined])[],
    deprecated: readonly string[] = [],
  ): string[] {
    const sources = new Map(ways);
    const path = (destination: IpAddress) => {
      const source = sources.get(destination.toString());
      return source === undefined ? undefined : { source: parseIp(source) };
    };
    const order = (list: readonly string[]) =>
      orderDestinations(list.map(parseIp), { path }, (source) => deprecated.includes(source.toString())).map(String);
    const given = ways.map(([destination]) => destination);
    const result = order(given);
    expect(order(given.toReversed()), 'does not depend on the order').to.deep.equal(result);
    return result;
  }

  // [rule, destinations in the right order with the sources they have, deprecated sources]; after RFC 6724 10.2.
  const table: readonly (readonly [
    string,
    readonly (readonly [string, string | undefined])[],
    (readonly string[])?,
  ])[] = [
    [
      'rule 1: what can be reached',
      [
        ['10.0.0.1', '10.0.0.2'],
        ['2001:db8:1::1', undefined],
      ],
    ],
    [
      'rule 2: where the scopes match',
      [
        ['198.51.100.121', '198.51.100.117'],
        ['2001:db8:1::1', 'fe80::1'],
      ],
    ],
    [
      'rule 2: not a global IPv4 destination from a link-local source',
      [
        ['2001:db8:1::1', '2001:db8:1::2'],
        ['198.51.100.121', '169.254.13.78'],
      ],
    ],
    [
      'rule 3: not by a deprecated source',
      [
        ['2001:db8:3::1', '2001:db8:3::2'],
        ['2001:db8:1::1', '2001:db8:1::2'],
      ],
      ['2001:db8:1::2'],
    ],
    [
      'rule 5: where the labels match',
      [
        ['2002:c633:6401::1', '2002:c633:6401::2'],
        ['2001:db8:1::1', '2002:c633:6401::2'],
      ],
    ],
    [
      'rule 6: IPv6 before IPv4',
      [
        ['2001:db8:1::1', '2001:db8:1::2'],
        ['10.1.2.3', '10.1.2.4'],
      ],
    ],
    [
      'rule 6: IPv4 before unique local',
      [
        ['10.1.2.3', '10.1.2.4'],
        ['fd00::1', 'fd00::2'],
      ],
    ],
    [
      'rule 6: native before 6to4',
      [
        ['2001:db8:1::1', '2001:db8:1::2'],
        ['2002:c633:6401::1', '2002:c633:6401::2'],
      ],
    ],
    [
      'rule 8: the smaller scope',
      [
        ['fe80::1', 'fe80::2'],
        ['2001:db8:1::1', '2001:db8:1::2'],
      ],
    ],
    [
      'rule 9: the longer common prefix',
      [
        ['2001:db8:1::1', '2001:db8:1::2'],
        ['2001:db8:3ffe::1', '2001:db8:1::2'],
      ],
    ],
  ];
  for (const [rule, ways, deprecated] of table) {
    it(`6724: ${rule}`, () =>
      expect(ordered(ways, deprecated)).to.deep.equal(ways.map(([destination]) => destination)));
  }

  it('6724: rule 10: equals stay as they are, IPv4 addresses of any prefix among them', () => {
    const path = (to: IpAddress) => ({ source: parseIp(to.version === 4 ? '10.0.0.1' : '2001:db8::1') });
    for (const list of [
      ['10.9.0.1', '10.0.0.9', '172.16.0.1'],
      ['2001:db8::f', '2001:db8::3', '2001:db8::e'],
    ]) {
      expect(orderDestinations(list.map(parseIp), { path }).map(String)).to.deep.equal(list);
    }
  });

  it('6724: with the addresses and routes of a host, and its policies', () => {
    const env = virtualEnv();
    const eth = fakeDevice(env);
    const tables = new IpTables(env);
    tables.addAddress(eth, 'fe80::1/64');
    tables.addAddress(eth, '10.0.0.1/24');
    tables.addRoute({ destination: 'default', gateway: '10.0.0.254', device: eth });
    const order = () =>
      orderDestinations(['2001:db8:9::1', '192.0.2.1'].map(parseIp), tables, undefined, tables.addresses6.policies).map(
        String,
      );
    expect(order()).to.deep.equal(['192.0.2.1', '2001:db8:9::1']);
    tables.addAddress(eth, '2001:db8:1::1/64');
    tables.addRoute({ destination: 'default', gateway: 'fe80::9', device: eth });
    expect(order()).to.deep.equal(['2001:db8:9::1', '192.0.2.1']);
    tables.addresses6.policies = new PolicyTable([
      { prefix: '::/0', precedence: 40, label: 1 },
      { prefix: '::ffff:0:0/96', precedence: 100, label: 4 },
    ]);
    expect(order()).to.deep.equal(['192.0.2.1', '2001:db8:9::1']);
  });
});
