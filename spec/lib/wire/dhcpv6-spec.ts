import { expect } from 'chai';
import * as fc from 'fast-check';
import { DropReason } from '../../../lib/core/drops.js';
import { Dhcpv6Message, Dhcpv6Type, duidOfMac, emitDhcpv6, parseDhcpv6 } from '../../../lib/wire/dhcpv6.js';
import { type Dhcpv6Option, dhcpv6OptionBytes, readDhcpv6Options } from '../../../lib/wire/dhcpv6-options.js';
import { emptyFrame, frameOf, frameWith, hexBytes, hexOf, readAll, truncations } from './frames.js';
import { address, anyAddress } from './packets6.js';

// Captured: tshark reads the same of them.
const SOLICIT = '0190b45c0001000a0003000100010203040500060004001700180008000200000003000c0203040500000e1000001518';
const ADVERTISE_ADDRESS =
  '0290b45c000300280203040500000e1000001518000500182a0000010001020038e6b22ec440acdf0000119400001c200001000a000300010001020304050002000e0001000118' +
  '46488c001122334455';
const ADVERTISE_PREFIX =
  '02e1e093001900290203040500000e1000001518001a00190000119400001c20382a0000010001010000000000000000000001000a000300010001020304050002000e00010001' +
  '18464999001122334455';

const CLIENT: Dhcpv6Option = { kind: 'client-id', duid: hexBytes('00030001000102030405') };

function messageOf(hex: string): Dhcpv6Message {
  const frame = frameOf(hex);
  expect(Dhcpv6Message.check(frame, frame.start)).to.equal(undefined);
  return new Dhcpv6Message(frame, frame.start);
}

const EXAMPLES: readonly (readonly [hex: string, type: number, transaction: number, options: Dhcpv6Option[]])[] = [
  [
    SOLICIT,
    Dhcpv6Type.Solicit,
    0x90b45c,
    [
      CLIENT,
      { kind: 'option-request', codes: [23, 24] },
      { kind: 'elapsed-time', milliseconds: 0 },
      { kind: 'ia-na', iaid: 0x02030405, t1: 3600, t2: 5400, options: [] },
    ],
  ],
  [
    ADVERTISE_ADDRESS,
    Dhcpv6Type.Advertise,
    0x90b45c,
    [
      {
        kind: 'ia-na',
        iaid: 0x02030405,
        t1: 3600,
        t2: 5400,
        options: [
          {
            kind: 'ia-address',
            address: address('2a00:1:1:200:38e6:b22e:c440:acdf'),
            preferredLifetime: 4500,
            validLifetime: 7200,
            options: [],
          },
        ],
      },
      CLIENT,
      { kind: 'server-id', duid: hexBytes('000100011846488c001122334455') },
    ],
  ],
  [
    ADVERTISE_PREFIX,
    Dhcpv6Type.Advertise,
    0xe1e093,
    [
      {
        kind: 'ia-pd',
        iaid: 0x02030405,
        t1: 3600,
        t2: 5400,
        options: [
          {
            kind: 'ia-prefix',
            prefix: address('2a00:1:1:100::'),
            length: 56,
            preferredLifetime: 4500,
            validLifetime: 7200,
            options: [],
          },
        ],
      },
      CLIENT,
      { kind: 'server-id', duid: hexBytes('0001000118464999001122334455') },
    ],
  ],
];

