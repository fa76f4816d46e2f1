import { expect } from 'chai';
import * as fc from 'fast-check';
import { Frame, FramePool } from '../../../lib/core/frame.js';
import { describe as describePacket } from '../../../lib/text/describe.js';
import { PacketNotation } from '../../../lib/text/notation.js';
import type { TcpSpec } from '../../../lib/text/packet-spec.js';
import { tokenize } from '../../../lib/text/notation-lexer.js';
import { ArpPacket } from '../../../lib/wire/arp.js';
import { EthernetFrame, EtherType } from '../../../lib/wire/ethernet.js';
import { frameOf, hexOf } from '../wire/frames.js';

const LINES = [
  'S 0:0(0) win 65535 <mss 1460,sackOK,TS val 1 ecr 0,nop,wscale 7>',
  '. 1:1461(1460) ack 1 win 100',
  'P. 1:6(5 "hello") ack 1 win 100',
  'FP. 1:3(2 0x00ff) ack 1 win 0 <nop,nop,TS val 4294967295 ecr 7>',
  'R. 0:0(0) ack 1 win 0',
  'R 5:5(0) win 0',
  '- 1:1(0) win 100',
  'SEWA 0:0(0) win 100',
  'PU. 1:3(2) ack 1 win 100 urg 1',
  '. 4294967295:1(2) ack 1 win 100 <nop,nop,sack 1:11 21:31>',
  '. 1:1(0) ack 1 win 100 <unknown 253 0xf989>',
  'S 0:0(0) win 100 <mss 1460,FO,nop,nop>',
  'S 0:5(5) win 100 <FO 0123456789abcdef,nop,nop>',
  'S. 0:0(0) ack 6 win 100 <FOEXP 12e4abcd>',
  'S 0:0(0) win 100 <FOEXP>',
  'PEWA. 1:3(2) ack 1 win 100 <ECN e1b 1 ceb 0 e0b 16777215,nop>',
  '. 1:1(0) ack 1 win 100 <ECN e0b 1 ceb 2>',
  '. 1:1(0) ack 1 win 100 <ECN e1b 7,nop,nop,nop>',
  '. 1:1(0) ack 1 win 100 <ECN,nop,nop>',
  '. 1:1(0) ack 1 win 100 <unknown 174 0x,nop,nop>',
  '. 1:1(0) ack 1 win 100 <unknown 172 0x0001>',
  '50000 > 80 S 0:0(0) win 65535',
  'icmp echo_request id 7 seq 1 (56)',
  'icmp echo_reply id 65535 seq 0 (3 "abc") bad-checksum',
  'icmp unreachable port [udp 1024 > 53 (12 ...)]',
  'icmp unreachable frag_needed mtu 1400 [tcp 1:1001(1000 ...)]',
  'icmp time_exceeded ttl [icmp echo_request id 7 seq 1 (56 ...)]',
  'icmp parameter_problem pointer 20 [ip 99 (8 ...)]',
  'icmp redirect host gateway 10.0.0.254 [udp 1024 > 53 (12 ...)]',
  'icmp unreachable port [udp 1024 > 53 (12 ...) from 10.0.0.2 to 192.0.2.9]',
  'icmp time_exceeded ttl [tcp 1:1001(1000 ...) to 10.0.0.2]',
  'icmp type 42 code 1 id 0 seq 0 (0)',
  'udp 53 > 1024 (12)',
  'udp 53 > 1024 (12) bad-checksum',
  'udp 53 > 1024 (12) no-checksum',
  'udp 53 > 4789 (12)',
  'udp 53 > 4789 (3 "abc")',
  'udp 53 > 1024 (4) vlan 5 vlan 9',
  'udp 53 > 1024 (4) vlan 5 p 7 dei ctag vlan 0 p 1 vlan 9 stag',
  'udp 53 > 1024 (0) from 10.9.9.9 to 255.255.255.255 mac-to broadcast vlan 5',
  'udp 53 > 1024 (3 "a\\"b") ttl 1 tos 0xb8 ipid 7 df bad-ip-checksum',
  'ip 99 (8 0x0000000000000001)',
  'ip 17 (8) frag 16:24+',
  'ip 17 (8 0x0001000200ff0000)',
  'ip 6 (20 0x0001000200000000000000000002ffff00000000)',
  'ip 1 (12 0x0d00f2ff0000000000000000)',
  'ether 0x88cc (46)',
] as const;

