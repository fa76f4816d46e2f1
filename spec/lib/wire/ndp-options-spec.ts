import { expect } from 'chai';
import * as fc from 'fast-check';
import {
  checkNdpOptions,
  findNdpOption,
  linkAddressIn,
  type NdpOption,
  ndpOptionBytes,
  NdpOptionType,
  readNdpOptions,
} from '../../../lib/wire/ndp-options.js';
import { hexBytes } from './frames.js';
import { address, anyAddress } from './packets6.js';

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
const read = (bytes: Uint8Array): NdpOption[] => readNdpOptions(viewOf(bytes), 0, bytes.length);
const check = (bytes: Uint8Array): boolean => checkNdpOptions(viewOf(bytes), 0, bytes.length);

// One of each kind, with the bytes that the RFCs prescribe.
const GOLDEN: readonly (readonly [option: NdpOption, hex: string])[] = [
  [{ kind: 'source-link-address', mac: 0x0200_0000_00aa }, '0101 0200000000aa'],
  [{ kind: 'target-link-address', mac: 0xffff_ffff_ffff }, '0201 ffffffffffff'],
  [
    {
      kind: 'prefix',
      prefix: address('2001:db8::'),
      length: 64,
      onLink: true,
      autonomous: true,
      routerAddress: false,
      validLifetime: 2_592_000,
      preferredLifetime: 604_800,
    },
    '0304 40c0 00278d00 00093a80 00000000 20010db8000000000000000000000000',
  ],
  [{ kind: 'redirected', packet: hexBytes('6000000000000000') }, '0402 000000000000 6000000000000000'],
  [{ kind: 'mtu', mtu: 1480 }, '0501 0000 000005c8'],
  [{ kind: 'nonce', nonce: hexBytes('010203040506') }, '0e01 010203040506'],
  [
    { kind: 'route', prefix: address('2001:db8:1::'), length: 48, preference: 1, lifetime: 600 },
    '1803 3008 00000258 20010db8000100000000000000000000',
  ],
  [
    { kind: 'rdnss', lifetime: 1200, servers: [address('2001:db8::53'), address('fe80::53')] },
    '1905 0000 000004b0 20010db8000000000000000000000053 fe800000000000000000000000000053',
  ],
  [
    { kind: 'dnssl', lifetime: 1200, domains: ['example.com', 'a.test'] },
    '1f04 0000 000004b0 076578616d706c6503636f6d00 0161047465737400 000000',
  ],
  [{ kind: 'unknown', type: 253, data: hexBytes('010203040506') }, 'fd01 010203040506'],
];

