import { expect } from 'chai';
import * as fc from 'fast-check';
import { Ipv4Address, Ipv6Address } from '../../../../lib/core/address.js';
import { UsageError } from '../../../../lib/core/errors.js';
import { isNotGlobal, Nat64Prefix, WELL_KNOWN_PREFIX } from '../../../../lib/l4/nat64/prefix.js';

/** RFC 6052 2.4. */
const EXAMPLES = [
  ['2001:db8::/32', '2001:db8:c000:221::'],
  ['2001:db8:100::/40', '2001:db8:1c0:2:21::'],
  ['2001:db8:122::/48', '2001:db8:122:c000:2:2100::'],
  ['2001:db8:122:300::/56', '2001:db8:122:3c0:0:221::'],
  ['2001:db8:122:344::/64', '2001:db8:122:344:c0:2:2100::'],
  ['2001:db8:122:344::/96', '2001:db8:122:344::c000:221'],
] as const;

describe('Nat64Prefix', () => {
  for (const [prefix, address] of EXAMPLES) {
    it(`embeds 192.0.2.33 behind ${prefix} as the RFC does`, () => {
      const made = new Nat64Prefix(prefix).embed(Ipv4Address.parse('192.0.2.33'));
      expect(made.equals(Ipv6Address.parse(address))).to.equal(true);
      expect(new Nat64Prefix(prefix).extract(made)?.toString()).to.equal('192.0.2.33');
    });
  }

  it('gives every address back, at every length, whatever is behind it', () => {
    fc.assert(
      fc.property(fc.nat(0xffff_ffff), fc.constantFrom(...EXAMPLES), fc.nat(0xff_ffff), (value, [prefix], suffix) => {
        const nat64 = new Nat64Prefix(prefix);
        const { a, b, c, d } = nat64.embed(new Ipv4Address(value));
        expect(nat64.cidr.contains(new Ipv6Address(a, b, c, d))).to.equal(true);
        expect((c & 0xff00_0000) === 0).to.equal(true);
        const tail = nat64.cidr.length === 96 ? 0 : suffix;
        expect(nat64.extract(new Ipv6Address(a, b, c, d | tail))?.value).to.equal(value);
      }),
    );
  });

  it('takes no address of another prefix, and none with bits 64 to 71 set', () => {
    fc.assert(
      fc.property(fc.constantFrom(...EXAMPLES), fc.nat(127), (example, bit) => {
        const nat64 = new Nat64Prefix(example[0]);
        const { a, b, c, d } = Ipv6Address.parse(example[1]);
        const flip = (word: number, index: number) => (bit >>> 5 === index ? word ^ (1 << (31 - (bit & 31))) : word);
        const other = new Ipv6Address(flip(a, 0), flip(b, 1), flip(c, 2), flip(d, 3));
        const counts = bit < nat64.cidr.length || (bit >= 64 && bit < 72);
        expect(nat64.extract(other) === undefined).to.equal(counts);
      }),
    );
  });

  it('knows the well-known prefix, and what it must not stand for', () => {
    expect(new Nat64Prefix().toString()).to.equal(WELL_KNOWN_PREFIX);
    expect(new Nat64Prefix().isWellKnown).to.equal(true);
    expect(new Nat64Prefix('64:ff9b:1::/96').isWellKnown).to.equal(false);
    const not = [
      '0.0.0.1',
      '10.1.2.3',
      '100.64.0.1',
      '127.0.0.1',
      '169.254.1.1',
      '172.31.0.1',
      '192.0.0.1',
      '192.0.2.1',
    ];
    const more = [
      '192.168.0.1',
      '198.18.0.1',
      '198.19.255.1',
      '198.51.100.1',
      '203.0.113.1',
      '224.0.0.1',
      '255.255.255.255',
    ];
    for (const text of [...not, ...more]) expect(isNotGlobal(Ipv4Address.parse(text).value), text).to.equal(true);
    for (const text of ['1.1.1.1', '100.63.0.1', '172.32.0.1', '192.0.1.1', '198.20.0.1', '203.0.114.1', '223.1.1.1']) {
      expect(isNotGlobal(Ipv4Address.parse(text).value), text).to.equal(false);
    }
  });

  it('refuses other lengths, host bits and bits 64 to 71', () => {
    for (const text of [
      '64:ff9b::/95',
      '10.0.0.0/8',
      '64:ff9b::/128',
      '64:ff9b::1/96',
      '64:ff9b:0:0:ff00::/96',
      '64:ff9b:1::/32',
    ]) {
      expect(() => new Nat64Prefix(text), text)
        .to.throw(UsageError)
        .with.property('code', 'ERR_INVALID_OPTION');
    }
  });
});