const LINES6 = [
  'S 0:0(0) win 65535 <mss 1440,sackOK,TS val 1 ecr 0,nop,wscale 7>',
  'P. 1:6(5 "hello") ack 1 win 100 flow 703710',
  '. 1:1(0) ack 1 win 100 bad-checksum',
  '50000 > 80 S 0:0(0) win 65535 from 2001:db8::7 to fd00::1',
  'icmpv6 echo_request id 7 seq 1 (56)',
  'icmpv6 echo_reply id 65535 seq 0 (3 "abc") bad-checksum',
  'icmpv6 unreachable port [udp 1024 > 53 (12 ...)]',
  'icmpv6 unreachable port [udp 1024 > 53 (12 ...) from 2001:db8::7]',
  'icmpv6 unreachable admin_prohibited [icmpv6 echo_request id 7 seq 1 (56 ...)]',
  'icmpv6 packet_too_big mtu 1280 [tcp 1:1441(1440 ...)]',
  'icmpv6 time_exceeded ttl [icmpv6 echo_request id 7 seq 1 (56 ...)]',
  'icmpv6 parameter_problem option pointer 42 [ip 99 (8 ...)]',
  'icmpv6 parameter_problem field pointer 4 (8)',
  'icmpv6 router_solicitation lladdr 02:00:00:00:00:01 ttl 255 to ff02::2',
  'icmpv6 router_advertisement rest 1090519040 (8 0x0000000000000e10)',
  'icmpv6 neighbor_solicitation target fd00::9 lladdr 02:00:00:00:00:01',
  'icmpv6 neighbor_solicitation target fe80::9 (8 0x0e01010203040506) from ::',
  'icmpv6 neighbor_solicitation target fe80::9 to fe80::9',
  'icmpv6 neighbor_advertisement target fe80::9 flags SO lladdr 02:00:00:00:00:01 ttl 255',
  'icmpv6 neighbor_advertisement target fe80::9 flags - to ff02::1',
  'icmpv6 listener_report_v2 rest 1 (20 0x04000000ff020000000000000000000000000005) ttl 1 hopopts 0x050200000100 to ff02::16',
  'icmpv6 type 200 code 1 rest 77 (3 "abc")',
  'udp 53 > 1024 (12)',
  'udp 53 > 1024 (12) bad-checksum',
  'udp 53 > 1024 (12) no-checksum',
  'udp 53 > 1024 (12) flow 0',
  'udp 53 > 1024 (12) routing 0x020100000000fd000000000000000000000000000009',
  'udp 53 > 1024 (12) routing 0x040100000000fd000000000000000000000000000009',
  'P. 1:6(5 "hello") ack 1 win 9 dstopts 0x01020000c910fd000000000000000000000000000009',
  'udp 53 > 1024 (12) ah 0x00000000000100000002',
  'udp 53 > 1024 (0) to ff02::fb mac-to 02:00:00:00:00:02 vlan 5',
  'udp 53 > 1024 (3 "a\\"b") ttl 1 tos 0xb8 hopopts 0x0504deadbeef dstopts 0x010c000000000000000000000000',
  'ip 59 (0)',
  'ip 99 (8 0x0000000000000001) routing 0x020100000000fd000000000000000000000000000009',
  'ip 17 (8) frag 16:24+ ipid 3735928559',
] as const;

/** The lines say less than the reader does: reduce what was read to what the line says. */
function again(notation: PacketNotation, line: string): { expected: string; actual: string } {
  const { expected, actual } = notation.compare(line, notation.build(line, '>'));
  return { expected, actual };
}

