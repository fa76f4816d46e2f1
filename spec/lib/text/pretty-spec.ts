import { expect } from 'chai';
import * as fc from 'fast-check';
import { ChecksumState, type Frame, FramePool, GsoType } from '../../../lib/core/frame.js';
import { describe as describePacket } from '../../../lib/text/describe.js';
import { PacketNotation } from '../../../lib/text/notation.js';
import { pretty } from '../../../lib/text/pretty.js';
import { EthernetFrame, EtherType } from '../../../lib/wire/ethernet.js';
import { IpProtocol } from '../../../lib/wire/ip.js';
import { Ipv4Packet, ipv4PseudoHeaderSum } from '../../../lib/wire/ipv4.js';
import { UdpDatagram } from '../../../lib/wire/udp.js';
import { VxlanHeader } from '../../../lib/wire/vxlan.js';
import { pushVlanTag } from '../../../lib/wire/vlan.js';
import { frameOf, hexBytes, hexOf, truncations } from '../wire/frames.js';
import { BULK, superSegment } from '../wire/super-segments.js';

const ETHERNET = '0200000000aa 0200000000bb 0800';
const UDP = '4500002112344000401114960a0000020a00000104000035000da3ca68656c6c6f';
const SYN =
  '4500003c00000000400666ba0a0000020a0000019c4000500102030400000000a002ffff93660000020405b40402080a000000010000000001030307';
const UNREACHABLE =
  '45000038000000004001 66c3 0a0000010a000002 030354f0000000004500002100000000401166ca0a0000020a00000104000035000da3ca';
const SOURCE_ROUTED = '4700002500000000401100000a0000020a000001 8307040a09090900 04000035000da3ca68656c6c6f';
const ARP = '0200000000aa 0200000000bb 0806 00010800060400010200000000bb0a0000020000000000000a000001';

/** IPv6 packets of all kinds, as hex. */
const SIX = [
  'S 0:0(0) <mss 1440> hopopts 0x05020000',
  'udp 1 > 2 (4) frag 0:12',
  'icmpv6 unreachable port [udp 1024 > 53 (12)]',
  'icmpv6 neighbor_solicitation target fe80::2 lladdr 02:00:00:00:00:01',
  'icmpv6 router_advertisement rest 1090521488 (16 0x00000000000000000101020000000001)',
  'icmpv6 listener_report_v2 rest 1 (20) dstopts 0xc910',
  'udp 1 > 2 (4) routing 0x0001',
].map((text) => hexOf(new PacketNotation({ version: 6, linkType: 'ip' }).build(text)));

/** A frame in VXLAN 42, without an outer UDP checksum. */
function tunnelled(hex: string): Frame {
  const bytes = hexBytes(hex);
  const frame = new FramePool().alloc(bytes.length + 6000);
  frame.start = frame.end = frame.limit - bytes.length;
  frame.slab.bytes.set(bytes, frame.put(bytes.length));
  VxlanHeader.emit(frame, 42);
  UdpDatagram.emitUnchecked(frame, 50_000, 4789);
  const [source, destination] = [0xc000_0201, 0xc000_0202];
  Ipv4Packet.emit(frame, { source, destination, protocol: IpProtocol.Udp, identification: 1 });
  EthernetFrame.emit(frame, 0x0200_0000_0001, 0x0200_0000_0002, EtherType.Ipv4);
  return frame;
}

const line = (hex: string): string => pretty(frameOf(hex), { linkType: 'ip' });

/** A UDP datagram to 10.9.9.9, by way of 10.0.0.1 where the option's pointer says so. */
function routed(type: number, pointer: number): Frame {
  const frame = frameOf('00000000');
  const [source, station, last] = [0x0a00_0002, 0x0a00_0001, 0x0a09_0909];
  const [destination, next] = pointer === 4 ? [station, last] : [last, station];
  UdpDatagram.emit(frame, 1, 2, ipv4PseudoHeaderSum(source, last, IpProtocol.Udp, 12));
  const data = new Uint8Array(5);
  data[0] = pointer;
  new DataView(data.buffer).setUint32(1, next);
  Ipv4Packet.emit(frame, { source, destination, protocol: IpProtocol.Udp, options: [{ type, data }] });
  return frame;
}

