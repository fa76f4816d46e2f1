import { expect } from 'chai';
import * as fc from 'fast-check';
import { Ipv6Address } from '../../../../lib/core/address.js';
import { StatelessMapper } from '../../../../lib/l4/nat64/stateless.js';
import {
  type PlainEnds,
  plainIp,
  type PlainPacket,
  type PlainProtocol,
  plainSegment,
  plainSum,
} from '../../wire/plain-packets.js';
import { hex, isSound, Rig } from './rig.js';
import { PREFIX, four, rig, to6 } from './stateless-rig.js';

/** A router on the way, who tells a host of IPv6. */
const TO_HOST: PlainEnds = {
  source: four('203.0.113.9'),
  destination: four('192.0.2.33'),
  sourcePort: 0,
  destinationPort: 0,
};
/** What the host had sent. */
const SENT: PlainEnds = {
  source: four('192.0.2.33'),
  destination: four('203.0.113.77'),
  sourcePort: 4321,
  destinationPort: 53,
};
/** One host of IPv6 tells of what came from IPv4. */
const TO_4 = to6({ ...TO_HOST, source: four('192.0.2.33'), destination: four('203.0.113.77') });

const packet = (protocol: PlainProtocol, body: Uint8Array = new Uint8Array(8)): PlainPacket => ({
  protocol,
  body,
  checksum: 'full',
  options: 0,
});
const view = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
const inner = (protocol: PlainProtocol, ends: PlainEnds, length = 8) =>
  plainIp(packet(protocol), ends, plainSegment(packet(protocol, new Uint8Array(length)), ends));

/** An ICMP error of that type and code, with the word behind it, about `quoted`, with extensions behind. */
function error(ends: PlainEnds, type: number, code: number, rest: number, quoted: Uint8Array): Uint8Array {
  const header = ends.source.version === 4 ? 20 : 40;
  const bytes = plainIp(packet('icmp-error'), ends, plainSegment(packet('icmp-error', quoted), ends));
  const data = view(bytes);
  data.setUint8(header, type);
  data.setUint8(header + 1, code);
  data.setUint32(header + 4, rest);
  return sealed(bytes);
}

/** Its checksum summed anew, whatever was in it. */
function sealed(bytes: Uint8Array): Uint8Array {
  const is4 = (bytes[0] ?? 0) >>> 4 === 4;
  const segment = bytes.subarray(is4 ? 20 : 40);
  view(segment).setUint16(2, 0);
  const { length } = segment;
  const pseudo = is4 ? 0 : plainSum(Uint8Array.of(0, 58, length >>> 8, length & 255), plainSum(bytes.subarray(8, 40)));
  view(segment).setUint16(2, ~plainSum(segment, pseudo) & 0xffff);
  return bytes;
}

/** The quoted header's identification, flags and checksum of IPv4 do not count. */
function loosely(bytes: Uint8Array): string {
  const copy = Uint8Array.from(bytes);
  for (const at of [0, 28]) {
    copy.fill(0, at + 4, at + 8);
    copy.fill(0, at + 10, at + 12);
  }
  copy.fill(0, 22, 24);
  return hex(copy);
}

