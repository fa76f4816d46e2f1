/** The same filters, the same packets, by tcpdump: it must let through exactly what we do. */

import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import * as fc from 'fast-check';
import { LinkType } from '../../../../lib/capture/capture.js';
import { PcapWriter } from '../../../../lib/capture/pcap.js';
import { readCapture } from '../../../../lib/capture/reader.js';
import {
  type Arithmetic,
  type FilterNode,
  PcapFilter,
  type PcapLinkType,
  printPcapFilter,
} from '../../../../lib/filter/pcap-filter/index.js';
import { anyFilter, anyFrame, anyIpPacket, type AnyPacket } from './arbitrary.js';

const CAPTURES = new URL('../../../../../shared/captures/', import.meta.url).pathname;
const hasTcpdump = spawnSync('tcpdump', ['--version']).status === 0;
const SEED = 6;

/** As people write them, and one of each thing that the language has. */
const FILTERS = [
  '',
  'ip',
  'ip6',
  'arp',
  'rarp',
  'tcp',
  'udp',
  'icmp',
  'icmp6',
  'igmp',
  'sctp',
  'pim',
  'ah',
  'esp',
  'vrrp',
  'carp',
  'igrp',
  'stp',
  'iso',
  'ipx',
  'netbeui',
  'atalk',
  'aarp',
  'decnet',
  'lat',
  'sca',
  'moprc',
  'mopdl',
  'host 10.0.0.1',
  'src host 192.168.0.1',
  'dst 10.0.0.1',
  'src or dst 10.0.0.1',
  'src and dst net 10',
  'net 192.168',
  'net 10.1.2',
  'net 10.0.0.0/8',
  'net 10.0.0.0 mask 255.0.0.0',
  'arp host 10.0.0.1',
  'ip host 10.0.0.1 or 10.0.0.2',
  'net 0.0.0.0/0',
  'host 5',
  'ip6 host fe80::1',
  'host 2001:db8::1',
  'net fe80::/10',
  'src net 2001:db8::/33',
  'net ::/0',
  'dst host ff02::1',
  'port 80',
  'tcp port 80 or 443',
  'udp dst port 53',
  'src port 1024',
  'portrange 50-90',
  'sctp portrange 1-65535',
  'port domain',
  'tcp src port http and dst port 1024',
  'src and dst port 53',
  'port not 80',
  'tcp port (80 and 443)',
  'port 0x50 or 065',
  'ether host 02:00:00:00:00:01',
  'ether src 2:0:0:0:0:1',
  'ether dst 02-00-00-00-00-02',
  'ether host 0200.0000.0001',
  'broadcast',
  'ether broadcast',
  'multicast',
  'ip multicast',
  'ip6 multicast',
  'ip broadcast',
  'ether multicast and not broadcast',
  'less 60',
  'greater 100',
  'len > 42 and len <= 60',
  'len != 54',
  'length = 60',
  'vlan',
  'vlan 5',
  'vlan and tcp',
  'vlan 100 and ip host 10.0.0.1',
  'vlan and vlan',
  'not vlan',
  'vlan or ip',
  'ip or vlan 1 and udp',
  'ether proto 0x800',
  'ether proto \\arp',
  'ip proto 17',
  'ip proto \\tcp',
  'ip6 proto 58',
  'proto 6 or 17',
  'proto \\icmp',
  'ether proto 0x42',
  'tcp[13] & 2 != 0',
  'tcp[tcpflags] & (tcp-syn|tcp-fin) != 0',
  'tcp[tcpflags] == tcp-ack',
  'ip[6:2] & 0x1fff != 0',
  'ip[0] & 0xf != 5',
  'icmp[icmptype] = icmp-echo or icmp[0] = icmp-echoreply',
  'icmp6[icmp6type] = icmp6-echo',
  'ether[0] & 1 = 0 and ip[16] >= 224',
  'tcp[2:2] > 1023',
  'udp[4:2] >= 20',
  'ip[2:2] - ((ip[0] & 0xf) << 2) > 20',
  'tcp[(tcp[12] & 0xf0) >> 2] = 71',
  'ip6[40] = 0',
  'arp[6:2] = 1',
  'link[12:2] = 0x800',

  'ip[12:4] = 0x0a000001',
  'len / (len - 60) = 0',
  '-len < 5',
  'tcp[0:2] = len',
  'ip[8] < 65',
  '1 = 1',
  '1 > 2',
  'not tcp',
  '!tcp',
  'not (tcp or udp)',
  'ip and not (tcp port 80 or udp port 53)',
  'tcp or udp and port 53',
  'not host 10.0.0.1 and not port 80',
  'tcp port 80 or (443 or 53)',
  '(host 10.0.0.1) or port 80',
  'host 10.0.0.1 and (port 80) and 10.0.0.2',
  'not tcp[13] & 2 != 0',
  'not ip[100] = 0',
  'tcp && !udp || icmp',
  'host (10.0.0.1 or 10.0.0.2) and port (80 or 53)',
  'src 10.0.0.1 or 10.0.0.2',
  'host not 10.0.0.1',
];

