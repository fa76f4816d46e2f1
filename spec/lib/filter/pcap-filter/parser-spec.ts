import { expect } from 'chai';
import {
  PcapFilter,
  PcapFilterError,
  parsePcapFilter,
  printPcapFilter,
} from '../../../../lib/filter/pcap-filter/index.js';

const say = (text: string) => printPcapFilter(parsePcapFilter(text));

describe('the grammar of pcap filters', () => {
  const READINGS: readonly (readonly [text: string, meaning: string])[] = [
    ['', ''],
    ['tcp port 80 or 443', 'tcp port 80 or tcp port 443'],
    ['tcp port 80 or (443 or 8080) or 90', 'tcp port 80 or tcp port 443 or tcp port 8080 or tcp port 90'],
    ['host 10.0.0.1 or 10.0.0.2 and not 10.0.0.3', '(host 10.0.0.1 or host 10.0.0.2) and not host 10.0.0.3'],
    ['src net 10 or 192.168.1', 'src net 10.0.0.0/8 or src net 192.168.1.0/24'],
    ['not port 80 and 443', 'not port 80 and port 443'],
    ['not (port 80 and 443)', 'not (port 80 and port 443)'],
    ['host (::1 or not 1.2.3.4)', 'host ::1 or not host 1.2.3.4'],
    ['host 10.0.0.1 and (port 80) and 10.0.0.2', 'host 10.0.0.1 and port 80 and host 10.0.0.2'],
    ['tcp and udp or ip6 && ! arp || rarp', '(((tcp and udp) or ip6) and not arp) or rarp'],
    ['src or dst port http', 'port 80'],
    ['dst and src portrange 20-http', 'src and dst portrange 20-80'],
    ['portrange ftp-data-ssh', 'portrange 20-22'],
    ['portrange 9-5', 'portrange 5-9'],
    ['net 10.0.0.0 mask 255.0.255.0', 'net 10.0.0.0 mask 255.0.255.0'],
    ['net 172.16/12', 'net 172.16.0.0/12'],
    ['net 10/8', 'net 10.0.0.0/8'],
    ['ether src 2-0-0-0-0-1', 'ether src host 02:00:00:00:00:01'],
    ['ether host 0200.0000.00ff or 02000000000a', 'ether host 02:00:00:00:00:ff or ether host 02:00:00:00:00:0a'],
    ['wlan broadcast or multicast', 'ether broadcast or ether multicast'],
    ['ip proto \\icmp or 6', 'icmp or ip proto 6'],
    ['proto tcp', 'tcp'],
    ['ether proto \\ip6 or 0x88cc', 'ip6 or ether proto 0x88cc'],
    ['vlan 010', 'vlan 8'],
    ['less 64', 'len <= 64'],
    ['tcp[tcpflags] & (tcp-syn | tcp-fin) != 0', '(tcp[13] & (2 | 1)) != 0'],
    ['ip[2:2] == 1 + 2 * 3 % 4 << 1', 'ip[2:2] = ((1 + ((2 * 3) % 4)) << 1)'],
    ['1 | 2 ^ 3 & 4 - 5 - 6 >= len', '(1 | (2 ^ (3 & ((4 - 5) - 6)))) >= len'],
    ['((tcp[0] + 1) > 3)', '(tcp[0] + 1) > 3'],
    ['-(len) < - 5', '-len < -5'],
    ['udp[icmp[4]:4]=0xFF', 'udp[icmp[4]:4] = 255'],
  ];
  for (const [text, meaning] of READINGS) {
    it(`reads "${text}" as "${meaning}"`, () => expect(say(text)).to.equal(meaning));
  }

  const ERRORS: readonly (readonly [text: string, column: number, message: string])[] = [
    ['10.0.0.1', 1, 'expected a protocol, or a qualifier such as host, net, port or src, not "10.0.0.1"'],
    ['tcp or 80', 8, 'expected a protocol, or a qualifier'],
    ['(host 10.0.0.1) or 10.0.0.2', 20, 'expected a protocol, or a qualifier'],
    ['tcp port', 9, 'expected a port, not the end'],
    ['tcp port foo', 10, '"foo" is no port and no service that is known here'],
    ['port 65536', 6, '65536 is no port'],
    ['port 80-90', 6, 'is no port'],
    ['portrange 1-b', 11, 'no range of ports'],
    ['icmp port 7', 1, 'icmp has no ports'],
    ['host www.example.com', 6, 'names are not looked up'],
    ['host 300.1.1.1', 6, '300.1.1.1 is no IPv4 address'],
    ['host 1.2.3.4/32', 13, 'a mask goes with net'],
    ['host ::1/64', 6, 'a prefix length goes with net'],
    ['net 10.0.0.1/8', 5, 'bits that are not in its mask'],
    ['net fe80::1/10', 5, 'bits behind its prefix'],
    ['net 10.0.0.0/33', 14, 'expected a prefix length up to 32'],
    ['net 10.0.0.0 mask 8', 19, 'expected a mask'],
    ['tcp host 1.2.3.4', 1, 'tcp has no IPv4 addresses'],
    ['ip host ::1', 1, 'ip has no IPv6 addresses'],
    ['host 02:00:00:00:00:01', 1, 'a MAC address goes with ether host'],
    ['ether 02:00:00:00:00:01', 1, 'ether alone says nothing'],
    ['src proto 6', 1, 'a protocol has no source'],
    ['tcp proto 6', 1, 'tcp says of no protocol'],
    ['ip proto nonsense', 10, 'expected a protocol, by its number or name'],
    ['tcp broadcast', 1, 'there is no broadcast of tcp'],
    ['vlan 4096', 6, 'expected a VLAN identifier up to 4095'],
    ['ip and', 7, 'not the end'],
    ['(tcp', 5, 'expected ")", not the end'],
    ['tcp)', 4, 'expected and, or, or the end, not ")"'],
    ['tcp[13', 7, 'expected "]"'],
    ['tcp[13:3] = 1', 8, 'expected a size of 1, 2 or 4 bytes'],
    ['tcp[13]', 8, 'expected an operator or a relation'],
    ['ip[2] & = 1', 9, 'expected a number'],
    ['stp[0] = 1', 1, 'cannot be accessed'],
    ['len / 0 = 1', 5, 'division by zero'],
    ['1 << 32 = 1', 3, 'shift by more than 31 bits'],
    ['len = 08', 7, '08 is no octal number'],
    ['len = 4294967296', 7, 'does not fit into 32 bits'],
    ['gateway 10.0.0.1', 1, 'gateway needs a table'],
    ['ip6 protochain 6', 5, 'protochain is not supported'],
    ['mpls', 1, 'mpls is not supported'],
    ['host ==', 6, 'expected an address, not "=="'],
    ['TCP', 1, 'expected a protocol'],
    [`${'('.repeat(1000)}tcp`, 501, 'nested too deeply'],
    [`len = ${'-'.repeat(1000)}1`, 507, 'nested too deeply'],
    [`${'not '.repeat(1000)}tcp`, 2001, 'nested too deeply'],
    [Array(1000).fill('tcp and udp or').join(' '), 3500, 'nested too deeply'],
  ];
  for (const [text, column, message] of ERRORS) {
    it(`says where "${text.slice(0, 40)}" is wrong`, () => {
      let error: unknown;
      try {
        parsePcapFilter(text);
      } catch (caught) {
        error = caught;
      }
      if (!(error instanceof PcapFilterError)) throw new Error(`no error, or another: ${String(error)}`);
      expect(error.code).to.equal('ERR_BAD_FILTER');
      expect(error.message).to.include(message);
      expect(error.column).to.be.closeTo(column, text.length > 100 ? 5000 : 0);
    });
  }

  it('says what was expected, apart from the message', () => {
    expect(() => new PcapFilter('tcp port'))
      .to.throw(PcapFilterError)
      .with.property('expected', 'a port');
  });

  it('compiles lists of a thousand addresses', () => {
    const text = Array.from({ length: 1000 }, (_, i) => `10.0.${i >> 8}.${i & 255}`).join(' or ');
    const filter = new PcapFilter(`src host ${text}`);
    const view = new DataView(new ArrayBuffer(34));
    view.setUint16(12, 0x800);
    view.setUint32(26, 0x0a0003e7);
    expect(filter.matches(view, 0, 34, 'ethernet')).to.equal(true);
    view.setUint32(26, 0x0a0003e8);
    expect(filter.matches(view, 0, 34, 'ethernet')).to.equal(false);
  });

  it('goes by the network of `ip broadcast`', () => {
    const view = new DataView(new ArrayBuffer(34));
    view.setUint16(12, 0x800);
    view.setUint32(30, 0x0a0001ff);
    const verdict = (prefixLength?: number) =>
      new PcapFilter('ip broadcast', prefixLength === undefined ? {} : { prefixLength }).matches(
        view,
        0,
        34,
        'ethernet',
      );
    expect([verdict(), verdict(24), verdict(23), verdict(16)]).to.deep.equal([false, true, true, false]);
    expect(() => new PcapFilter('', { prefixLength: 33 }))
      .to.throw('prefixLength')
      .with.property('code', 'ERR_INVALID_OPTION');
  });
});
