import { expect } from 'chai';
import * as fc from 'fast-check';
import { DropReason } from '../../../lib/core/drops.js';
import { complement, sum16 } from '../../../lib/wire/checksum.js';
import { type Ipv4Fields, Ipv4OptionType, Ipv4Packet, refreshIpv4Checksum } from '../../../lib/wire/ipv4.js';
import { frameOf, frameWith, hexBytes, hexOf, readAll, truncations } from './frames.js';

const PACKET = '4500002112344000401114960a0000020a00000104000035000da3ca68656c6c6f';
const WITH_OPTIONS = '48000023000000004011c7b80a0000020a000001940400000107070400000000616263';

function packetOf(hex: string): Ipv4Packet {
  const frame = frameOf(hex);
  return new Ipv4Packet(frame, frame.start);
}

function checkOf(bytes: Uint8Array | string): DropReason | undefined {
  const frame = frameOf(bytes);
  return Ipv4Packet.check(frame, frame.start);
}

/** `PACKET` with some bytes changed and its checksum right again. */
function changed(hex: string, changes: Record<number, number>): Uint8Array {
  const bytes = hexBytes(hex);
  for (const [at, value] of Object.entries(changes)) bytes[Number(at)] = value;
  if (((bytes[0] ?? 0) & 0x0f) * 4 <= bytes.length) refreshIpv4Checksum(new DataView(bytes.buffer), 0);
  return bytes;
}

