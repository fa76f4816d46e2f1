import { expect } from 'chai';
import * as fc from 'fast-check';
import { describe as describePacket } from '../../../lib/text/describe.js';
import { pretty } from '../../../lib/text/pretty.js';
import { pushVlanTag } from '../../../lib/wire/vlan.js';
import { frameOf, hexBytes, truncations } from '../wire/frames.js';

const ETHERNET = '0200000000aa 0200000000bb 0800';
const UDP = '4500002112344000401114960a0000020a00000104000035000da3ca68656c6c6f';
const SYN =
  '4500003c00000000400666ba0a0000020a0000019c4000500102030400000000a002ffff93660000020405b40402080a000000010000000001030307';
const UNREACHABLE =
  '45000038000000004001 66c3 0a0000010a000002 030354f0000000004500002100000000401166ca0a0000020a00000104000035000da3ca';
const ARP = '0200000000aa 0200000000bb 0806 00010800060400010200000000bb0a0000020000000000000a000001';

const line = (hex: string): string => pretty(frameOf(hex), { linkType: 'ip' });

describe('pretty', () => {
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

  it('tells of ARP, tags and unknown types', () => {
    expect(pretty(frameOf(ARP))).to.equal('ARP, Request who-has 10.0.0.1 tell 10.0.0.2');
    const tagged = frameOf(ETHERNET + UDP);
    pushVlanTag(tagged, { vid: 10, priority: 5 });
    expect(pretty(tagged)).to.equal('vlan 10 p 5, IP 10.0.0.2.1024 > 10.0.0.1.53: UDP, length 5');
    expect(pretty(frameOf('0200000000aa 0200000000bb 88cc 0102'))).to.equal(
      '02:00:00:00:00:bb > 02:00:00:00:00:aa, ethertype 0x88cc, length 2',
    );
  });

  it('tells of fragments, bad checksums and malformed packets', () => {
    expect(line(UDP.replace('4000401114', '2001401134'))).to.equal(
      'IP 10.0.0.2 > 10.0.0.1: udp, fragment id 4660 offset 8+, length 13 (bad ipv4 checksum)',
    );
    expect(line(UDP.replace('68656c', '68656d'))).to.match(/length 5 \(bad udp checksum\)$/);
    expect(line(UDP.slice(0, 40))).to.equal('IP 10.0.0.2 > 10.0.0.1: udp, length 0 [ipv4-truncated]');
    expect(line('60')).to.equal('unreadable, length 1 [ip-unknown-version]');
  });
});

describe('describe', () => {
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
    for (const packet of [ETHERNET + UDP, ETHERNET + SYN, ETHERNET + UNREACHABLE, ARP]) {
      for (const frame of truncations(hexBytes(packet))) {
        expect(describePacket(frame), `${frame.length} bytes`).to.have.property('malformed');
      }
      expect(describePacket(frameOf(packet))).to.not.have.property('malformed');
    }
  });

  it('never throws and changes nothing, on any bytes', () => {
    const mutated = fc
      .tuple(
        fc.constantFrom(UDP, SYN, UNREACHABLE),
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