describe('ICMP errors in the other version', () => {
  const protocols = ['tcp', 'udp', 'icmp'] as const;

  it('quote the packet as its sender sent it, with all checksums right', () => {
    for (const protocol of protocols) {
      const out = rig().one(error(TO_HOST, 11, 0, 0, inner(protocol, SENT)));
      expect(hex(out)).to.equal(hex(error(to6(TO_HOST), 3, 0, 0, inner(protocol, to6(SENT)))));
    }
  });

  it('and the other way round', () => {
    const back: PlainEnds = { ...SENT, source: SENT.destination, destination: SENT.source };
    const ends4: PlainEnds = { ...TO_HOST, source: four('192.0.2.33'), destination: four('203.0.113.77') };
    for (const protocol of protocols) {
      const out = rig().one(error(TO_4, 1, 4, 0, inner(protocol, to6(back))));
      expect(isSound(out)).to.equal(true);
      expect(plainSum(out.subarray(28, 48))).to.equal(0xffff);
      expect(loosely(out)).to.equal(loosely(error(ends4, 3, 3, 0, inner(protocol, back))));
    }
  });

  it('are right for any quotation, however it is cut', () => {
    const made = rig();
    const lengths = fc.tuple(fc.nat(900), fc.nat(900), fc.constantFrom(...protocols), fc.boolean());
    fc.assert(
      fc.property(lengths, ([length, cut, protocol, isFrom4]) => {
        const back: PlainEnds = { ...SENT, source: SENT.destination, destination: SENT.source };
        const quoted = inner(protocol, isFrom4 ? SENT : to6(back), length);
        const least = (isFrom4 ? 20 : 40) + 8;
        const kept = quoted.subarray(0, Math.max(least, quoted.length - cut));
        // Half of a checksum cannot be brought up to date.
        fc.pre(protocol !== 'tcp' || kept.length !== (isFrom4 ? 20 : 40) + 17);
        const out = made.one(isFrom4 ? error(TO_HOST, 3, 1, 0, kept) : error(TO_4, 1, 0, 0, kept));
        expect(isSound(out)).to.equal(true);
        expect(out.length).to.be.at.most(isFrom4 ? 1280 : 576);
        const other = inner(protocol, isFrom4 ? to6(SENT) : back, length);
        const start = isFrom4 ? 48 : 28;
        const same = out.subarray(start);
        if (isFrom4) expect(hex(same)).to.equal(hex(other.subarray(0, same.length)));
        else expect(hex(same.subarray(12))).to.equal(hex(other.subarray(12, same.length)));
      }),
    );
  });

  it('state MTUs of the other version', () => {
    const needed = rig().one(error(TO_HOST, 3, 4, 1400, inner('udp', SENT, 1400)));
    expect([view(needed).getUint16(40), view(needed).getUint32(44)]).to.deep.equal([0x0200, 1420]);
    const old = rig().one(error(TO_HOST, 3, 4, 0, inner('udp', SENT, 1472)));
    expect(view(old).getUint32(44)).to.equal(1512);
    const back = to6({ ...SENT, source: SENT.destination, destination: SENT.source });
    const tooBig = rig().one(error(TO_4, 2, 0, 1300, inner('udp', back, 1400).subarray(0, 1200)));
    expect([view(tooBig).getUint16(20), view(tooBig).getUint32(24)]).to.deep.equal([0x0304, 1280]);
    const piece = plainIp(packet('udp'), back, plainSegment(packet('udp'), back), 0x2000);
    const ofPiece = rig().one(error(TO_4, 2, 0, 1300, piece));
    expect(view(ofPiece).getUint32(24)).to.equal(1272);
  });

  it('point to the same field', () => {
    const problem = rig().one(error(TO_HOST, 12, 0, 8 << 24, inner('udp', SENT)));
    expect([view(problem).getUint16(40), view(problem).getUint32(44)]).to.deep.equal([0x0400, 7]);
    const protocol = rig().one(error(TO_HOST, 3, 2, 0, inner('udp', SENT)));
    expect([view(protocol).getUint16(40), view(protocol).getUint32(44)]).to.deep.equal([0x0401, 6]);
    expect(rig().dropped(error(TO_HOST, 12, 0, 5 << 24, inner('udp', SENT)))).to.equal('translate-impossible');
    const back = to6({ ...SENT, source: SENT.destination, destination: SENT.source });
    const field = rig().one(error(TO_4, 4, 0, 7, inner('udp', back)));
    expect([view(field).getUint16(20), view(field).getUint32(24)]).to.deep.equal([0x0c00, 8 << 24]);
    expect(rig().dropped(error(TO_4, 4, 0, 2, inner('udp', back)))).to.equal('translate-impossible');
    expect(rig().dropped(error(TO_4, 4, 2, 40, inner('udp', back)))).to.equal('translate-impossible');
  });

  it('keep the extensions behind the quotation (RFC 4884)', () => {
    const extension = Uint8Array.of(0x20, 0, 0, 0, 0, 8, 1, 1, 0xde, 0xad, 0xbe, 0xef);
    const quoted = new Uint8Array(128 + extension.length);
    quoted.set(inner('udp', SENT, 20));
    quoted.set(extension, 128);
    const out = rig().one(error(TO_HOST, 11, 0, 32 << 16, quoted));
    expect(isSound(out)).to.equal(true);
    expect(out[44]).to.equal(16);
    expect(hex(out.subarray(48 + 128))).to.equal(hex(extension));
    expect(hex(out.subarray(48, 48 + 68))).to.equal(hex(inner('udp', to6(SENT), 20)));
    expect(out.subarray(48 + 68, 48 + 128).every((byte) => byte === 0)).to.equal(true);

    const back: PlainEnds = { ...SENT, source: SENT.destination, destination: SENT.source };
    const six = new Uint8Array(136 + extension.length);
    six.set(inner('udp', to6(back), 88));
    six.set(extension, 136);
    const four = rig().one(error(TO_4, 1, 0, 17 << 24, six));
    expect(isSound(four)).to.equal(true);
    // 136 bytes with an IPv6 header are 116 with an IPv4 one, and 128 are the least.
    expect(four[25]).to.equal(32);
    expect(hex(four.subarray(28 + 128))).to.equal(hex(extension));
  });

  it('leave the extensions out where the word behind the type says something else in IPv6 (RFC 4884 4.4)', () => {
    const extension = Uint8Array.of(0x20, 0, 0, 0, 0, 8, 1, 1, 0xde, 0xad, 0xbe, 0xef);
    const quoted = new Uint8Array(128 + extension.length);
    quoted.set(inner('udp', SENT, 20));
    quoted.set(extension, 128);
    const length = 32 << 16;
    for (const [type, code, rest, kind, word] of [
      [3, 4, length | 1400, 0x0200, 1420],
      [3, 2, length, 0x0401, 6],
      [12, 0, (8 << 24) | length, 0x0400, 7],
    ] as const) {
      const out = rig().one(error(TO_HOST, type, code, rest, quoted));
      expect(isSound(out)).to.equal(true);
      expect([view(out).getUint16(40), view(out).getUint32(44)]).to.deep.equal([kind, word]);
      expect(hex(out.subarray(48, 48 + 68))).to.equal(hex(inner('udp', to6(SENT), 20)));
      expect(hex(out)).to.not.include(hex(extension));
    }
  });

  it('of a fragment quote a fragment', () => {
    const segment = plainSegment(packet('udp', new Uint8Array(64)), SENT);
    const piece = plainIp(packet('udp'), SENT, segment.subarray(24, 48), 0x2003);
    const out = rig().one(error(TO_HOST, 11, 1, 0, piece));
    const expected = plainIp(packet('udp'), to6(SENT), segment.subarray(24, 48), 0x2003);
    view(expected).setUint32(44, 0x1234);
    expect(hex(out)).to.equal(hex(error(to6(TO_HOST), 3, 1, 0, expected)));
  });

  it('are whole, whatever was translated before', () => {
    const made = rig();
    const about = error(TO_HOST, 3, 4, 1400, inner('udp', SENT));
    const piece = plainIp(packet('udp'), TO_HOST, new Uint8Array(16), 0x2003);
    for (const before of [inner('udp', TO_HOST, 1400), piece]) {
      expect(made.all(before).map((bytes) => bytes[6])).to.include(44);
      expect(hex(made.one(Uint8Array.from(about)))).to.equal(hex(rig().one(Uint8Array.from(about))));
    }
  });

  it('are not made of errors about errors, nor of what cannot be read', () => {
    const about = error({ ...SENT, source: SENT.source }, 3, 1, 0, inner('udp', SENT));
    expect(rig().dropped(error(TO_HOST, 11, 0, 0, about))).to.equal('nat-bad-quote');
    expect(rig().dropped(error(TO_HOST, 11, 0, 0, inner('udp', SENT).subarray(0, 12)))).to.equal('nat-bad-quote');
    expect(rig().dropped(error(TO_HOST, 11, 0, 0, inner('udp', to6(SENT))))).to.equal('nat-bad-quote');
    expect(rig().dropped(error(TO_HOST, 5, 0, 0, inner('udp', SENT)))).to.equal('translate-impossible');
  });

  it('come from the address given for that, or the host in question, where a router of IPv6 has none of IPv4 (RFC 6791)', () => {
    const back = to6({ ...SENT, source: SENT.destination, destination: SENT.source });
    const from: PlainEnds = { ...TO_4, source: Ipv6Address.parse('2001:db8::99') };
    const out = rig().one(error(from, 3, 0, 0, inner('udp', back)));
    expect([...out.subarray(12, 16)]).to.deep.equal([198, 51, 100, 1]);
    const without = new Rig(new StatelessMapper({ prefix: PREFIX, translatable: ['192.0.2.0/24'] }));
    expect([...without.one(error(from, 3, 0, 0, inner('udp', back))).subarray(12, 16)]).to.deep.equal([192, 0, 2, 33]);
  });

  it('never throw, whatever is quoted', () => {
    const made = rig();
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 300 }),
        fc.boolean(),
        fc.nat(15),
        fc.nat(15),
        fc.nat(0xffff_ffff),
        (noise, is4, type, code, rest) => {
          const quoted = Uint8Array.from(noise);
          if (quoted.length > 0) quoted[0] = is4 ? 0x45 : 0x60;
          made
            .all(error(is4 ? TO_HOST : TO_4, type, code, rest, quoted))
            .forEach((out) => expect(isSound(out)).to.equal(true));
        },
      ),
      { numRuns: 1000 },
    );
  });
});