describe('Ipv4Packet', () => {
  it('reads a header', () => {
    const packet = packetOf(PACKET);
    expect(Ipv4Packet.check(packet.frame, packet.offset)).to.equal(undefined);
    expect(packet).to.include({
      headerLength: 20,
      totalLength: 33,
      identification: 0x1234,
      dontFragment: true,
      moreFragments: false,
      fragmentOffset: 0,
      isFragment: false,
      hopLimit: 64,
      protocol: 17,
      source: 0x0a000002,
      destination: 0x0a000001,
    });
    expect(packet.sourceAddress.toString()).to.equal('10.0.0.2');
    expect(packet.destinationAddress.toString()).to.equal('10.0.0.1');
  });

  it('writes the same header from values at hand', () => {
    const word = fc.integer({ min: 0, max: 0xffff_ffff });
    // Too large values are cut, as in their fields.
    const byte = fc.integer({ min: 0, max: 0x1ff });
    const id = fc.integer({ min: 0, max: 0xffff });
    fc.assert(
      fc.property(word, word, byte, byte, byte, id, fc.boolean(), fc.nat(1500), (...values) => {
        const [source, destination, protocol, ttl, tos, identification, dontFragment, length] = values;
        const [one, other] = [frameWith(new Uint8Array(length)), frameWith(new Uint8Array(length))];
        Ipv4Packet.emit(one, { source, destination, protocol, ttl, tos, identification, dontFragment });
        Ipv4Packet.push(other, source, destination, protocol, ttl, tos, identification, dontFragment);
        expect(hexOf(other)).to.equal(hexOf(one));
        expect(other.network).to.equal(one.network);
      }),
    );
    expect(() => Ipv4Packet.push(frameWith(new Uint8Array(65_516)), 1, 2, 17, 64, 0, 0, false)).to.throw(/65,535/);
  });

  it('writes a header byte for byte', () => {
    const frame = frameWith(hexBytes(PACKET).subarray(20));
    Ipv4Packet.emit(frame, {
      source: 0x0a000002,
      destination: 0x0a000001,
      protocol: 17,
      identification: 0x1234,
      dontFragment: true,
    });
    expect(hexOf(frame)).to.equal(PACKET);
    expect(frame.network).to.equal(frame.start);
  });

  it('accepts the header of a widely printed example', () => {
    expect(checkOf(`4500 0014 0000 4000 4011 b8c0 c0a8 0001 c0a8 00c7`)).to.equal(undefined);
  });

  it('reads options and steps over NOPs', () => {
    const packet = packetOf(WITH_OPTIONS);
    expect(Ipv4Packet.check(packet.frame, packet.offset)).to.equal(undefined);
    expect(packet.headerLength).to.equal(32);
    expect(packet.options()).to.deep.equal([
      { type: Ipv4OptionType.RouterAlert, data: hexBytes('0000') },
      { type: Ipv4OptionType.RecordRoute, data: hexBytes('0400000000') },
    ]);
  });

  it('writes options byte for byte, padded with zeros', () => {
    const frame = frameWith(hexBytes('616263'));
    const options = [
      { type: Ipv4OptionType.RouterAlert, data: hexBytes('0000') },
      { type: Ipv4OptionType.Nop, data: new Uint8Array(0) },
      { type: Ipv4OptionType.RecordRoute, data: hexBytes('0400000000') },
    ];
    Ipv4Packet.emit(frame, { source: 0x0a000002, destination: 0x0a000001, protocol: 17, options });
    expect(hexOf(frame)).to.equal(WITH_OPTIONS);
  });

  it('is truncated at every byte boundary', () => {
    for (const bytes of [hexBytes(PACKET), hexBytes(WITH_OPTIONS)]) {
      for (const frame of truncations(bytes)) {
        expect(Ipv4Packet.check(frame, frame.start), `${frame.length} bytes`).to.equal(DropReason.Ipv4Truncated);
      }
    }
  });

  it('accepts padding behind the packet', () => {
    expect(checkOf(`${PACKET}0000000000`)).to.equal(undefined);
  });

  it('says what is wrong', () => {
    expect(checkOf(changed(PACKET, { 0: 0x65 }))).to.equal(DropReason.Ipv4BadHeader);
    expect(checkOf(changed(PACKET, { 0: 0x44 }))).to.equal(DropReason.Ipv4BadHeader);
    expect(checkOf(changed(PACKET, { 3: 19 }))).to.equal(DropReason.Ipv4Truncated);
    expect(checkOf(PACKET.replace('40111496', '40111495'))).to.equal(DropReason.Ipv4BadChecksum);
    // An option of length 1, one of length 0, one that ends behind the header, one without its length byte.
    expect(checkOf(changed(WITH_OPTIONS, { 21: 1 }))).to.equal(DropReason.Ipv4BadOptions);
    expect(checkOf(changed(WITH_OPTIONS, { 26: 0 }))).to.equal(DropReason.Ipv4BadOptions);
    expect(checkOf(changed(WITH_OPTIONS, { 26: 8 }))).to.equal(DropReason.Ipv4BadOptions);
    expect(checkOf(changed(WITH_OPTIONS, { 26: 6, 31: 7 }))).to.equal(DropReason.Ipv4BadOptions);
  });

  it('does not loop over options that nobody checked', () => {
    for (const length of [0, 1, 200]) {
      const bytes = hexBytes(WITH_OPTIONS);
      bytes[21] = length;
      const frame = frameOf(bytes);
      expect(new Ipv4Packet(frame, frame.start).options()).to.deep.equal([]);
    }
  });

  it('refuses more than 40 bytes of options, and more than 65,535 bytes', () => {
    const fields = { source: 1, destination: 2, protocol: 17 };
    const options = [{ type: Ipv4OptionType.RecordRoute, data: new Uint8Array(39) }];
    expect(() => Ipv4Packet.emit(frameWith(new Uint8Array(1)), { ...fields, options }))
      .to.throw()
      .with.property('code', 'ERR_INVALID_OPTION');
    expect(() => Ipv4Packet.emit(frameWith(new Uint8Array(65516)), fields))
      .to.throw()
      .with.property('code', 'ERR_FRAME_TOO_LARGE');
  });

  it('reads back what it emits, with a right checksum', () => {
    const option = fc.record({ type: fc.constantFrom(7, 68, 131, 148, 30), data: fc.uint8Array({ maxLength: 8 }) });
    const fields = fc.record({
      source: fc.nat(0xffff_ffff),
      destination: fc.nat(0xffff_ffff),
      protocol: fc.nat(255),
      ttl: fc.nat(255),
      tos: fc.nat(255),
      identification: fc.nat(0xffff),
      dontFragment: fc.boolean(),
      moreFragments: fc.boolean(),
      fragmentOffset: fc.nat(0x1fff).map((n) => n * 8),
      options: fc.array(option, { maxLength: 4 }),
    });
    fc.assert(
      fc.property(fields, fc.uint8Array({ maxLength: 50 }), (values, payload) => {
        const frame = frameWith(payload);
        Ipv4Packet.emit(frame, values satisfies Ipv4Fields);
        expect(Ipv4Packet.check(frame, frame.start)).to.equal(undefined);
        const packet = new Ipv4Packet(frame, frame.start);
        const { ttl, tos, options, ...same } = values;
        expect(packet).to.include({ ...same, hopLimit: ttl, trafficClass: tos, totalLength: frame.length });
        expect(packet.options()).to.deep.equal(options);
        expect(frame.bytes().subarray(packet.headerLength)).to.deep.equal(payload);
      }),
    );
  });

  it('sums the pseudo-header as if it stood in memory', () => {
    const packet = packetOf(PACKET);
    const pseudo = new DataView(hexBytes('0a0000020a0000010011000d').buffer);
    expect(packet.pseudoHeaderSum(17, 13)).to.equal(sum16(pseudo, 0, 12));
    expect(complement(packet.pseudoHeaderSum(17, 13))).to.not.equal(0);
  });

  it('never throws, on any bytes', () => {
    const mutated = fc.tuple(fc.nat(34), fc.nat(255)).map(([at, value]) => changed(WITH_OPTIONS, { [at]: value }));
    fc.assert(
      fc.property(fc.oneof(mutated, fc.uint8Array({ maxLength: 70 })), (bytes) => {
        const frame = frameOf(bytes);
        if (Ipv4Packet.check(frame, frame.start) !== undefined) return;
        const packet = new Ipv4Packet(frame, frame.start);
        readAll(packet);
        packet.options();
      }),
    );
  });
});