/** Those that are a matter of link headers; libpcap refuses most of them for IP packets. */
const LINK = /ether|link|vlan|^broadcast|^multicast/;

interface Indexed extends AnyPacket {
  readonly name: string;
}

/** All Ethernet frames of the captures, each also cut at some places. */
function captured(linkType: number): Indexed[] {
  const packets: Indexed[] = [];
  for (const file of readdirSync(CAPTURES).filter((name) => /\.pcapng$|\.pcap$/.test(name))) {
    let n = 0;
    for (const record of readCapture(readFileSync(join(CAPTURES, file)))) {
      n++;
      if (record.linkType !== linkType || n > 200 || record.data.length > 60_000) continue;
      const { data, originalLength } = record;
      const whole = { bytes: Uint8Array.from(data), length: originalLength, name: `${file}:${n}` };
      packets.push(whole);
      const kept = (n * 7) % 60;
      if (n % 5 === 0 && kept < data.length)
        packets.push({ ...whole, bytes: whole.bytes.slice(0, kept), name: `${file}:${n} cut at ${kept}` });
    }
  }
  return packets;
}

function generated<T extends AnyPacket>(packets: fc.Arbitrary<T>, count: number): Indexed[] {
  return fc.sample(packets, { numRuns: count, seed: SEED }).map((packet, i) => ({ ...packet, name: `generated ${i}` }));
}

/** Of `a + tcp[0]` libpcap forgets to ask whether there is a TCP header; it does so for `tcp[0] + a`. */
function isForgotten(node: FilterNode | Arithmetic): boolean {
  switch (node.kind) {
    case 'and':
    case 'or':
      return node.operands.some(isForgotten);
    case 'not':
    case 'negate':
      return isForgotten(node.operand);
    case 'compare':
      return isForgotten(node.left) || isForgotten(node.right);
    case 'load':
      return isForgotten(node.offset);
    case 'binary':
      return isForgotten(node.left) || loads(node.right);
    default:
      return false;
  }
}

function loads(node: Arithmetic): boolean {
  if (node.kind === 'binary') return loads(node.left) || loads(node.right);
  return node.kind === 'negate' ? loads(node.operand) : node.kind === 'load';
}

