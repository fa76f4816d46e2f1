import { expect } from 'chai';
import * as fc from 'fast-check';
import { type IpAddress, Ipv4Address, Ipv6Address } from '../../../lib/core/address.js';
import { Frame } from '../../../lib/core/frame.js';
import { PacketFields } from '../../../lib/wire/packet-fields.js';
import {
  isIcmpError,
  isIcmpQuery,
  mayBeFragmented,
  readQuote,
  rewriteDestination,
  rewriteIdentification,
  rewriteQuotedDestination,
  rewriteQuotedSource,
  rewriteSource,
  SAME_PORT,
} from '../../../lib/wire/rewrite.js';
import { type PlainEnds, plainFrame, plainIp, type PlainPacket, plainSegment } from './plain-packets.js';

// The sums that carry, and those that are zero, are rare by chance.
const word = fc.oneof(fc.nat(0xffff_ffff), fc.constantFrom(0, 1, 0xffff, 0xffff_0000, 0xffff_ffff));
const port = fc.oneof(fc.nat(0xffff), fc.constantFrom(0, 1, 0xffff));

function address(version: 4 | 6): fc.Arbitrary<IpAddress> {
  if (version === 4) return word.map((value) => new Ipv4Address(value));
  return fc.tuple(word, word, word, word).map(([a, b, c, d]) => new Ipv6Address(a, b, c, d));
}

const ends = (version: 4 | 6): fc.Arbitrary<PlainEnds> =>
  fc.record({ source: address(version), destination: address(version), sourcePort: port, destinationPort: port });

const packets: fc.Arbitrary<PlainPacket> = fc
  .record({
    protocol: fc.constantFrom('tcp', 'udp', 'udp-lite', 'dccp', 'icmp'),
    body: fc.uint8Array({ maxLength: 90 }),
    checksum: fc.constantFrom('full', 'partial', 'none'),
    options: fc.constantFrom(0, 0, 8, 16),
  } as const)
  // Only UDP goes without, and a field that a sender leaves to its device is never ICMP's of IPv4.
  .map((packet) => {
    const { checksum, protocol } = packet;
    const has =
      checksum === 'none' ? protocol === 'udp' : checksum === 'full' || protocol === 'tcp' || protocol === 'udp';
    return has ? packet : { ...packet, checksum: 'full' };
  });

/** A packet, its ends, others, and which of the two ports are to change. */
const changes = fc
  .constantFrom(4 as const, 6 as const)
  .chain((version) => fc.record({ packet: packets, before: ends(version), after: ends(version), ports: fc.boolean() }));

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const words = (of: IpAddress): [number, number, number, number] => [of.word(0), of.word(1), of.word(2), of.word(3)];

function fieldsOf(frame: Frame): PacketFields {
  const fields = new PacketFields();
  expect(fields.read(frame, frame.start)).to.equal(true);
  return fields;
}

/** The ends that a packet has after all of them were changed but for ports that are to stay. */
function changed(before: PlainEnds, after: PlainEnds, ports: boolean): PlainEnds {
  const { sourcePort, destinationPort } = ports ? after : before;
  return { ...after, sourcePort, destinationPort };
}

function rewriteBoth(frame: Frame, fields: PacketFields, to: PlainEnds, ports: boolean): void {
  // A query has one identifier: whoever writes it last, it is the source's.
  rewriteDestination(frame, fields, ...words(to.destination), ports ? to.destinationPort : SAME_PORT);
  rewriteSource(frame, fields, ...words(to.source), ports ? to.sourcePort : SAME_PORT);
}

