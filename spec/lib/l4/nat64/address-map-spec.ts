import { expect } from 'chai';
import * as fc from 'fast-check';
import { Cidr, Ipv4Address, Ipv6Address } from '../../../../lib/core/address.js';
import { UsageError } from '../../../../lib/core/errors.js';
import { AddressMap } from '../../../../lib/l4/nat64/address-map.js';

/** The IPv6 address of an IPv4 one. */
function to6(map: AddressMap, text: string): string | undefined {
  const { value } = Ipv4Address.parse(text);
  if (!map.find4(value | 0)) return undefined;
  const [a = 0, b = 0, c = 0, d = 0] = [0, 1, 2, 3].map((index) => map.word(index, value | 0));
  return new Ipv6Address(a, b, c, d).toString();
}

function to4(map: AddressMap, text: string): string | undefined {
  const { a, b, c, d } = Ipv6Address.parse(text);
  return map.find6(a | 0, b | 0, c | 0, d | 0) ? new Ipv4Address(map.ipv4).toString() : undefined;
}

/** RFC 7757 3.1, figure 1. */
const EXAMPLE = new AddressMap([
  { ipv4: '192.0.2.1', ipv6: '2001:db8:aaaa::' },
  { ipv4: '192.0.2.2/32', ipv6: '2001:db8:bbbb::b/128' },
  { ipv4: '192.0.2.16/28', ipv6: '2001:db8:cccc::/124' },
  { ipv4: '192.0.2.128/26', ipv6: '2001:db8:dddd::/64' },
  { ipv4: '192.0.2.192/29', ipv6: '2001:db8:eeee:8::/62' },
  { ipv4: '192.0.2.224/31', ipv6: '64:ff9b::/127' },
]);

/** RFC 7757 3.3 by text: bits of the addresses as strings. */
function naive(ipv4: Cidr, ipv6: Cidr, address: number): string {
  const bits = (words: readonly number[]) => words.map((word) => (word >>> 0).toString(2).padStart(32, '0')).join('');
  const suffix = bits([address]).slice(ipv4.length);
  const { network } = ipv6;
  const prefix = bits([network.word(0), network.word(1), network.word(2), network.word(3)]).slice(0, ipv6.length);
  const whole = (prefix + suffix).padEnd(128, '0');
  const words = [0, 32, 64, 96].map((at) => Number.parseInt(whole.slice(at, at + 32), 2));
  return new Ipv6Address(words[0] ?? 0, words[1] ?? 0, words[2] ?? 0, words[3] ?? 0).toString();
}

describe('AddressMap', () => {
  it('maps as the table of RFC 7757 does, and back', () => {
    for (const [four, six] of [
      ['192.0.2.1', '2001:db8:aaaa::'],
      ['192.0.2.2', '2001:db8:bbbb::b'],
      ['192.0.2.16', '2001:db8:cccc::'],
      ['192.0.2.24', '2001:db8:cccc::8'],
      ['192.0.2.31', '2001:db8:cccc::f'],
      ['192.0.2.128', '2001:db8:dddd::'],
      ['192.0.2.152', '2001:db8:dddd:0:6000::'],
      ['192.0.2.183', '2001:db8:dddd:0:dc00::'],
      ['192.0.2.191', '2001:db8:dddd:0:fc00::'],
      ['192.0.2.193', '2001:db8:eeee:8:8000::'],
      ['192.0.2.199', '2001:db8:eeee:b:8000::'],
      ['192.0.2.224', '64:ff9b::'],
      ['192.0.2.225', '64:ff9b::1'],
    ] as const) {
      expect(to6(EXAMPLE, four), four).to.equal(six);
      expect(to4(EXAMPLE, six), six).to.equal(four);
    }
    expect(to6(EXAMPLE, '192.0.2.3')).to.equal(undefined);
    expect(to4(EXAMPLE, '2001:db8::1')).to.equal(undefined);
  });

  it('maps any pair of networks as a naive oracle does', () => {
    const pairs = fc
      .tuple(fc.integer({ min: 0, max: 32 }), fc.integer({ min: 0, max: 128 }))
      .filter(([four, six]) => 32 - four <= 128 - six);
    fc.assert(
      fc.property(pairs, fc.nat(0xffff_ffff), fc.nat(0xffff_ffff), (lengths, value, other) => {
        const ipv4 = new Cidr<4>(new Ipv4Address(value), lengths[0]);
        const ipv6 = new Cidr<6>(new Ipv6Address(0x2001_0db8, other, value, other), lengths[1]);
        const map = new AddressMap([{ ipv4, ipv6 }]);
        const text = new Ipv4Address(value).toString();
        const mapped = to6(map, text);
        expect(mapped).to.equal(naive(ipv4, ipv6, value));
        expect(to4(map, mapped ?? '::')).to.equal(text);
      }),
    );
  });

  it('heeds the longest prefix, in either direction', () => {
    const map = new AddressMap([
      { ipv4: '10.0.0.0/8', ipv6: 'fd00::/104' },
      { ipv4: '10.0.0.5', ipv6: 'fd01::5' },
      { ipv4: '11.0.0.5', ipv6: 'fd00::7' },
    ]);
    expect(to6(map, '10.0.0.5')).to.equal('fd01::5');
    expect(to6(map, '10.0.0.6')).to.equal('fd00::6');
    expect(to4(map, 'fd00::7')).to.equal('11.0.0.5');
    expect(to4(map, 'fd00::8')).to.equal('10.0.0.8');
  });

  it('refuses networks that do not fit each other', () => {
    for (const [ipv4, ipv6] of [
      ['10.0.0.0/24', 'fd00::/121'],
      ['fd00::/64', '10.0.0.0/8'],
      ['10.0.0.0/8', '10.0.0.0/8'],
    ] as const) {
      expect(() => new AddressMap([{ ipv4, ipv6 }]))
        .to.throw(UsageError)
        .with.property('code', 'ERR_INVALID_OPTION');
    }
  });
});