describe('pcap filters beside tcpdump', function () {
  this.timeout(120_000);
  let directory = '';
  before(function () {
    if (!hasTcpdump) {
      console.warn('SKIPPED: pcap filters beside tcpdump: tcpdump is not installed');
      this.skip();
    }
    directory = mkdtempSync(join(tmpdir(), 'rx-netstack-filter-'));
  });
  after(() => directory !== '' && rmSync(directory, { recursive: true }));

  function saved(packets: readonly Indexed[], linkType: number): string {
    const path = join(directory, `${linkType}-${packets.length}.pcap`);
    const chunks: Uint8Array[] = [];
    const writer = new PcapWriter({ write: (bytes) => chunks.push(bytes) }, { linkType });
    // The time says which packet it is.
    packets.forEach(({ bytes, length }, i) =>
      writer.write({ seconds: i + 1, nanoseconds: 0, data: bytes, originalLength: length }),
    );
    writeFileSync(path, Buffer.concat(chunks));
    return path;
  }

  /** Indices of the packets that tcpdump lets through; `undefined` where it refuses the filter. */
  function byTcpdump(path: string, filter: string, flags: readonly string[]): number[] | undefined {
    const { stdout, stderr, status } = spawnSync('tcpdump', [...flags, '-r', path, '-w', '-', '--', filter], {
      maxBuffer: 1 << 28,
    });
    const said = stderr.toString();
    if (said.includes('expression rejects all packets')) return [];
    if (status !== 0) return undefined;
    return [...readCapture(stdout)].map(({ seconds }) => seconds - 1);
  }

  function compare(
    packets: readonly Indexed[],
    linkType: PcapLinkType,
    filters: readonly string[],
    flags: readonly string[] = [],
  ): number {
    const path = saved(packets, linkType === 'ethernet' ? LinkType.Ethernet : LinkType.RawIp);
    const views = packets.map(({ bytes }) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength));
    let compared = 0;
    for (const text of filters) {
      const filter = new PcapFilter(text);
      const expected = byTcpdump(path, text, flags);
      if (expected === undefined) {
        // It takes an index in a divisor or a shift for the number itself.
        if (!/[%/]|<<|>>/.test(text)) expect(linkType, `tcpdump refuses ${text}`).to.equal('ip');
        continue;
      }
      compared++;
      const ours: number[] = [];
      views.forEach((view, i) => {
        if (filter.matches(view, 0, view.byteLength, linkType, packets[i]?.length)) ours.push(i);
      });
      const names = (list: readonly number[], other: readonly number[]) =>
        list
          .filter((i) => !other.includes(i))
          .slice(0, 5)
          .map((i) => packets[i]?.name);
      if (ours.join() === expected.join()) continue;
      expect.fail(
        `"${text}": only ours ${names(ours, expected).join(', ')}; only tcpdump's ${names(expected, ours).join(', ')}`,
      );
    }
    return compared;
  }

  /** Filters at random; where words of an address do not count, libpcap does not look at them either, but only if it optimises. */
  const random = (count: number) =>
    fc
      .sample(anyFilter, { numRuns: count, seed: SEED })
      .filter((node) => !isForgotten(node))
      .map(printPcapFilter)
      .filter((text) => !/\/(?:0|33|64)\b/.test(text));

  it('lets through the same frames of the captures', function () {
    if (!existsSync(CAPTURES)) {
      console.warn(`SKIPPED: pcap filters beside tcpdump: no captures in ${CAPTURES}`);
      this.skip();
    }
    expect(compare(captured(LinkType.Ethernet), 'ethernet', FILTERS)).to.equal(FILTERS.length);
  });

  it('lets through the same generated frames', () => {
    expect(compare(generated(anyFrame, 2000), 'ethernet', FILTERS)).to.equal(FILTERS.length);
  });

  it('lets through the same generated frames with filters at random', () => {
    expect(compare(generated(anyFrame, 2000), 'ethernet', random(400), ['-O'])).to.be.above(300);
  });

  it('lets through the same generated IP packets', () => {
    const packets = generated(anyIpPacket, 2000);
    const isOfIp = (text: string) => !LINK.test(text);
    expect(compare(packets, 'ip', FILTERS.filter(isOfIp))).to.be.above(100);
    expect(compare(packets, 'ip', random(400).filter(isOfIp), ['-O'])).to.be.above(150);
  });
});
