import { expect } from 'chai';
import * as fc from 'fast-check';
import {
  addressBits,
  anyAddress,
  Cidr,
  Ipv4Address,
  Ipv6Address,
  ipOf,
  isGroupMac,
  MacAddress,
  parseIp,
} from '../../../lib/core/address.js';

function refuses(parse: (text: string) => unknown, texts: readonly string[]): void {
  for (const text of texts) {
    expect(() => parse(text), JSON.stringify(text))
      .to.throw()
      .with.property('code', 'ERR_INVALID_ADDRESS');
  }
}

describe('MacAddress', () => {
  it('reads and prints six bytes, joined either way', () => {
    expect(MacAddress.parse('02:00:5e:10:00:FF').value).to.equal(0x02_005e_1000_ff);
    expect(MacAddress.parse('02-00-5E-10-00-ff').toString()).to.equal('02:00:5e:10:00:ff');
    expect(MacAddress.ZERO.toString()).to.equal('00:00:00:00:00:00');
    expect(JSON.stringify(MacAddress.BROADCAST)).to.equal('"ff:ff:ff:ff:ff:ff"');
    expect(MacAddress.of('00:00:00:00:00:01').equals(new MacAddress(1))).to.equal(true);
    expect(MacAddress.of(MacAddress.ZERO)).to.equal(MacAddress.ZERO);
  });

  it('refuses everything else', () => {
    refuses(
      (text) => MacAddress.parse(text),
      [
        '',
        '02:00:5e:10:00',
        '02:00:5e:10:00:ff:00',
        '02:00:5e:10:00-ff',
        '02005e1000ff',
        '2:0:5e:10:0:ff',
        '02:00:5e:10:00:fg',
        ' 02:00:5e:10:00:ff',
        '02:00:5e:10:00:ff\n',
      ],
    );
    for (const value of [-1, 2 ** 48, 1.5, Number.NaN]) {
      expect(() => new MacAddress(value))
        .to.throw()
        .with.property('code', 'ERR_INVALID_ADDRESS');
    }
  });

  it('knows groups by the lowest bit of the first byte', () => {
    for (const group of ['ff:ff:ff:ff:ff:ff', '01:00:5e:00:00:01', '33:33:00:00:00:01', '03:00:00:00:00:00']) {
      expect(MacAddress.parse(group).isGroup, group).to.equal(true);
    }
    for (const one of ['00:00:00:00:00:00', '02:00:5e:00:00:01', 'fe:ff:ff:ff:ff:ff']) {
      expect(MacAddress.parse(one).isGroup, one).to.equal(false);
    }
    expect(isGroupMac(0x0100_0000_0000)).to.equal(true);
  });

  it('reads what it prints', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), (n) => {
        const value = n % 2 ** 48;
        expect(MacAddress.parse(new MacAddress(value).toString()).value).to.equal(value);
      }),
    );
  });
});