describe('PacketNotation', () => {
  for (const line of LINES) {
    it(`writes and reads: ${line}`, () => {
      const { expected, actual } = again(new PacketNotation(), line);
      expect(actual).to.equal(`> ${line}`);
      expect(expected).to.equal(`> ${line}`);
    });
  }

  for (const line of LINES6) {
    it(`writes and reads over IPv6: ${line}`, () => {
      const { expected, actual } = again(new PacketNotation({ version: 6 }), line);
      expect(actual).to.equal(`> ${line}`);
      expect(expected).to.equal(`> ${line}`);
      expect(describePacket(new PacketNotation({ version: 6 }).build(line)).layers).to.include('ipv6');
    });
  }

  it('builds IPv6 packets byte for byte', () => {
    const notation = new PacketNotation({ local: 'fd00::1', remote: 'fd00::2' });
    expect(hexOf(notation.build('> icmpv6 neighbor_solicitation target fd00::2 lladdr 02:00:00:00:00:01'))).to.equal(
      '3333ff000002' +
        '020000000001' +
        '86dd' +
        '6000000000203aff' +
        'fd000000000000000000000000000001' +
        'ff0200000000000000000001ff000002' +
        '87007d9700000000' +
        'fd000000000000000000000000000002' +
        '0101020000000001',
    );
    expect(
      hexOf(notation.build('< udp 53 > 1024 (2 "hi") flow 0x12345 tos 0x2e ttl 9 dstopts 0x0102 frag 0:8+ ipid 7')),
    ).to.equal(
      '020000000001' +
        '020000000002' +
        '86dd' +
        '62e1234500183c09' +
        'fd000000000000000000000000000002' +
        'fd000000000000000000000000000001' +
        '2c00010200000000' +
        '1100000100000007' +
        '00350400000a9937',
    );
  });

  it('tells a fragment of IPv6 from a whole packet, and an atomic one, too', () => {
    const notation = new PacketNotation({ version: 6 });
    const atomic = notation.build('> udp 1 > 2 (4) frag 0:12 ipid 5');
    expect(notation.format(atomic)).to.match(/^> udp 1 > 2 \(4\) frag 0:12 /);
    expect(notation.compare('> udp 1 > 2 (4)', atomic).equal).to.equal(false);
    expect(notation.compare('> udp 1 > 2 (4) frag 0:12', atomic)).to.include({ equal: true });
    const piece = notation.build('> icmpv6 echo_request id 1 seq 2 (2000) frag 1232:2008 ipid 5');
    expect(describePacket(piece)).to.deep.include({ fragment: { id: 5, offset: 1232, more: false } });
    expect(notation.compare('icmpv6 echo_request id 1 seq 2 (2000) frag 1232:2008', piece)).to.include({ equal: true });
  });

  it('takes its version from the addresses, and refuses two that do not go together', () => {
    expect(new PacketNotation({ local: 'fe80::1', remote: 'fe80::2' }).context.version).to.equal(6);
    expect(new PacketNotation({ remote: '10.0.0.2' }).context.version).to.equal(4);
    for (const wrong of [
      { local: 'fe80::1', remote: '10.0.0.2' },
      { version: 4, local: 'fe80::1' },
    ] as const) {
      expect(() => new PacketNotation(wrong))
        .to.throw()
        .with.property('code', 'ERR_INVALID_ADDRESS');
    }
    const notation = new PacketNotation({ version: 6 });
    expect(() => notation.build('udp 1 > 2 (0) to 10.0.0.1')).to.throw('a packet cannot go from');
    expect(() => notation.build('icmp echo_request id 1 seq 1 (0)')).to.throw('icmp does not go over IPv6');
    expect(() => notation.build('udp 1 > 2 (0) bad-ip-checksum')).to.throw('IPv6 headers have no checksum');
    expect(() => notation.build('icmpv6 neighbor_solicitation')).to.throw('has an IPv6 target');
    const other = notation.build('udp 1 > 2 (0) from 10.0.0.1 to 10.0.0.2');
    expect(describePacket(other).layers).to.include('ipv4');
    expect(() => notation.build('arp who-has 10.0.0.1 tell 10.0.0.2')).to.not.throw();
  });

  it('reads ARP, whose requests go to everybody', () => {
    const notation = new PacketNotation({ local: '10.0.0.2', remote: '10.0.0.1' });
    for (const line of ['arp who-has 10.0.0.1 tell 10.0.0.2', 'arp reply 10.0.0.2 is-at 02:00:00:00:00:07']) {
      expect(again(notation, line).actual).to.equal(`> ${line}`);
    }
    expect(hexOf(notation.build('arp who-has 10.0.0.1 tell 10.0.0.2', '>'))).to.equal(
      'ffffffffffff020000000001080600010800060400010200000000010a0000020000000000000a000001',
    );
    expect(hexOf(notation.build('arp reply 10.0.0.1 is-at 02:00:00:00:00:02'))).to.equal(
      '020000000001020000000002080600010800060400020200000000020a0000010200000000010a000002',
    );
  });

  it('tells everything that ARP says, and builds it again', () => {
    const mac = fc.constantFrom(0, 0x0200_0000_0001, 0x0200_0000_0002, 0xdead_beef_0000, 0xffff_ffff_ffff);
    const ip = fc.constantFrom(0, 0x0a00_0001, 0xc000_0201, 0xc0a8_0001);
    const operation = fc.oneof(fc.integer({ min: 0, max: 4 }), fc.nat(0xffff));
    const fields = fc.record({ operation, senderMac: mac, senderIp: ip, targetMac: mac, targetIp: ip });
    fc.assert(
      fc.property(fields, mac, mac, (arp, destination, source) => {
        const frame = Frame.from(new Uint8Array(0));
        ArpPacket.emit(frame, arp);
        EthernetFrame.emit(frame, destination, source, EtherType.Arp);
        const notation = new PacketNotation();
        const line = notation.format(frame, '<');
        expect(hexOf(notation.build(line)), line).to.equal(hexOf(frame));
        expect(notation.compare(line, frame), line).to.include({ equal: true });
        expect(notation.compare(notation.read(frame, '<'), frame, '<'), line).to.include({ equal: true });
      }),
    );
  });

  it('takes a frame for a packet without link header only if the frame says so', () => {
    const notation = new PacketNotation({ version: 6 });
    // Its first bytes could be an IPv6 header.
    const line = '< udp 53 > 1024 (100) mac-to 64:d1:54:00:00:10';
    expect(notation.compare(line, Frame.from(notation.build(line).bytes()))).to.include({ equal: true });
    const bare = new PacketNotation({ version: 6, linkType: 'ip' }).build('> udp 53 > 1024 (100)');
    expect(notation.compare('> udp 53 > 1024 (100)', bare)).to.include({ equal: true });
  });

  it('writes right checksums, and wrong ones on request', () => {
    const notation = new PacketNotation();
    expect(describePacket(notation.build('P. 1:4(3) ack 1')).checksums).to.deep.equal({ ipv4: 'good', tcp: 'good' });
    expect(describePacket(notation.build('udp 1 > 2 (3)')).checksums).to.deep.equal({ ipv4: 'good', udp: 'good' });
    for (const line of ['. 1:1(0) ack 1', 'udp 1 > 2 (3)', 'icmp echo_request id 1 seq 1 (3)']) {
      const { checksums, malformed } = describePacket(notation.build(`${line} bad-checksum`));
      expect(Object.values(checksums ?? {})).to.deep.equal(['good', 'bad']);
      expect(malformed).to.equal(undefined);
    }
    expect(describePacket(notation.build('udp 1 > 2 (3) bad-ip-checksum')).checksums).to.include({ ipv4: 'bad' });
    expect(describePacket(notation.build('udp 1 > 2 (3) no-checksum')).checksums).to.include({ udp: 'absent' });
  });

  it('refuses what no packet of its kind and version can say', () => {
    const four = new PacketNotation();
    const six = new PacketNotation({ version: 6 });
    const bare = new PacketNotation({ linkType: 'ip' });
    for (const [notation, line, message] of [
      [four, 'arp who-has 10.0.0.1 tell 10.0.0.2 bad-checksum', 'arp has no checksum of its own'],
      [four, 'arp who-has 10.0.0.1 tell 10.0.0.2 ttl 3', 'arp says nothing of IP: "ttl"'],
      [four, 'arp who-has 10.0.0.1 tell 10.0.0.2 frag 0:8', 'arp says nothing of IP: "frag"'],
      [four, 'arp who-has 10.0.0.1 tell 10.0.0.2 from 10.0.0.3', 'arp says nothing of IP: "from"'],
      [four, 'ether 0x88cc (5) from 10.0.0.9', 'ether says nothing of IP: "from"'],
      [four, 'ether 0x88cc (5) to 10.0.0.9', 'ether says nothing of IP: "to"'],
      [four, 'ether 0x88cc (5) bad-ip-checksum', 'ether says nothing of IP: "bad-ip-checksum"'],
      [four, 'ether 0x88cc (5) dstopts 0x01', 'ether says nothing of IP: "extension headers"'],
      [four, 'ether 0x88cc (5) no-checksum', 'only UDP goes without a checksum'],
      [four, 'ip 89 (20) bad-checksum', 'ip has no checksum of its own'],
      [six, 'ip 17 (12) bad-checksum', 'ip has no checksum of its own'],
      [four, 'udp 1 > 2 (0) bad-checksum no-checksum', 'a checksum that is not there cannot be wrong'],
      [four, 'ip 17 (8) frag 0:1480+', 'a fragment 0:1480 does not have 8 bytes'],
      [six, 'ip 17 (8) frag 0:1480+', 'a fragment 0:1480 does not have 8 bytes'],
      [bare, 'udp 1 > 2 (0) vlan 5', 'a packet without a link header does not say "vlan"'],
      [bare, 'udp 1 > 2 (0) mac-from 02:00:00:00:00:09', 'does not say "mac-from"'],
      [bare, 'udp 1 > 2 (0) mac-to 02:00:00:00:00:09', 'does not say "mac-to"'],
      [bare, 'arp who-has 10.0.0.1 tell 10.0.0.2', 'arp needs a link header'],
      [bare, 'ether 0x88cc (5)', 'ether needs a link header'],
      [four, 'udp 1 > 2 (0) ipid 70000', 'the identification 70000 is not in 0..65535'],
      [four, 'udp 1 > 2 (0) flow 0', 'IPv4 headers have no flow label'],
      [four, 'udp 1 > 2 (0) dstopts 0x01', 'IPv4 has no extension headers'],
      [six, 'udp 1 > 2 (0) df', 'IPv6 headers do not say "df"'],
      [four, '. 1:1(0) ack 1 no-checksum', 'only UDP goes without a checksum'],
      [four, '. 1:1(0) ack 1 <sack 1:2 3:4 5:6 7:8,TS val 1 ecr 2>', 'TCP options of 44 bytes are longer than 40'],
      [four, 'udp 1 > 2 (0) vlan 4095', 'VLAN identifier 4095 is not in 0..4094'],
    ] as const) {
      expect(() => notation.build(line), line)
        .to.throw(message)
        .with.property('code', 'ERR_INVALID_OPTION');
    }
  });

  it('takes strings as C does', () => {
    const bytes = (line: string): string => hexOf(new PacketNotation({ linkType: 'ip' }).build(line)).slice(56);
    expect(bytes('udp 1 > 2 (1 "\\xff")')).to.equal('ff');
    expect(bytes('udp 1 > 2 ("\\a\\b\\t\\n\\v\\f\\r")')).to.equal('0708090a0b0c0d');
    expect(bytes('udp 1 > 2 ("\\0\\012\\3777")')).to.equal('000aff37');
    expect(bytes('udp 1 > 2 ("\\"\\\\\\?q\u00e9")')).to.equal('225c3f71c3a9');
  });

  it('sends inbound packets from the remote side and outbound ones to it', () => {
    const notation = new PacketNotation({ local: '10.0.0.2', remote: '10.0.0.1', localPort: 80, remotePort: 999 });
    const ends = { src: '10.0.0.1', dst: '10.0.0.2', sport: 999, dport: 80 };
    expect(describePacket(notation.build('S 0:0(0)'))).to.include(ends);
    expect(describePacket(notation.build('> S. 0:0(0) ack 1'))).to.include({ src: '10.0.0.2', dport: 999 });
  });

  it('maps sequence numbers per connection, learning ours from our SYN', () => {
    const notation = new PacketNotation({ remoteIsn: 0xffff_fff0 });
    const live = new PacketNotation();
    live.sequences.learn('>', live.context.ends('>'), 5000);
    live.sequences.learn('<', live.context.ends('<'), 0xffff_fff0);
    const synAck = live.build('> S. 0:0(0) ack 1');
    expect(notation.compare('> S. 0:0(0) ack 1', synAck).equal).to.equal(true);
    const data = live.build('> P. 1:6(5) ack 21 win 9 <sack 31:41>');
    expect(notation.compare('P. 1:6(5) ack 21 <sack 31:41,eol,eol>', data).actual).to.equal(
      '> P. 1:6(5) ack 21 <sack 31:41,eol,eol>',
    );
    expect(notation.compare('P. 5001:5006(5)! ack 5! <...>', data).equal).to.equal(true);
    expect(notation.compare('P. 5001:5006(5)! ack 21 <...>', data).equal).to.equal(true);
    expect(notation.compare('P. 1:6(5)! ack 21 <...>', data).equal).to.equal(false);
    expect(hexOf(notation.build('. 1:1(0) ack 6 win 9 <sack 7:8>'))).to.equal(
      hexOf(live.build('. 1:1(0) ack 6 win 9 <sack 7:8>')),
    );
  });

  it('learns where our numbers begin from a SYN that begins a connection, not from one that is sent again', () => {
    const notation = new PacketNotation();
    const sends = (line: string, sequence: number): string => {
      const spec = notation.parse(line) as TcpSpec;
      return notation.format(new PacketNotation().build({ ...spec, sequence }));
    };
    expect(sends('> S 0:0(0)', 1000)).to.match(/^> S 0:0/);
    expect(sends('> S 0:0(0)', 1000)).to.match(/^> S 0:0/);
    expect(sends('> S 0:0(0)', 5000)).to.match(/^> S 4000:4000/);
    notation.build('< S. 0:0(0) ack 1');
    expect(sends('> . 1:1(0) ack 1', 1001)).to.match(/^> \. 1:1/);
    notation.build('< S 1:1(0)');
    expect(sends('> S. 0:0(0) ack 1', 5000)).to.match(/^> S\. 0:0/);
    notation.read(new PacketNotation().build('< S 1:1(0)'), '<');
    expect(sends('> S. 0:0(0) ack 1', 9000)).to.match(/^> S\. 4000:4000/);
    notation.read(new PacketNotation().build('< S 2:2(0)'), '<');
    expect(sends('> S. 0:0(0) ack 1', 9000)).to.match(/^> S\. 0:0/);
  });

  it('quotes with the sequence numbers of the connection', () => {
    const notation = new PacketNotation();
    notation.sequences.learn('>', notation.context.ends('>'), 5000);
    const frame = notation.build('< icmp unreachable frag_needed mtu 1400 [1:1001(1000)]');
    const at = frame.start + 14 + 20 + 8 + 20;
    expect(frame.slab.view.getUint32(at + 4)).to.equal(5001);
    expect(notation.compare('< icmp unreachable frag_needed mtu 1400 [1:1001(1000)]', frame).equal).to.equal(true);
    expect(notation.compare('< icmp unreachable port [1:1001(1000)]', frame).equal).to.equal(false);
  });

  it('takes frames from a pool, poisoned or not, and writes every byte', () => {
    const pool = new FramePool({ poison: true });
    const notation = new PacketNotation();
    for (const line of LINES) {
      const frame = notation.build(line, '<', pool);
      expect(hexOf(frame), line).to.equal(hexOf(notation.build(line)));
      frame.release();
    }
    expect(pool.outstanding).to.equal(0);
  });

  it('says where a line is wrong', () => {
    const notation = new PacketNotation();
    for (const [line, place, message] of [
      ['< S 0:0(0) win 65535 <mss 1460,bogus>', '1:32', /expected a TCP option, found 'bogus'/],
      ['< S 0:1(0)', '1:7', /does not span its length/],
      ['\n  icmp echo id 1', '2:8', /expected an ICMP type/],
      ['< . 1:1(0) ack', '1:15', /found the end/],
      ['. 1:1(0) ack 4294967296', '1:14', /not in 0..4294967295/],
      ['udp 53 > 70000 (1)', '1:10', /not in 0..65535/],
      ['udp 53 > 1 (2 "abc")', '1:15', /not that long/],
      ['arp who-has 10.0.0.256 tell 10.0.0.1', '1:13', /expected an IP address/],
      ['. 1:1(0) ack 1 nonsense', '1:16', /expected the end of the packet/],
      ['', '1:1', /expected TCP flags/],
      ['< icmp unreachable', '1:19', /expected a reason/],
      ['icmp unreachable port [1:1001(1000) from 10.0.0.1 utter nonsense]', '1:51', /expected ']', found 'utter'/],
      ['icmp type 42 rest 77 (3)', '1:14', /expected the end of the packet/],
      ['icmp "echo_request" id 1 seq 1 (0)', '1:6', /expected an ICMP type/],
      ['icmpv6 neighbor_advertisement target fe80::9 flags', '1:51', /expected some of RSO/],
      ['arp who-has 10.0.0.1 tell 10.0.0.2 op 2', '1:36', /a reply is written 'arp reply'/],
      ['udp 1 > 2 (0) vlan 4096', '1:20', /not in 0..4095/],
      ['udp 1 > 2 (0) vlan 1 p 8', '1:24', /not in 0..7/],
    ] as const) {
      expect(() => notation.parse(line), line)
        .to.throw(message)
        .with.property('code', 'ERR_BAD_PACKET_TEXT');
      expect(() => notation.parse(line), line).to.throw(new RegExp(`^${place}: `));
    }
  });

  it('throws nothing but its own error, on any text', () => {
    const words = fc.constantFrom(
      '<',
      '>',
      'S',
      '.',
      '0:0(0)',
      'icmp',
      'udp',
      'arp',
      '[',
      ']',
      '...',
      'ack',
      '(',
      '7',
      '"x"',
      'TS',
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.array(words, { maxLength: 8 }).map((list) => list.join(' ')),
          fc.string(),
        ),
        (text) => {
          try {
            new PacketNotation().parse(text);
          } catch (error) {
            expect(error).to.have.property('code', 'ERR_BAD_PACKET_TEXT');
          }
        },
      ),
    );
  });

  it('reads any bytes, and its line parses to the same line', () => {
    const notation = new PacketNotation();
    const six = new PacketNotation({ version: 6 });
    const built = [...LINES.map((line) => notation.build(line)), ...LINES6.map((line) => six.build(line))];
    const mutated = fc
      .tuple(fc.constantFrom(...built), fc.array(fc.tuple(fc.nat(79), fc.nat(255)), { maxLength: 3 }), fc.nat(120))
      .map(([frame, changes, length]) => {
        const bytes = frame.bytes().slice();
        for (const [at, value] of changes) bytes[at] = value;
        return bytes.subarray(0, length);
      });
    fc.assert(
      fc.property(fc.oneof(mutated, fc.uint8Array({ maxLength: 90 })), (bytes) => {
        const line = notation.format(notation.read(frameOf(bytes), '<'));
        expect(notation.format(notation.parse(line))).to.equal(line);
      }),
      { numRuns: 500 },
    );
  });

  it('reads what contradicts itself, and its line parses to the same line', () => {
    const notation = new PacketNotation();
    const reserved = notation.build('udp 1 > 2 (4) vlan 5');
    reserved.slab.view.setUint16(reserved.start + 14, 0xfff);
    expect(notation.format(notation.parse(notation.format(reserved, '<')))).to.match(/ vlan 4095$/);
    const cut = notation.build('> . 1:1(0) ack 1');
    cut.slab.view.setUint16(cut.start + 16, 60);
    expect(notation.format(cut)).to.match(/^> ip 6 \(20 0x1f909c40/);
    // A fragment whose header is longer than the packet.
    const bare = new PacketNotation({ linkType: 'ip' });
    const line = bare.format(frameOf('4f00001400002000401100000a0000010a000002'), '<');
    expect(line).to.include('ip 17 (0) frag 0:0+ ');
    expect(bare.format(bare.parse(line))).to.equal(line);
  });
});

describe('tokenize', () => {
  it('tells numbers, ranges, addresses and words apart, with places', () => {
    const kinds = tokenize(
      '1:1001 .1 -3 0x1f 10.0.0.1 fd3d::1 02:00:00:00:00:01 who-has S. ... "a" `b` %{c}% --mss',
    ).map((token) => `${token.kind} ${token.text}`);
    expect(kinds).to.deep.equal([
      'integer 1',
      'punctuation :',
      'integer 1001',
      'float .1',
      'integer -3',
      'hex 0x1f',
      'ipv4 10.0.0.1',
      'ipv6 fd3d::1',
      'mac 02:00:00:00:00:01',
      'word who-has',
      'word S',
      'punctuation .',
      'ellipsis ...',
      'string a',
      'command b',
      'code c',
      'option --mss',
      'end ',
    ]);
  });

  it('skips comments and counts lines', () => {
    const [first, second] = tokenize('// one\n/* two\n */ S /**/ .');
    expect(first).to.include({ text: 'S', line: 3, column: 5 });
    expect(second).to.include({ text: '.', adjacent: false });
  });

  it('ends', () => {
    expect(tokenize('')).to.deep.equal([{ kind: 'end', text: '', line: 1, column: 1, adjacent: false }]);
  });
});