describe('Dhcpv6Message', () => {
  for (const [hex, type, transaction, options] of EXAMPLES) {
    it(`reads and writes a captured message of type ${type} byte for byte: ${options[0]?.kind}`, () => {
      const message = messageOf(hex);
      expect(message).to.include({ type, transaction });
      expect(message.options()).to.deep.equal(options);
      const frame = emptyFrame();
      Dhcpv6Message.emit(frame, type, transaction, options);
      expect(hexOf(frame)).to.equal(hex);
    });
  }

  it('is read and written as values, too', () => {
    for (const [hex, type, transaction, options] of EXAMPLES) {
      const bytes = hexBytes(hex);
      expect(parseDhcpv6(bytes)).to.deep.equal({ type, transaction, options });
      expect(emitDhcpv6({ type, transaction, options })).to.deep.equal(bytes);
      expect(parseDhcpv6(bytes.subarray(0, -1))).to.equal(undefined);
      expect(parseDhcpv6(bytes.subarray(0, 3))).to.equal(undefined);
      for (const other of [0, Dhcpv6Type.RelayForward, 255]) {
        expect(parseDhcpv6(Uint8Array.of(other, ...bytes.subarray(1)))).to.equal(undefined);
      }
    }
  });

  it('is truncated or has a bad option at every byte boundary', () => {
    for (const [hex] of EXAMPLES) {
      const bytes = hexBytes(hex);
      const ends = new Set([4]);
      for (let at = 4; at < bytes.length; ) ends.add((at += 4 + ((bytes[at + 2] ?? 0) << 8) + (bytes[at + 3] ?? 0)));
      for (const frame of truncations(bytes)) {
        const whole = ends.has(frame.length) ? undefined : DropReason.Dhcpv6BadOption;
        const verdict = Dhcpv6Message.check(frame, frame.start);
        expect(verdict, `${frame.length} bytes`).to.equal(frame.length < 4 ? DropReason.Dhcpv6Truncated : whole);
      }
    }
  });

  it('leaves relays and unknown types alone', () => {
    for (const type of [0, Dhcpv6Type.RelayForward, Dhcpv6Type.RelayReply, 99]) {
      const frame = frameWith(Uint8Array.from([type, 0, 0, 0]));
      expect(Dhcpv6Message.check(frame, frame.start)).to.equal(DropReason.Dhcpv6UnknownType);
    }
  });

  it('makes a DUID of a MAC address (RFC 8415 11.4)', () => {
    expect(duidOfMac(0x0001_0203_0405)).to.deep.equal(CLIENT.duid);
  });

  it('keeps as unknown what is too long, too short, or nested too deep', () => {
    for (const bad of [
      '0003 000b 0000000000000000000000',
      '0003 0011 000000000000000000000000 0005000300',
      '0006 0001 00',
      '0007 0000',
      '0008 0001 00',
      '000d 0001 00',
      '000e 0001 00',
      '0017 000f 000000000000000000000000000000',
      '0018 0002 0161',
      '001a 0019 00000000 00000000 81 00000000000000000000000000000000',
      '0020 0003 000000',
    ]) {
      const bytes = hexBytes(bad);
      const options = readDhcpv6Options(new DataView(bytes.buffer), 0, bytes.length);
      expect(options, bad).to.have.length(1);
      expect(options[0], bad).to.include({ kind: 'unknown' });
    }
    const deep = (depth: number): Dhcpv6Option => ({
      kind: 'ia-ta',
      iaid: depth,
      options: depth === 0 ? [] : [deep(depth - 1)],
    });
    const bytes = dhcpv6OptionBytes([deep(200)]);
    const [first] = readDhcpv6Options(new DataView(bytes.buffer), 0, bytes.length);
    expect(first).to.have.nested.property('options.0.options.0.kind', 'unknown');
  });

  it('says the longest time that fits, for an elapsed time', () => {
    expect(dhcpv6OptionBytes([{ kind: 'elapsed-time', milliseconds: 1e9 }])).to.deep.equal(hexBytes('00080002ffff'));
    expect(() => dhcpv6OptionBytes([{ kind: 'unknown', code: 9, data: new Uint8Array(65536) }]))
      .to.throw()
      .with.property('code', 'ERR_INVALID_OPTION');
  });

  it('reads back what it emits', () => {
    const word = fc.nat(0xffff_ffff);
    const status = fc.record({
      kind: fc.constant('status' as const),
      code: fc.nat(6),
      message: fc.string({ unit: 'grapheme', maxLength: 12 }).filter((text) => !text.startsWith('\ufeff')),
    });
    const inner = fc.array(status, { maxLength: 1 });
    const held = fc.oneof(
      fc.record({
        kind: fc.constant('ia-address' as const),
        address: anyAddress,
        preferredLifetime: word,
        validLifetime: word,
        options: inner,
      }),
      fc.record({
        kind: fc.constant('ia-prefix' as const),
        prefix: anyAddress,
        length: fc.nat(128),
        preferredLifetime: word,
        validLifetime: word,
        options: inner,
      }),
      status,
    );
    const holds = fc.array(held, { maxLength: 3 });
    const option: fc.Arbitrary<Dhcpv6Option> = fc.oneof(
      fc.record({
        kind: fc.constantFrom('client-id' as const, 'server-id' as const),
        duid: fc.uint8Array({ minLength: 3, maxLength: 20 }),
      }),
      fc.record({
        kind: fc.constantFrom('ia-na' as const, 'ia-pd' as const),
        iaid: word,
        t1: word,
        t2: word,
        options: holds,
      }),
      fc.record({ kind: fc.constant('ia-ta' as const), iaid: word, options: holds }),
      fc.record({ kind: fc.constant('option-request' as const), codes: fc.array(fc.nat(0xffff), { maxLength: 4 }) }),
      fc.record({ kind: fc.constant('preference' as const), value: fc.nat(255) }),
      fc.record({ kind: fc.constant('elapsed-time' as const), milliseconds: fc.nat(0xffff).map((n) => n * 10) }),
      status,
      fc.constant<Dhcpv6Option>({ kind: 'rapid-commit' }),
      fc.record({ kind: fc.constant('dns-servers' as const), servers: fc.array(anyAddress, { maxLength: 3 }) }),
      fc.record({
        kind: fc.constant('domain-list' as const),
        domains: fc.array(fc.stringMatching(/^[a-z0-9-]{1,9}(\.[a-z]{1,5}){0,3}$/), { maxLength: 3 }),
      }),
      fc.record({
        kind: fc.constantFrom('information-refresh-time' as const, 'sol-max-rt' as const, 'inf-max-rt' as const),
        seconds: word,
      }),
      fc.record({
        kind: fc.constant('unknown' as const),
        code: fc.integer({ min: 100, max: 0xffff }),
        data: fc.uint8Array({ maxLength: 9 }),
      }),
    );
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 11 }),
        fc.nat(0xff_ffff),
        fc.array(option, { maxLength: 5 }),
        (type, id, options) => {
          const frame = emptyFrame();
          Dhcpv6Message.emit(frame, type, id, options);
          expect(Dhcpv6Message.check(frame, frame.start)).to.equal(undefined);
          const message = new Dhcpv6Message(frame, frame.start);
          expect(message).to.include({ type, transaction: id });
          expect(message.options()).to.deep.equal(options);
        },
      ),
    );
  });

  it('never throws, on any bytes', () => {
    const mutated = fc
      .tuple(fc.constantFrom(SOLICIT, ADVERTISE_ADDRESS, ADVERTISE_PREFIX), fc.nat(80), fc.nat(255))
      .map(([hex, at, value]) => hexBytes(hex).fill(value, at, at + 1));
    fc.assert(
      fc.property(fc.oneof(mutated, fc.uint8Array({ maxLength: 80 })), (bytes) => {
        const frame = frameOf(bytes);
        if (Dhcpv6Message.check(frame, frame.start) !== undefined) return;
        const message = new Dhcpv6Message(frame, frame.start);
        readAll(message);
        message.options();
      }),
      { numRuns: 300 },
    );
  });
});