describe('Ipv4Address', () => {
  it('has its bits with a sign and without, however it was made', () => {
    for (const address of [
      Ipv4Address.parse('192.0.2.1'),
      new Ipv4Address(0xc000_0201),
      new Ipv4Address(0xc000_0201 | 0),
    ]) {
      expect([address.value, address.bits]).to.deep.equal([0xc000_0201, 0xc000_0201 | 0]);
      expect(address.equals(Ipv4Address.parse('192.0.2.1'))).to.equal(true);
    }
  });

  it('reads what it prints', () => {
    fc.assert(
      fc.property(fc.nat(0xffff_ffff), (value) => {
        const address = new Ipv4Address(value);
        expect(Ipv4Address.parse(address.toString()).value).to.equal(value);
        expect(parseIp(address.toString()).equals(address)).to.equal(true);
      }),
    );
    expect(Ipv4Address.parse('192.168.1.10').value).to.equal(0xc0a8_010a);
    expect(JSON.stringify(Ipv4Address.BROADCAST)).to.equal('"255.255.255.255"');
  });

  it('refuses what inet_aton would guess at', () => {
    refuses(
      (text) => Ipv4Address.parse(text),
      [
        '',
        '1',
        '1.2.3',
        '1.2.3.4.5',
        '256.0.0.1',
        '1.2.3.999',
        '01.2.3.4',
        '1.2.3.00',
        '0x1.2.3.4',
        '1.2.3.-4',
        '1.2.3.4 ',
        '1.2.3.4\n',
        '1..3.4',
        '1.2.3.4/8',
      ],
    );
  });

  it('6890: knows the special addresses', () => {
    const kinds = (text: string) => {
      const { isUnspecified, isLoopback, isMulticast, isBroadcast, isLinkLocal } = Ipv4Address.parse(text);
      return Object.entries({ isUnspecified, isLoopback, isMulticast, isBroadcast, isLinkLocal })
        .filter(([, is]) => is)
        .map(([kind]) => kind)
        .join();
    };
    expect(kinds('0.0.0.0')).to.equal('isUnspecified');
    for (const text of ['127.0.0.1', '127.255.255.255']) expect(kinds(text)).to.equal('isLoopback');
    for (const text of ['224.0.0.0', '239.255.255.255']) expect(kinds(text)).to.equal('isMulticast');
    expect(kinds('255.255.255.255')).to.equal('isBroadcast');
    for (const text of ['169.254.0.0', '169.254.255.255']) expect(kinds(text)).to.equal('isLinkLocal');
    for (const text of ['126.255.255.255', '128.0.0.0', '223.255.255.255', '240.0.0.0', '169.253.1.1', '0.0.0.1']) {
      expect(kinds(text), text).to.equal('');
    }
  });

  it('gives its IPv4-mapped words, and its bytes in network order', () => {
    const address = Ipv4Address.parse('1.2.3.4');
    expect(([0, 1, 2, 3] as const).map((i) => address.word(i))).to.deep.equal([0, 0, 0xffff, 0x0102_0304]);
    const bytes = new Uint8Array(6);
    expect(address.write(new DataView(bytes.buffer), 1)).to.equal(4);
    expect([...bytes]).to.deep.equal([0, 1, 2, 3, 4, 0]);
  });
});

