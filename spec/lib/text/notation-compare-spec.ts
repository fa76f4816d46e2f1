import { expect } from 'chai';
import { describe as describePacket } from '../../../lib/text/describe.js';
import { PacketNotation } from '../../../lib/text/notation.js';
import { EtherType } from '../../../lib/wire/ethernet.js';
import { pushVlanTag } from '../../../lib/wire/vlan.js';

describe('PacketNotation, compare', () => {
  const notation = new PacketNotation();
  const segment = notation.build('> P. 1:6(5 "hello") ack 1 win 77 <nop,nop,TS val 9 ecr 8> ttl 64');
  const equal = (line: string): boolean => notation.compare(line, segment).equal;

  it('leaves open what is not said', () => {
    for (const line of [
      'P. 1:6(5 "hello") ack 1 win 77 <nop,nop,TS val 9 ecr 8>',
      'P. 1:6(5 "hello") ack 1 <nop,nop,TS val ... ecr 8>',
      'P. 1:6(5 ...) ack 1 <...>',
      'P. 1:...(...) <...>',
      'P. ...(5 ...) ack ... <...> ttl 64',
      '> 8080 > 40000 P. 1:6(...) <...> from 192.168.0.1 to 192.0.2.1',
    ]) {
      expect(equal(line), line).to.equal(true);
    }
  });

  it('tells every difference', () => {
    for (const line of [
      '. 1:6(5 "hello") ack 1 <...>',
      'P. 2:7(5 "hello") ack 1 <...>',
      'P. 1:6(5) ack 1 <...>',
      'P. 1:6(5 "hallo") ack 1 <...>',
      'P. 1:7(6 ...) ack 1 <...>',
      'P. 1:6(5 "hello") ack 2 <...>',
      'P. 1:6(5 "hello") ack 1 win 78 <...>',
      'P. 1:6(5 "hello") ack 1',
      'P. 1:6(5 "hello") ack 1 <TS val 9 ecr 8,nop,nop>',
      'P. 1:6(5 "hello") ack 1 <nop,nop,TS val 9 ecr 7>',
      'P. 1:6(5 "hello") ack 1 <...> ttl 63',
      'P. 1:6(5 "hello") ack 1 <...> [ce]',
      'P. 1:6(5 "hello") ack 1 <...> from 10.0.0.1',
      'P. 1:6(5 "hello") ack 1 <...> vlan 1',
      'P. 1:6(5 "hello") ack 1 <...> bad-checksum',
      '80 > 40000 P. 1:6(5 "hello") ack 1 <...>',
      'udp 8080 > 40000 (...)',
    ]) {
      expect(equal(line), line).to.equal(false);
    }
  });

  it('compares fragments by their bytes', () => {
    const whole = '> udp 53 > 1024 (2000)';
    const first = notation.build(`${whole} frag 0:1480+`);
    expect(notation.compare(`${whole} frag 0:1480+`, first).equal).to.equal(true);
    expect(notation.compare(`${whole} frag 0:1480`, first).equal).to.equal(false);
    expect(notation.compare('> udp 54 > 1024 (2000) frag 0:1480+', first).equal).to.equal(false);
    expect(notation.compare(whole, first).equal).to.equal(false);
  });

  it('leaves an ICMP message open where it is not said', () => {
    const error = notation.build('> icmp unreachable port [udp 40000 > 53 (12)]');
    expect(notation.compare('icmp unreachable port', error).equal).to.equal(true);
    expect(notation.compare('icmp unreachable port_unreachable [udp 40000 > 53 (12)]', error).equal).to.equal(true);
    expect(notation.compare('icmp unreachable port [udp 40000 > 54 (12)]', error).equal).to.equal(false);
    expect(notation.compare('icmp unreachable host', error).equal).to.equal(false);
  });

  it('compares the addresses of a packet that is quoted', () => {
    const other = notation.build('> icmp unreachable port [udp 40000 > 53 (12) from 192.168.0.1 to 192.0.2.1]');
    for (const [ends, fits] of [
      ['', false],
      [' from 192.168.0.1', false],
      [' to 192.0.2.1', false],
      [' from 192.168.0.1 to 192.0.2.1', true],
    ] as const) {
      const line = `> icmp unreachable port [udp 40000 > 53 (12)${ends}]`;
      expect(notation.compare(line, other).equal, line).to.equal(fits);
    }
    const own = notation.build('> icmp unreachable port [udp 40000 > 53 (12)]');
    const said = '> icmp unreachable port [udp 40000 > 53 (12) from 192.0.2.1 to 192.168.0.1]';
    expect(notation.compare(said, own)).to.include({ equal: true });
  });

  it('leaves open what is not said of an ICMP message that is quoted', () => {
    for (const [version, kind, error] of [
      [4, 'icmp', 'icmp time_exceeded ttl'],
      [6, 'icmpv6', 'icmpv6 time_exceeded'],
    ] as const) {
      const both = new PacketNotation({ version });
      const frame = both.build(`> ${error} [${kind} echo_request id 7 seq 1 (56)]`);
      const fits = (quote: string): boolean => both.compare(`> ${error} [${quote}]`, frame).equal;
      expect(fits(`${kind} echo_request id 7 seq 1`)).to.equal(true);
      expect(fits(`${kind} echo_request`)).to.equal(true);
      expect(fits(`${kind} echo_request id 7 (56)`)).to.equal(true);
      expect(fits(`${kind} echo_request (...)`)).to.equal(true);
      expect(fits(`${kind} echo_request id 8`)).to.equal(false);
      expect(fits(`${kind} echo_request (57)`)).to.equal(false);
      expect(fits(`${kind} echo_reply`)).to.equal(false);
      expect(fits('udp 1 > 2 (56)')).to.equal(false);
    }
  });

  it('compares every tag, its priority and its kind', () => {
    const plain = '> udp 1 > 2 (4) vlan 5';
    const inner = notation.build('> udp 1 > 2 (4) vlan 9');
    pushVlanTag(inner, { vid: 5 }, EtherType.QinQ);
    expect(notation.compare(plain, inner).equal).to.equal(false);
    expect(notation.compare('> udp 1 > 2 (4) vlan 5 vlan 9', inner)).to.include({ equal: true });
    for (const words of ['p 3', 'dei', 'stag']) {
      expect(notation.compare(plain, notation.build(`${plain} ${words}`)).equal, words).to.equal(false);
    }
    expect(notation.compare(`${plain} p 0 ctag`, notation.build(plain))).to.include({ equal: true });
  });

  it('compares what ARP asks and whose link addresses it tells', () => {
    const ips = { senderIp: '192.168.0.1', targetIp: '192.0.2.1' };
    const request = '> arp who-has 192.0.2.1 tell 192.168.0.1';
    const reply = '> arp reply 192.168.0.1 is-at 02:00:00:00:00:01';
    for (const [line, fields] of [
      [request, { operation: 9 }],
      [request, { operation: 1, senderMac: 0xdead_beef_0000 }],
      [request, { operation: 1, targetMac: 0xdead_beef_0000 }],
      [reply, { operation: 2, senderMac: 0x0200_0000_0001, targetMac: 0xdead_beef_0000 }],
    ] as const) {
      const wrong = notation.build({ kind: 'arp', ...ips, ...fields }, '>');
      expect(notation.compare(line, wrong).equal, JSON.stringify(fields)).to.equal(false);
      expect(notation.compare({ kind: 'arp', ...ips, ...fields }, wrong)).to.include({ equal: true });
    }
    expect(notation.compare(reply, notation.build(reply))).to.include({ equal: true });
  });

  it('compares a flow label of 0, and what is said of the header of a fragment', () => {
    const six = new PacketNotation({ version: 6 });
    const labelled = six.build('> udp 1 > 2 (0) flow 703710');
    expect(six.compare('> udp 1 > 2 (0) flow 0', labelled).equal).to.equal(false);
    expect(six.compare('> udp 1 > 2 (0)', labelled).equal).to.equal(true);
    const piece = '> udp 53 > 1024 (2000) frag 0:1400+';
    expect(six.compare(`${piece} flow 0`, six.build(`${piece} flow 7`)).equal).to.equal(false);
    for (const said of ['[ce]', 'ttl 9', 'tos 0x08', 'ipid 7', 'df']) {
      const line = `${piece} ${said}`;
      expect(notation.compare(line, notation.build(piece)).equal, said).to.equal(false);
      expect(notation.compare(line, notation.build(line)).equal, said).to.equal(true);
    }
  });

  it('takes a UDP checksum that is missing for none, in both versions', () => {
    for (const version of [4, 6] as const) {
      const one = new PacketNotation({ version });
      const unchecked = one.build('> udp 1 > 2 (4) no-checksum');
      expect(one.compare('> udp 1 > 2 (4)', unchecked).equal).to.equal(false);
      expect(one.compare('> udp 1 > 2 (4) no-checksum', one.build('> udp 1 > 2 (4)')).equal).to.equal(false);
    }
  });

  it('takes zeros for the same, however they are written', () => {
    for (const line of [
      '> udp 1 > 2 (3 0x000000)',
      '> udp 1 > 2 ("\\0\\0")',
      '> udp 1 > 2 (0 "")',
      '> PU. 1:3(2) ack 1 urg 0',
      '> PU. 1:3(2) ack 1',
    ]) {
      expect(notation.compare(line, notation.build(line)), line).to.include({ equal: true });
    }
    const urgent = notation.build('> PU. 1:3(2) ack 1 urg 1');
    expect(notation.compare('> PU. 1:3(2) ack 1', urgent).equal).to.equal(true);
    expect(notation.compare('> PU. 1:3(2) ack 1 urg 0', urgent).equal).to.equal(false);
  });

  it('leaves the counters of accurate ECN open', () => {
    const option = (text: string) => notation.build(`> . 1:1(0) ack 1 <${text}>`);
    const actual = option('ECN e1b 1 ceb 7 e0b 5,nop');
    for (const [text, fits] of [
      ['ECN e1b ... ceb 7 e0b ...,nop', true],
      ['ECN e1b ... ceb 6 e0b ...,nop', false],
      ['ECN e0b ... ceb 7 e1b ...,nop', false],
      ['ECN e1b 1 ceb ...', false],
    ] as const) {
      expect(notation.compare(`> . 1:1(0) ack 1 <${text}>`, actual).equal, text).to.equal(fits);
    }
  });

  it('writes the counter of accurate ECN with the ACK, as a digit or as its three bits', () => {
    const bits = notation.build('> EA. 1:1(0) ack 1');
    expect(notation.compare('> .5 1:1(0) ack 1', bits).equal).to.equal(true);
    expect(notation.compare('> .4 1:1(0) ack 1', bits).equal).to.equal(false);
    expect(notation.compare('> P.5 1:1(0) ack 1', notation.build('> PEA. 1:1(0) ack 1')).equal).to.equal(true);
  });

  it('asks for wildcards of ECN', () => {
    const marked = notation.build('> . 1:1(0) ack 1 [ect0]');
    for (const [word, verdict] of [
      ['ect0', true],
      ['ect01', true],
      ['ect1', false],
      ['ce', false],
      ['noecn', false],
    ] as const) {
      expect(notation.compare(`> [${word}] . 1:1(0) ack 1`, marked).equal, word).to.equal(verdict);
    }
    const both = notation.build('> . 1:1(0) ack 1 tos 0xb9 [ect0]');
    expect(describePacket(both).checksums).to.include({ ipv4: 'good' });
    expect(notation.format(both)).to.include(' tos 0xba ');
    expect(notation.compare('> . 1:1(0) ack 1 tos 0xb8 [ect0]', both)).to.include({ equal: true });
    expect(notation.compare('> . 1:1(0) ack 1 tos 0xba [ce]', both).equal).to.equal(false);
    expect(notation.compare('> . 1:1(0) ack 1 tos 0x2a [ect0]', both).equal).to.equal(false);
  });
});