describe('options of neighbour discovery', () => {
  for (const [option, hex] of GOLDEN) {
    it(`are read and written byte for byte: ${option.kind}`, () => {
      const bytes = hexBytes(hex);
      expect(ndpOptionBytes([option])).to.deep.equal(bytes);
      expect(check(bytes)).to.equal(true);
      expect(read(bytes)).to.deep.equal([option]);
    });
  }

  it('are all read, in order', () => {
    const options = GOLDEN.map(([option]) => option);
    expect(read(ndpOptionBytes(options))).to.deep.equal(options);
  });

  it('are found by type', () => {
    const bytes = ndpOptionBytes(GOLDEN.map(([option]) => option));
    expect(findNdpOption(viewOf(bytes), 0, bytes.length, NdpOptionType.PrefixInformation)).to.equal(16);
    expect(findNdpOption(viewOf(bytes), 0, bytes.length, 77)).to.equal(-1);
    expect(linkAddressIn(viewOf(bytes), 0, bytes.length, NdpOptionType.TargetLinkAddress)).to.equal(0xffff_ffff_ffff);
    // An address of another length is none of Ethernet's.
    const long = hexBytes('0102 0000000000000000000000000000');
    expect(linkAddressIn(viewOf(long), 0, long.length, NdpOptionType.SourceLinkAddress)).to.equal(-1);
  });

  it('are refused where one is cut or of length 0', () => {
    for (const [, hex] of GOLDEN) {
      const bytes = hexBytes(hex);
      for (let length = 1; length < bytes.length; length++) {
        expect(check(bytes.subarray(0, length)), `${hex} cut to ${length}`).to.equal(false);
      }
      bytes[1] = 0;
      expect(check(bytes)).to.equal(false);
    }
    expect(check(new Uint8Array(0))).to.equal(true);
  });

  it('read routes whose prefix is short, and ignore the reserved preference (RFC 4191 2.3)', () => {
    const route = { kind: 'route', preference: 0, lifetime: 1 };
    expect(read(hexBytes('1801 0000 00000001'))).to.deep.equal([{ ...route, prefix: address('::'), length: 0 }]);
    expect(read(hexBytes('1802 2018 00000001 20010db800000000'))).to.deep.equal([
      { ...route, preference: -1, prefix: address('2001:db8::'), length: 32 },
    ]);
    for (const bad of ['1801 0100 00000001', '1802 4100 00000001 0000000000000000', '1801 0010 00000001']) {
      expect(read(hexBytes(bad))[0], bad).to.include({ kind: 'unknown' });
    }
  });

  it('keep known types of an impossible length as unknown', () => {
    for (const bad of [
      '0102 0000000000000000000000000000',
      '0301 0000000000000000'.slice(0, 17),
      '0304 81c0 00278d00 00093a80 00000000 20010db8000000000000000000000000',
      '0502 0000 000005c8 0000000000000000',
      '1902 0000 00000001 0000000000000000',
      '1f02 0000 00000001 c000000000000000',
      '1f02 0000 00000001 0861626364656667',
    ]) {
      expect(read(hexBytes(bad))[0], bad).to.include({ kind: 'unknown' });
    }
  });

  it('read back what they write', () => {
    const lifetime = fc.nat(0xffff_ffff);
    const mac = fc.maxSafeNat().map((n) => n % 0x1_0000_0000_0000);
    const label = fc.stringMatching(/^[a-z0-9-]{1,12}$/);
    const units = (size: number) =>
      fc.nat(3).chain((n) => fc.uint8Array({ minLength: n * 8 + size, maxLength: n * 8 + size }));
    const option: fc.Arbitrary<NdpOption> = fc.oneof(
      fc.record({ kind: fc.constantFrom('source-link-address' as const, 'target-link-address' as const), mac }),
      fc.record({
        kind: fc.constant('prefix' as const),
        prefix: anyAddress,
        length: fc.nat(128),
        onLink: fc.boolean(),
        autonomous: fc.boolean(),
        routerAddress: fc.boolean(),
        validLifetime: lifetime,
        preferredLifetime: lifetime,
      }),
      fc.record({ kind: fc.constant('redirected' as const), packet: units(0) }),
      fc.record({ kind: fc.constant('mtu' as const), mtu: lifetime }),
      fc.record({ kind: fc.constant('nonce' as const), nonce: units(6) }),
      fc.record({
        kind: fc.constant('route' as const),
        prefix: anyAddress,
        length: fc.nat(128),
        preference: fc.constantFrom(-1 as const, 0 as const, 1 as const),
        lifetime,
      }),
      fc.record({
        kind: fc.constant('rdnss' as const),
        lifetime,
        servers: fc.array(anyAddress, { minLength: 1, maxLength: 3 }),
      }),
      fc.record({
        kind: fc.constant('dnssl' as const),
        lifetime,
        domains: fc.array(
          fc.array(label, { minLength: 1, maxLength: 4 }).map((labels) => labels.join('.')),
          { minLength: 1, maxLength: 3 },
        ),
      }),
      fc.record({ kind: fc.constant('unknown' as const), type: fc.integer({ min: 100, max: 255 }), data: units(6) }),
    );
    fc.assert(
      fc.property(fc.array(option, { maxLength: 6 }), (options) => {
        const bytes = ndpOptionBytes(options);
        expect(bytes.length % 8).to.equal(0);
        expect(check(bytes)).to.equal(true);
        expect(read(bytes)).to.deep.equal(options);
      }),
    );
  });

  it('never make a reader throw, on any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        check(bytes);
        expect(read(bytes).length).to.be.at.most(13);
      }),
    );
  });
});
