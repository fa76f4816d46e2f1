import { expect } from 'chai';
import * as fc from 'fast-check';
import { type IpAddress, ipOf } from '../../../lib/core/address.js';
import { Frame, NOT_PARSED } from '../../../lib/core/frame.js';
import { PacketNotation } from '../../../lib/text/notation.js';
import { IpProtocol } from '../../../lib/wire/ip.js';
import { networkOffset } from '../../../lib/wire/network-offset.js';
import { PacketFields } from '../../../lib/wire/packet-fields.js';
import { truncations } from './frames.js';
import { descriptions, superSegment } from './super-segments.js';

function packet(version: 4 | 6, text: string): Frame {
  return new PacketNotation({ version, linkType: 'ip' }).build(text);
}

const signed = (address: IpAddress): number[] => ([0, 1, 2, 3] as const).map((i) => address.word(i) | 0);

function fieldsOf(frame: Frame): PacketFields {
  const fields = new PacketFields();
  expect(fields.read(frame, frame.start)).to.equal(true);
  return fields;
}

describe('PacketFields', () => {
  it('reads packets of TCP and UDP, whatever stands in front of them', () => {
    fc.assert(
      fc.property(descriptions, (of) => {
        const frame = superSegment(of);
        const fields = new PacketFields();
        expect(fields.read(frame, networkOffset(frame, of.tags === undefined ? 'ip' : 'ethernet'))).to.equal(true);
        const { version } = of;
        const [from, to] = version === 4 ? ['10.0.0.1', '10.0.0.2'] : ['2001:db8::1', '2001:db8::2:0:2'];
        const common = { version, hopLimit: 61, trafficClass: 2, isFragment: false, end: frame.end };
        expect(fields).to.include({ ...common, transport: frame.checksumStart, sourcePort: 80 });
        expect(fields).to.include(
          of.udp
            ? { protocol: IpProtocol.Udp, destinationPort: 40_001, tcpFlags: 0 }
            : { protocol: IpProtocol.Tcp, destinationPort: 40_000, tcpFlags: of.flags & 0xff },
        );
        const { source0, source1, source2, source3 } = fields;
        expect([source0, source1, source2, source3]).to.deep.equal(signed(ipOf(from)));
        const { destination0, destination1, destination2, destination3 } = fields;
        expect([destination0, destination1, destination2, destination3]).to.deep.equal(signed(ipOf(to)));
      }),
    );
  });

  it('reads messages of ICMP', () => {
    const echo = { icmpType: 8, icmpCode: 0, icmpIdentifier: 7, sourcePort: 0 };
    expect(fieldsOf(packet(4, 'icmp echo_request id 7 seq 1 (56)'))).to.include(echo);
    expect(fieldsOf(packet(6, 'icmpv6 echo_reply id 9 seq 1 (0)'))).to.include({ icmpType: 129, icmpIdentifier: 9 });
    expect(fieldsOf(packet(4, 'udp 1 > 2 (0)'))).to.include({ icmpType: -1, icmpCode: -1 });
  });

  for (const version of [4, 6] as const) {
    it(`refuses an IPv${version} packet that is cut short, whole or in its headers`, () => {
      const bytes = packet(version, 'S 0:0(0) win 1000 <mss 1460>').bytes();
      const fields = new PacketFields();
      for (const frame of truncations(bytes)) {
        expect(fields.read(frame, frame.start)).to.equal(false);
        expect(fields.version).to.equal(0);
      }
    });
  }

  it('knows fragments, and finds a transport header in the first one only', () => {
    const bytes = packet(4, 'udp 5 > 7 (100)').bytes().slice();
    const view = new DataView(bytes.buffer);
    view.setUint16(4, 0xfedc);
    view.setUint16(6, 0x2000);
    const first = fieldsOf(Frame.from(bytes));
    expect(first).to.include({ moreFragments: true, fragmentOffset: 0, sourcePort: 5, destinationPort: 7 });
    expect([first.isFragment, first.identification]).to.deep.equal([true, 0xfedc]);
    view.setUint16(6, 0x0002);
    const last = fieldsOf(Frame.from(bytes));
    expect(last).to.include({ moreFragments: false, fragmentOffset: 16, sourcePort: 0, transport: NOT_PARSED });
    expect(last.isFragment).to.equal(true);
  });

  it('says of packets of IPv6 whether an address of theirs is a mapped one', () => {
    const isMapped = (source: string, destination: string) =>
      fieldsOf(packet(ipOf(source).version, `udp 1 > 2 (0) from ${source} to ${destination}`)).isMapped;
    expect(isMapped('10.0.0.1', '10.0.0.2')).to.equal(false);
    expect(isMapped('2001:db8::1', '::ffff:0:1')).to.equal(true);
    expect(isMapped('::ffff:10.0.0.1', '2001:db8::1')).to.equal(true);
    expect(isMapped('0:0:1:0:0:ffff:1:2', '0:1::ffff:1:2')).to.equal(false);
    expect(isMapped('::1:ffff:1:2', '::fffe:1:2')).to.equal(false);
  });

  /** A datagram of IPv6 behind fragment headers of these words of offset and flags. */
  function behind(...fragments: readonly number[]): Frame {
    const { length } = fragments;
    const bytes = new Uint8Array(40 + 8 * length + 8);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, 0x6000_0000);
    view.setUint16(4, 8 * length + 8);
    view.setUint8(6, length === 0 ? IpProtocol.Udp : IpProtocol.Fragment);
    for (const [i, field] of fragments.entries()) {
      const at = 40 + 8 * i;
      view.setUint8(at, i + 1 < length ? IpProtocol.Fragment : IpProtocol.Udp);
      view.setUint16(at + 2, field);
      view.setUint32(at + 4, i + 1);
    }
    view.setUint32(40 + 8 * length, 0x0005_0007);
    return Frame.from(bytes);
  }

  it('tells fragments of IPv6 from whole packets with a fragment header (RFC 6946)', () => {
    const none = { hasFragmentHeader: false, isFragment: false, identification: 0, sourcePort: 5 };
    expect(fieldsOf(behind())).to.include(none);
    expect(fieldsOf(packet(4, 'udp 5 > 7 (4)'))).to.include(none);
    const atomic = { hasFragmentHeader: true, isFragment: false, sourcePort: 5 };
    expect(fieldsOf(behind(0))).to.include(atomic);
    expect(fieldsOf(behind(0, 0))).to.include(atomic);
    expect(fieldsOf(behind(8))).to.include({ isFragment: true, fragmentOffset: 8, transport: NOT_PARSED });
  });

  it('goes by the first header of a fragment: another one is a part of what was cut', () => {
    const first = { moreFragments: true, fragmentOffset: 0, identification: 1, protocol: IpProtocol.Udp };
    expect(fieldsOf(behind(1, 0))).to.include({ ...first, sourcePort: 5 });
    expect(fieldsOf(behind(1, 8))).to.include({ ...first, sourcePort: 0, transport: NOT_PARSED });
    // Behind that of a whole packet it is one of a fragment.
    expect(fieldsOf(behind(0, 1))).to.include({ ...first, identification: 2, sourcePort: 5 });
    expect(fieldsOf(behind(0, 9))).to.include({ fragmentOffset: 8, identification: 2, transport: NOT_PARSED });
  });

  it('takes no ICMP for that of the other version', () => {
    for (const [version, protocol] of [
      [4, 58],
      [6, 1],
    ] as const) {
      const fields = fieldsOf(packet(version, `ip ${protocol} (20)`));
      expect(fields).to.include({ protocol, icmpType: -1, icmpCode: -1, icmpIdentifier: 0, sourcePort: 0 });
    }
  });

  it('reads a quoted packet of which only eight bytes behind the IP header are left', () => {
    for (const version of [4, 6] as const) {
      const whole = packet(version, 'udp 80 > 4000 (1000)').bytes();
      const header = version === 4 ? 20 : 40;
      for (let left = 0; left <= 8; left++) {
        const frame = Frame.from(whole.slice(0, header + left));
        const fields = new PacketFields();
        expect(fields.read(frame, frame.start)).to.equal(false);
        expect(fields.readQuoted(frame, frame.start, frame.end)).to.equal(true);
        expect(fields.sourcePort).to.equal(left === 8 ? 80 : 0);
        expect(fields.transport).to.equal(left === 8 ? frame.start + header : NOT_PARSED);
      }
    }
  });

  it('never fails, whatever the bytes', () => {
    const fields = new PacketFields();
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 120 }), fc.constantFrom(0x45, 0x46, 0x4f, 0x60), (bytes, first) => {
        bytes[0] = first;
        const frame = Frame.from(bytes);
        const whole = fields.read(frame, frame.start);
        if (whole) expect(fields.end).to.be.at.most(frame.end);
        const quoted = fields.readQuoted(frame, frame.start, frame.end);
        expect(quoted || !whole).to.equal(true);
        if (quoted && fields.transport !== NOT_PARSED) expect(fields.transport).to.be.at.most(fields.end);
      }),
      { numRuns: 500 },
    );
  });
});