describe('Ipv6Address', () => {
  it('has words without a sign, however it was made', () => {
    const words = [0xfd00_0001, 0x8000_0000, 0xffff_ffff, 0x7fff_ffff] as const;
    const [a, b, c, d] = words;
    for (const address of [new Ipv6Address(a, b, c, d), new Ipv6Address(a | 0, b | 0, c | 0, d)]) {
      expect([address.a, address.b, address.c, address.d]).to.deep.equal(words);
      expect(([0, 1, 2, 3] as const).map((index) => address.word(index))).to.deep.equal(words);
      expect(address.equals(Ipv6Address.parse('fd00:1:8000:0:ffff:ffff:7fff:ffff'))).to.equal(true);
    }
  });

  // RFC 4291 2.2 and 2.5, RFC 5952 1 to 5: text, and its canonical form.
  const table: readonly (readonly [string, string])[] = [
    ['ABCD:EF01:2345:6789:ABCD:EF01:2345:6789', 'abcd:ef01:2345:6789:abcd:ef01:2345:6789'],
    ['2001:DB8:0:0:8:800:200C:417A', '2001:db8::8:800:200c:417a'],
    ['2001:DB8::8:800:200C:417A', '2001:db8::8:800:200c:417a'],
    ['FF01:0:0:0:0:0:0:101', 'ff01::101'],
    ['0:0:0:0:0:0:0:1', '::1'],
    ['0:0:0:0:0:0:0:0', '::'],
    ['::', '::'],
    ['0:0:0:0:0:0:13.1.68.3', '::d01:4403'],
    ['::FFFF:129.144.52.38', '::ffff:129.144.52.38'],
    ['::ffff:8190:3426', '::ffff:129.144.52.38'],
    ['2001:0db8::0001', '2001:db8::1'],
    ['2001:db8:0:0:0:0:2:1', '2001:db8::2:1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['2001:db8::1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'],
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['2001:db8:aaaa:bbbb:cccc:dddd::1', '2001:db8:aaaa:bbbb:cccc:dddd:0:1'],
    ['1:2:3:4:5:6:7::', '1:2:3:4:5:6:7:0'],
    ['::2:3:4:5:6:7:8', '0:2:3:4:5:6:7:8'],
    ['1:0:0:4:5:6:0:0', '1::4:5:6:0:0'],
    ['1::', '1::'],
    ['fe80::1%eth0', 'fe80::1%eth0'],
    ['64:ff9b::192.0.2.33', '64:ff9b::c000:221'],
  ];

  it('reads RFC 4291 text and prints RFC 5952 text', () => {
    for (const [text, canonical] of table) expect(Ipv6Address.parse(text).toString(), text).to.equal(canonical);
  });

  it('refuses everything else', () => {
    refuses(
      (text) => Ipv6Address.parse(text),
      [
        '',
        ':',
        ':::',
        '1',
        '1:2:3:4:5:6:7',
        '1:2:3:4:5:6:7:8:9',
        '1:2:3:4:5:6:7:8::',
        '1::2::3',
        ':1::2',
        '1::2:',
        '12345::',
        'g::',
        '::1.2.3',
        '::1.2.3.256',
        '::01.2.3.4',
        '1.2.3.4::',
        '1:2:3:4:5:6:7:1.2.3.4',
        '::1.2.3.4:5',
        'fe80::1%',
        'fe80::1%a%b',
        '%eth0',
        ' ::1',
        '::1\n',
        '::1/64',
      ],
    );
  });

  it('reads what it prints', () => {
    const word = fc.oneof(fc.constant(0), fc.constantFrom(1, 0xffff, 0x1_0000, 0xffff_0000), fc.nat(0xffff_ffff));
    fc.assert(
      fc.property(word, word, word, word, (a, b, c, d) => {
        const address = new Ipv6Address(a, b, c, d);
        expect(Ipv6Address.parse(address.toString()).equals(address)).to.equal(true);
        expect(([0, 1, 2, 3] as const).map((i) => address.word(i))).to.deep.equal([a, b, c, d]);
        const bytes = new Uint8Array(16);
        expect(address.write(new DataView(bytes.buffer), 0)).to.equal(16);
        expect(new DataView(bytes.buffer).getUint32(8)).to.equal(c);
      }),
    );
  });

  it('knows its kinds (RFC 4291 2.4)', () => {
    const of = (text: string) => Ipv6Address.parse(text);
    expect([of('::').isUnspecified, of('::1').isUnspecified]).to.deep.equal([true, false]);
    expect([of('::1').isLoopback, of('::2').isLoopback, of('1::1').isLoopback]).to.deep.equal([true, false, false]);
    expect([of('ff02::1').isMulticast, of('fe00::').isMulticast]).to.deep.equal([true, false]);
    expect(['fe80::1', 'febf::', 'fec0::', 'fe7f::'].map((text) => of(text).isLinkLocal)).to.deep.equal([
      true,
      true,
      false,
      false,
    ]);
    expect(of('ff02::1').isBroadcast).to.equal(false);
  });

  it('4007: is another address in another zone, and never an IPv4 one', () => {
    expect(Ipv6Address.parse('fe80::1%a').equals(Ipv6Address.parse('fe80::1%b'))).to.equal(false);
    expect(Ipv6Address.parse('::ffff:1.2.3.4').equals(Ipv4Address.parse('1.2.3.4'))).to.equal(false);
    expect(Ipv4Address.ANY.equals(Ipv6Address.ANY)).to.equal(false);
  });
});

describe('addresses of either version', () => {
  it('are told apart by their text', () => {
    expect([parseIp('1.2.3.4').version, parseIp('::1').version]).to.deep.equal([4, 6]);
    expect(ipOf(Ipv6Address.LOOPBACK)).to.equal(Ipv6Address.LOOPBACK);
    expect([anyAddress(4).toString(), anyAddress(6).toString()]).to.deep.equal(['0.0.0.0', '::']);
    expect([addressBits(4), addressBits(6)]).to.deep.equal([32, 128]);
    refuses(parseIp, ['', 'localhost', '1.2.3']);
  });
});

describe('Cidr', () => {
  const of = (text: string) => Cidr.parse(text);

  it('contains what shares its leading bits, whatever the length', () => {
    const address = fc.nat(0xffff_ffff);
    fc.assert(
      fc.property(address, address, fc.nat(32), (a, b, length) => {
        const bits = (n: number) => n.toString(2).padStart(32, '0').slice(0, length);
        expect(new Cidr(new Ipv4Address(a), length).contains(new Ipv4Address(b))).to.equal(bits(a) === bits(b));
        const six = new Cidr(new Ipv6Address(7, a, 0, 0), length + 32);
        expect(six.contains(new Ipv6Address(7, b, 1, 1))).to.equal(bits(a) === bits(b) && length < 33);
      }),
    );
  });

  it('contains nothing of the other version', () => {
    expect(of('0.0.0.0/0').contains(Ipv6Address.ANY)).to.equal(false);
    expect(of('::/0').contains(Ipv4Address.ANY)).to.equal(false);
    expect(of('::/0').contains(Ipv6Address.parse('ffff::'))).to.equal(true);
    expect(of('2001:db8::/65').contains(Ipv6Address.parse('2001:db8:0:0:7fff::'))).to.equal(true);
    expect(of('2001:db8::/65').contains(Ipv6Address.parse('2001:db8:0:0:8000::'))).to.equal(false);
  });

  it('knows its network and its directed broadcast address (RFC 3021: none below /30)', () => {
    expect(of('10.1.2.3/8').network.toString()).to.equal('10.0.0.0');
    expect(of('10.1.2.3/32').network.toString()).to.equal('10.1.2.3');
    expect(of('255.1.2.3/1').network.toString()).to.equal('128.0.0.0');
    expect(of('10.1.2.3/0').network.toString()).to.equal('0.0.0.0');
    expect(of('2001:db8::1:2:3:4/48').network.toString()).to.equal('2001:db8::');
    expect(of('10.1.2.3/24').broadcast?.toString()).to.equal('10.1.2.255');
    expect(of('10.1.2.3/30').broadcast?.toString()).to.equal('10.1.2.3');
    expect(of('10.1.2.3/0').broadcast?.toString()).to.equal('255.255.255.255');
    for (const text of ['10.1.2.3/31', '10.1.2.3/32', '2001:db8::/64']) expect(of(text).broadcast).to.equal(undefined);
  });

  it('is a single host without a length, and prints itself', () => {
    expect(of('10.1.2.3').toString()).to.equal('10.1.2.3/32');
    expect(of('::1').toString()).to.equal('::1/128');
    expect(JSON.stringify(Cidr.of('fe80::1%eth0/64'))).to.equal('"fe80::1%eth0/64"');
    expect(of('10.0.0.1/8').equals(of('10.0.0.1/8'))).to.equal(true);
    expect(of('10.0.0.1/8').equals(of('10.0.0.2/8'))).to.equal(false);
    expect(of('10.0.0.1/8').equals(of('10.0.0.1/9'))).to.equal(false);
    expect([of('10.0.0.1/8').version, of('::/8').version]).to.deep.equal([4, 6]);
    const kept = of('10.0.0.1/8');
    expect(Cidr.of(kept)).to.equal(kept);
  });

  it('refuses everything else', () => {
    refuses(of, [
      '',
      '/',
      '10.0.0.1/',
      '10.0.0.1/33',
      '::/129',
      '10.0.0.1/-1',
      '10.0.0.1/8/8',
      '10.0.0.1/a',
      '10.0.0/8',
      '/8',
    ]);
    expect(() => new Cidr(Ipv4Address.ANY, 1.5)).to.throw();
  });
});
