import { expect } from 'chai';
import * as fc from 'fast-check';
import { Cidr, Ipv6Address, parseIp } from '../../../../lib/core/address.js';
import { UsageError } from '../../../../lib/core/errors.js';
import { PrefixPair } from '../../../../lib/l4/nat64/prefix-pair.js';
import { addressBytes, plainSum } from '../../wire/plain-packets.js';

const words = ({ a, b, c, d }: Ipv6Address): Int32Array => Int32Array.of(a, b, c, d);
const text = ([a = 0, b = 0, c = 0, d = 0]: Int32Array): string => new Ipv6Address(a, b, c, d).toString();

describe('PrefixPair', () => {
  it('maps as the example of RFC 6296 3.1 does', () => {
    const pair = new PrefixPair('fd01:203:405::/48', '2001:db8:1::/48');
    expect(pair.externalOf(parseIp('fd01:203:405:1::1234'))?.toString()).to.equal('2001:db8:1:d550::1234');
  });

  it('changes no checksum, and gives every address back, at every length', () => {
    const any = fc.nat(0xffff_ffff);
    const lengths = fc.integer({ min: 1, max: 112 });
    fc.assert(
      fc.property(any, any, any, any, any, any, lengths, (a, b, c, d, e, f, length) => {
        const internal = new Cidr<6>(new Ipv6Address(a, b, c, d), length);
        const external = new Cidr<6>(new Ipv6Address(~a, e, f, b), length);
        const pair = new PrefixPair(internal, external);
        const host = words(new Ipv6Address(a, b, c, d));
        const before = text(host);
        if (!pair.toExternal(host)) return;
        expect(pair.isExternal(host[0] ?? 0, host[1] ?? 0, host[2] ?? 0, host[3] ?? 0)).to.equal(true);
        const sum = (address: string) => plainSum(addressBytes(parseIp(address))) % 0xffff;
        expect(sum(text(host))).to.equal(sum(before));
        expect(pair.toInternal(host)).to.equal(true);
        expect(text(host)).to.equal(before);
      }),
    );
  });

  it('maps IPv4 by the bits behind the prefix', () => {
    const pair = new PrefixPair('10.1.0.0/20', '203.0.112.0/20');
    expect(pair.externalOf(parseIp('10.1.15.200'))?.toString()).to.equal('203.0.127.200');
    expect(pair.externalOf(parseIp('10.1.16.0'))).to.equal(undefined);
    const back = Int32Array.of(0, 0, 0xffff, 0xcb007fc8);
    expect(pair.isExternal(0, 0, 0xffff, 0xcb007fc8)).to.equal(true);
    expect(pair.toInternal(back)).to.equal(true);
    expect(back[3]).to.equal(0x0a010fc8);
  });

  it('has no address for those that RFC 6296 leaves out', () => {
    const short = new PrefixPair('fd01:203:405::/48', '2001:db8:1::/48');
    expect(short.externalOf(parseIp('fd01:203:405:ffff::1'))).to.equal(undefined);
    const long = new PrefixPair('fd01:203:405:1::/64', '2001:db8:1:2::/64');
    expect(long.externalOf(parseIp('fd01:203:405:1::'))).to.equal(undefined);
    expect(long.externalOf(parseIp('fd01:203:405:1:ffff:ffff:ffff:ffff'))).to.equal(undefined);
    expect(long.externalOf(parseIp('fd01:203:405:1:ffff::5'))?.toString().startsWith('2001:db8:1:2:ffff:')).to.equal(
      true,
    );
  });

  it('refuses networks that cannot stand for each other', () => {
    for (const [internal, external] of [
      ['10.0.0.0/8', '11.0.0.0/9'],
      ['10.0.0.0/8', 'fd00::/8'],
      ['10.0.0.0/8', '10.0.0.0/8'],
      ['fd00::/120', 'fd01::/120'],
    ] as const) {
      expect(() => new PrefixPair(internal, external))
        .to.throw(UsageError)
        .with.property('code', 'ERR_INVALID_OPTION');
    }
  });
});