describe('rewriting packets', () => {
  it('1624 3022: leaves every checksum as if the packet had been sent with its new addresses and ports', () => {
    fc.assert(
      fc.property(changes, ({ packet, before, after, ports }) => {
        const frame = plainFrame(packet, before);
        rewriteBoth(frame, fieldsOf(frame), after, ports);
        expect(hex(frame.bytes())).to.equal(hex(plainFrame(packet, changed(before, after, ports)).bytes()));
      }),
      { numRuns: 1000 },
    );
  });

  for (const protocol of ['udp', 'udp-lite'] as const) {
    it(`3828 3.1: writes a sum of zero as all ones in ${protocol}`, () => {
      const packet: PlainPacket = { protocol, body: Uint8Array.of(1, 2, 3, 4), checksum: 'full', options: 0 };
      const [source, destination] = [new Ipv4Address(0x0a00_0001), new Ipv4Address(0x0a00_0002)];
      const before: PlainEnds = { source, destination, sourcePort: 0, destinationPort: 7 };
      // What is added to a port is taken from the checksum.
      const sourcePort = new DataView(plainSegment(packet, before).buffer).getUint16(6);
      const frame = plainFrame(packet, before);
      rewriteSource(frame, fieldsOf(frame), ...words(source), sourcePort);
      expect(frame.slab.view.getUint16(frame.start + 26)).to.equal(0xffff);
      expect(hex(frame.bytes())).to.equal(hex(plainFrame(packet, { ...before, sourcePort }).bytes()));
    });
  }

  it('changes the identification of packets of IPv4, and knows which may be fragmented', () => {
    fc.assert(
      fc.property(packets, ends(4), fc.nat(0xffff), fc.boolean(), (packet, of, identification, dontFragment) => {
        const frame = plainFrame({ ...packet, dontFragment }, of);
        const fields = fieldsOf(frame);
        rewriteIdentification(fields, identification);
        expect(hex(frame.bytes())).to.equal(hex(plainFrame({ ...packet, identification, dontFragment }, of).bytes()));
        expect(mayBeFragmented(fields)).to.equal(!dontFragment);
        const bytes = plainIp(packet, of, plainSegment(packet, of), 0x2000);
        expect(mayBeFragmented(fieldsOf(Frame.from(bytes)))).to.equal(false);
      }),
    );
  });

  it('keeps the fields that it was given those of the packet', () => {
    fc.assert(
      fc.property(changes, ({ packet, before, after, ports }) => {
        const frame = plainFrame(packet, before);
        const fields = fieldsOf(frame);
        rewriteBoth(frame, fields, after, ports);
        expect(fields).to.deep.equal(fieldsOf(frame));
      }),
    );
  });

  it('changes addresses only in fragments behind the first, and checksums of the whole in the first', () => {
    const cut = (packet: PlainPacket, of: PlainEnds, at: number): Uint8Array[] => {
      const segment = plainSegment(packet, of);
      return [plainIp(packet, of, segment.subarray(0, at), 0x2000), plainIp(packet, of, segment.subarray(at), at / 8)];
    };
    fc.assert(
      fc.property(changes, fc.constantFrom(24, 32), ({ packet, before, after, ports }, at) => {
        fc.pre(packet.checksum !== 'partial');
        const long = { ...packet, body: new Uint8Array(64).fill(7) };
        const expected = cut(long, changed(before, after, ports), at);
        cut(long, before, at).forEach((bytes, index) => {
          const frame = Frame.from(bytes);
          rewriteBoth(frame, fieldsOf(frame), after, ports);
          expect(hex(frame.bytes())).to.equal(hex(expected[index] ?? bytes));
        });
      }),
    );
  });

  it('5508 REQ-4, REQ-5: changes the packets that ICMP errors quote, cut off anywhere, and all checksums over them', () => {
    /** An error about a packet, of which it quotes at most `most` bytes behind the IP header. */
    const errorAbout = (packet: PlainPacket, inner: PlainEnds, outer: PlainEnds, most: number): Frame => {
      const whole = plainFrame(packet, inner).bytes();
      const header = whole.length - plainSegment(packet, inner).length;
      const body = whole.slice(0, header + most);
      return plainFrame({ protocol: 'icmp-error', body, checksum: 'full', options: 0 }, outer);
    };
    fc.assert(
      // Half a checksum says nothing: it stays as it is, and so must not be compared.
      fc.property(
        changes,
        changes,
        fc.integer({ min: 8, max: 60 }).filter((n) => n !== 17),
        (inner, outer, most) => {
          fc.pre(inner.before.source.version === outer.before.source.version && inner.packet.checksum !== 'partial');
          const { packet, before, after, ports } = inner;
          const frame = errorAbout(packet, before, outer.before, most);
          const [fields, quote] = [fieldsOf(frame), new PacketFields()];
          expect(readQuote(frame, fields, quote)).to.equal(true);
          const { destinationPort, sourcePort } = after;
          rewriteQuotedDestination(
            frame,
            fields,
            quote,
            ...words(after.destination),
            ports ? destinationPort : SAME_PORT,
          );
          rewriteBoth(frame, fields, outer.after, false);
          rewriteQuotedSource(frame, fields, quote, ...words(after.source), ports ? sourcePort : SAME_PORT);
          const expected = errorAbout(packet, changed(before, after, ports), outer.after, most);
          expect(hex(frame.bytes())).to.equal(hex(expected.bytes()));
        },
      ),
      { numRuns: 1000 },
    );
  });

  it('keeps a checksum that was wrong as wrong as it was', () => {
    fc.assert(
      fc.property(changes, fc.integer({ min: 1, max: 0xfffe }), ({ packet, before, after }, error) => {
        fc.pre(packet.checksum === 'full' && packet.protocol !== 'udp');
        const spoil = (frame: Frame): Frame => {
          // At an even offset, and not one of the fields that change.
          const at = frame.end - plainSegment(packet, before).length + (packet.protocol === 'icmp' ? 6 : 8);
          const { view } = frame.slab;
          if (at + 2 <= frame.end) view.setUint16(at, (view.getUint16(at) + error) % 0xffff);
          return frame;
        };
        const frame = spoil(plainFrame(packet, before));
        rewriteBoth(frame, fieldsOf(frame), after, true);
        expect(hex(frame.bytes())).to.equal(hex(spoil(plainFrame(packet, after)).bytes()));
      }),
    );
  });

  it('tells errors and queries of ICMP apart', () => {
    for (const version of [4, 6] as const) {
      fc.assert(
        fc.property(ends(version), fc.nat(255), (of, type) => {
          const frame = plainFrame({ protocol: 'icmp', body: new Uint8Array(20), checksum: 'full', options: 0 }, of);
          frame.slab.view.setUint8(frame.start + (version === 4 ? 20 : 40), type);
          const fields = fieldsOf(frame);
          expect(isIcmpError(fields)).to.equal(version === 4 ? [3, 4, 5, 11, 12].includes(type) : type < 128);
          const queries = version === 4 ? [0, 8, 13, 14, 17, 18] : [128, 129];
          expect(isIcmpQuery(fields)).to.equal(queries.includes(type));
        }),
        { numRuns: 300 },
      );
    }
  });

  it('finds no quotation in what is no error, or has none', () => {
    const of = { source: new Ipv4Address(1), destination: new Ipv4Address(2), sourcePort: 3, destinationPort: 4 };
    const quote = new PacketFields();
    for (const [protocol, length] of [
      ['udp', 60],
      ['icmp', 60],
      ['icmp-error', 0],
      ['icmp-error', 19],
    ] as const) {
      const frame = plainFrame({ protocol, body: new Uint8Array(length).fill(0x45), checksum: 'full', options: 0 }, of);
      expect(readQuote(frame, fieldsOf(frame), quote)).to.equal(false);
    }
  });
});