describe('pretty', () => {
  it('has nothing to say about the checksum of a super-segment, which its segments get anew', () => {
    const frame = superSegment(BULK);
    for (const checksum of [ChecksumState.None, ChecksumState.Valid, ChecksumState.Partial]) {
      frame.checksum = checksum;
      expect(pretty(frame))
        .to.match(/^IP 10.0.0.1.80 > 10.0.0.2.40000: .*length 4000$/)
        .and.not.match(/bad/);
    }
    frame.gsoType = GsoType.None;
    frame.checksum = ChecksumState.Valid;
    expect(pretty(frame)).to.match(/bad tcp checksum/);
  });

  it('tells of UDP and TCP', () => {
    expect(line(UDP)).to.equal('IP 10.0.0.2.1024 > 10.0.0.1.53: UDP, length 5');
    expect(line(SYN)).to.equal(
      'IP 10.0.0.2.40000 > 10.0.0.1.80: Flags [S], seq 16909060, win 65535, ' +
        'options [mss 1460,sackOK,TS val 1 ecr 0,nop,wscale 7], length 0',
    );
  });

  it('tells of ICMP, with the packet that an error quotes', () => {
    expect(line(UNREACHABLE)).to.equal(
      'IP 10.0.0.1 > 10.0.0.2: ICMP unreachable port [IP 10.0.0.2.1024 > 10.0.0.1.53: udp], length 36',
    );
  });

  it('tells of IPv6: transports, extension headers, fragments', () => {
    const notation = new PacketNotation({ version: 6, local: '2001:db8::1', remote: '2001:db8::2', linkType: 'ip' });
    const told = (packet: string): string => pretty(notation.build(packet, '>'), { linkType: 'ip' });
    expect(told('S 7:7(0) win 9 <mss 1440>')).to.equal(
      'IP6 2001:db8::1.8080 > 2001:db8::2.40000: Flags [S], seq 7, win 9, options [mss 1440], length 0',
    );
    expect(told('udp 53 > 1024 (5) hopopts 0x0502 dstopts 0x01')).to.equal(
      'IP6 2001:db8::1.53 > 2001:db8::2.1024: HBH DSTOPT UDP, length 5',
    );
    expect(told('udp 53 > 1024 (5) bad-checksum')).to.match(/length 5 \(bad udp checksum\)$/);
    expect(told('udp 53 > 1024 (100) frag 8:24+ ipid 9')).to.equal(
      'IP6 2001:db8::1 > 2001:db8::2: udp, fragment id 9 offset 8+, length 16',
    );
    expect(told('udp 53 > 1024 (8) frag 0:16')).to.equal('IP6 2001:db8::1.53 > 2001:db8::2.1024: frag UDP, length 8');
    expect(told('ip 59 (0)')).to.equal('IP6 2001:db8::1 > 2001:db8::2: no next header, length 0');
  });

  it('tells of ICMPv6, neighbour and listener discovery', () => {
    const notation = new PacketNotation({ local: 'fe80::1', remote: 'fe80::2', linkType: 'ip' });
    const told = (packet: string): string => pretty(notation.build(packet, '>'), { linkType: 'ip' });
    const from = 'IP6 fe80::1 > ';
    expect(told('icmpv6 echo_request id 7 seq 1 (56)')).to.equal(
      `${from}fe80::2: ICMP6, echo request, id 7, seq 1, length 64`,
    );
    expect(told('icmpv6 unreachable port [udp 1024 > 53 (12)]')).to.equal(
      `${from}fe80::2: ICMP6, unreachable port [IP6 fe80::2.1024 > fe80::1.53: udp], length 68`,
    );
    expect(told('icmpv6 packet_too_big mtu 1280 [1:1001(1000)]')).to.equal(
      `${from}fe80::2: ICMP6, packet too big, mtu 1280 [IP6 fe80::2.40000 > fe80::1.8080: tcp], length 1068`,
    );
    expect(told('icmpv6 parameter_problem option pointer 42 [ip 59 (0)]')).to.match(
      /parameter problem option at 42 \[/,
    );
    expect(told('icmpv6 neighbor_solicitation target fe80::2 lladdr 02:00:00:00:00:01')).to.equal(
      `${from}ff02::1:ff00:2: ICMP6, neighbor solicitation, who has fe80::2, source 02:00:00:00:00:01, length 32`,
    );
    expect(told('icmpv6 neighbor_advertisement target fe80::1 flags SO lladdr 02:00:00:00:00:01')).to.equal(
      `${from}fe80::2: ICMP6, neighbor advertisement, tgt is fe80::1, Flags [solicited, override], target 02:00:00:00:00:01, length 32`,
    );
    expect(
      told('icmpv6 listener_report_v2 rest 1 (20 0x04000000ff020000000000000000000000000005) hopopts 0x05020000'),
    ).to.equal(`${from}fe80::2: HBH ICMP6, multicast listener report v2, 1 group record(s), length 28`);
    expect(told('icmpv6 router_advertisement rest 0x41180990 (8)')).to.equal(
      `${from}fe80::2: ICMP6, router advertisement, hop limit 65, pref low, router lifetime 2448s, length 16`,
    );
    expect(told('icmpv6 neighbor_solicitation target fe80::2 (3)')).to.match(
      /who has fe80::2, length 27 \[ndp-bad-option\]$/,
    );
    expect(told('icmpv6 listener_report rest 0 (4)')).to.match(
      /multicast listener report, length 12 \[mld-truncated\]$/,
    );
  });

  it('tells of ARP, tags and unknown types', () => {
    expect(pretty(frameOf(ARP))).to.equal('ARP, Request who-has 10.0.0.1 tell 10.0.0.2');
    const tagged = frameOf(ETHERNET + UDP);
    pushVlanTag(tagged, { vid: 10, priority: 5 });
    expect(pretty(tagged)).to.equal('vlan 10 p 5, IP 10.0.0.2.1024 > 10.0.0.1.53: UDP, length 5');
    expect(pretty(frameOf('0200000000aa 0200000000bb 88cc 0102'))).to.equal(
      '02:00:00:00:00:bb > 02:00:00:00:00:aa, ethertype 0x88cc, length 2',
    );
  });

  it('tells of VXLAN what the tunnel is, and then what is in it', () => {
    const frame = tunnelled(ETHERNET + UDP);
    expect(pretty(frame)).to.equal(
      'IP 192.0.2.1.50000 > 192.0.2.2.4789: VXLAN, vni 42: IP 10.0.0.2.1024 > 10.0.0.1.53: UDP, length 5',
    );
    expect(describePacket(frame)).to.deep.equal({
      layers: ['eth', 'ipv4', 'udp', 'vxlan'],
      linkSrc: '02:00:00:00:00:02',
      linkDst: '02:00:00:00:00:01',
      src: '192.0.2.1',
      dst: '192.0.2.2',
      sport: 50_000,
      dport: 4789,
      checksums: { ipv4: 'good', udp: 'absent' },
      vni: 42,
      inner: describePacket(frameOf(ETHERNET + UDP)),
    });
    expect(pretty(tunnelled(ARP))).to.match(/VXLAN, vni 42: ARP, Request who-has 10.0.0.1 tell 10.0.0.2$/);
    expect(pretty(tunnelled(''))).to.match(/VXLAN, vni 42: unreadable, length 0 \[ethernet-truncated\]$/);
    const odd = tunnelled(ETHERNET + UDP);
    odd.slab.view.setUint8(odd.start + 14 + 20 + 8, 0x0c);
    expect(pretty(odd)).to.match(/VXLAN, vni 42 \[vxlan-bad-header\]: IP 10/);
    for (const cut of truncations(Uint8Array.from(frame.bytes()))) {
      expect(pretty(cut)).to.not.match(/undefined|NaN/);
      describePacket(cut);
    }
  });

  it('tells of frames in frames up to a depth', () => {
    let frame = frameOf(ETHERNET + UDP);
    for (let i = 0; i < 100; i++) frame = tunnelled(hexOf(frame));
    expect(pretty(frame).split('VXLAN')).to.have.lengthOf(9);
  });

  it('tells of fragments, bad checksums and malformed packets', () => {
    expect(line(UDP.replace('4000401114', '2001401134'))).to.equal(
      'IP 10.0.0.2 > 10.0.0.1: udp, fragment id 4660 offset 8+, length 13 (bad ipv4 checksum)',
    );
    expect(line(UDP.replace('68656c', '68656d'))).to.match(/length 5 \(bad udp checksum\)$/);
    expect(line(UDP.slice(0, 40))).to.equal('IP 10.0.0.2 > 10.0.0.1: udp, length 0 [ipv4-truncated]');
    expect(line('60')).to.equal('unreadable, length 1 [ipv6-truncated]');
    expect(line('50')).to.equal('unreadable, length 1 [ip-unknown-version]');
  });
});

describe('describe', () => {
  it('verifies checksums with the addresses that the sender meant, where a packet on a source route tells them', () => {
    for (const type of [131, 137]) {
      for (const pointer of [4, 8]) {
        const { checksums } = describePacket(routed(type, pointer), { linkType: 'ip' });
        expect(checksums, `${type} ${pointer}`).to.deep.equal({ ipv4: 'good', udp: 'good' });
      }
    }
    const notation = new PacketNotation({ version: 6, linkType: 'ip' });
    const stations = (type: string): unknown =>
      describePacket(notation.build(`udp 1 > 2 (4) routing 0x${type}0100000000fd000000000000000000000000000009`), {
        linkType: 'ip',
      }).checksums;
    for (const type of ['00', '02', '04']) expect(stations(type), type).to.deep.equal({ udp: 'good' });
    // These compress their addresses, or have none (RFC 6554, RFC 9631).
    for (const type of ['03', '05', '06']) expect(stations(type), type).to.deep.equal({ udp: 'unverified' });
  });

  it('takes no part of an address for one, of a source route that has no room for it', () => {
    const datagram = '0000 0a000002 0a000001';
    for (const type of ['83', '89']) {
      for (const pointer of ['00', '01', '03', '04']) {
        const short = frameOf(`46000020000000004011 ${datagram} ${type}03${pointer}00 0400003500081234`);
        expect(pretty(short, { linkType: 'ip' }), pointer).to.match(/ > 10.0.0.1.53: UDP, length 0 \(bad/);
        expect(new PacketNotation({ linkType: 'ip' }).read(short), pointer).to.include({ kind: 'udp' });
      }
    }
  });

  it('tells layers, addresses, ports and checksums', () => {
    expect(describePacket(frameOf(ETHERNET + UDP))).to.deep.equal({
      layers: ['eth', 'ipv4', 'udp'],
      linkSrc: '02:00:00:00:00:bb',
      linkDst: '02:00:00:00:00:aa',
      src: '10.0.0.2',
      dst: '10.0.0.1',
      sport: 1024,
      dport: 53,
      checksums: { ipv4: 'good', udp: 'good' },
    });
  });

  it('leaves out what does not apply', () => {
    expect(describePacket(frameOf(ARP))).to.have.all.keys('layers', 'linkSrc', 'linkDst', 'src', 'dst');
    expect(describePacket(frameOf(''))).to.deep.equal({ layers: [], malformed: 'ethernet-truncated' });
  });

  it('does not hold against a packet what the snap length cut', () => {
    const cut = frameOf(hexBytes(UDP).subarray(0, 30));
    expect(describePacket(cut, { linkType: 'ip', wireLength: 33 })).to.include({ sport: 1024, dport: 53 });
    expect(describePacket(cut, { linkType: 'ip', wireLength: 33 })).to.not.have.property('malformed');
    expect(describePacket(cut, { linkType: 'ip', wireLength: 33 }).checksums).to.include({ udp: 'unverified' });
    expect(describePacket(cut, { linkType: 'ip' })).to.include({ malformed: 'ipv4-truncated', sport: 1024 });
  });

  it('finds every cut', () => {
    const six = SIX.map((packet) => ETHERNET.replace('0800', '86dd') + packet);
    for (const packet of [ETHERNET + UDP, ETHERNET + SYN, ETHERNET + UNREACHABLE, ARP, ...six]) {
      for (const frame of truncations(hexBytes(packet))) {
        expect(describePacket(frame), `${frame.length} bytes`).to.have.property('malformed');
      }
      expect(describePacket(frameOf(packet))).to.not.have.property('malformed');
    }
  });

  it('never throws and changes nothing, on any bytes', () => {
    const mutated = fc
      .tuple(
        fc.constantFrom(UDP, SYN, UNREACHABLE, SOURCE_ROUTED, ...SIX),
        fc.array(fc.tuple(fc.nat(60), fc.nat(255)), { maxLength: 4 }),
        fc.nat(80),
      )
      .map(([hex, changes, length]) => {
        const bytes = hexBytes(hex);
        for (const [at, value] of changes) bytes[at] = value;
        return bytes.subarray(0, length);
      });
    const anything = fc.oneof(mutated, fc.uint8Array({ maxLength: 90 }));
    const options = fc.record({
      linkType: fc.constantFrom('ethernet' as const, 'ip' as const),
      wireLength: fc.nat(200),
    });
    fc.assert(
      fc.property(anything, options, (bytes, how) => {
        const frame = frameOf(bytes);
        const { start, end } = frame;
        expect(pretty(frame, how))
          .to.be.a('string')
          .and.not.match(/[\n]|undefined|NaN/);
        describePacket(frame, how);
        expect([frame.start, frame.end]).to.deep.equal([start, end]);
        expect(frame.bytes()).to.deep.equal(bytes);
      }),
      { numRuns: 500 },
    );
  });
});
