/** What the specs of segmentation share: packets with all that headers may have in front of a payload, and reading them back. */

import { expect } from 'chai';
import * as fc from 'fast-check';
import { asRx, type Frame, FramePool, GsoType } from '../../../lib/core/frame.js';
import { EtherType } from '../../../lib/wire/ethernet.js';
import { HOP_BY_HOP, IpProtocol } from '../../../lib/wire/ip.js';
import { Ipv4Packet } from '../../../lib/wire/ipv4.js';
import { Ipv6Packet } from '../../../lib/wire/ipv6.js';
import { Ipv6OptionType, pushIpv6Options, walkExtensions } from '../../../lib/wire/ipv6-extensions.js';
import { networkOffset } from '../../../lib/wire/network-offset.js';
import { TCP_HEADER, TcpSegment } from '../../../lib/wire/tcp.js';
import { TcpOptionKind } from '../../../lib/wire/tcp-options.js';
import { UdpDatagram } from '../../../lib/wire/udp.js';
import { address } from './packets6.js';

/** All that the headers of a packet say, and how its payload is to be cut. */
export interface Description {
  readonly version: 4 | 6;
  readonly udp: boolean;
  /** EtherTypes of VLAN tags, or `undefined` for a packet without a link header. */
  readonly tags: readonly number[] | undefined;
  /** Bytes of IP options, or of a hop-by-hop header. */
  readonly ipOptions: number;
  readonly tcpOptions: number;
  readonly sequence: number;
  readonly identification: number;
  readonly dontFragment: boolean;
  readonly flags: number;
  readonly gsoSize: number;
  readonly payload: Uint8Array;
  /** Source port; default 80. */
  readonly port?: number;
}

/** A plain one, of three segments of an Ethernet's MTU. */
export const BULK: Description = {
  version: 4,
  udp: false,
  tags: [],
  ipOptions: 0,
  tcpOptions: 12,
  sequence: 1,
  identification: 1,
  dontFragment: true,
  flags: 0x10,
  gsoSize: 1448,
  payload: new Uint8Array(4000),
};

/** Any super-segment that can be cut, and some that stand for one packet only. */
export const descriptions: fc.Arbitrary<Description> = fc.record({
  version: fc.constantFrom(4 as const, 6 as const),
  udp: fc.boolean(),
  tags: fc.constantFrom(undefined, [], [EtherType.Vlan], [EtherType.QinQ, EtherType.Vlan]),
  ipOptions: fc.constantFrom(0, 0, 4, 16),
  tcpOptions: fc.constantFrom(0, 12, 40),
  sequence: fc.oneof(fc.nat(0xffff_ffff), fc.constant(0xffff_fff0)),
  identification: fc.oneof(fc.nat(0xffff), fc.constant(0xfffe)),
  dontFragment: fc.boolean(),
  // ACK, with any of AE, CWR, ECE, PSH and FIN.
  flags: fc.nat(0x1ff).map((bits) => (bits & 0x1c9) | 0x10),
  gsoSize: fc.integer({ min: 1, max: 400 }),
  payload: fc.uint8Array({ maxLength: 2000 }),
});

/** The sum over the pseudo-header of a packet whose transport segment has this length. */
function partialSum(frame: Frame, version: 4 | 6, protocol: number, length: number): number {
  const packet = version === 4 ? new Ipv4Packet(frame, frame.network) : new Ipv6Packet(frame, frame.network);
  return packet.pseudoHeaderSum(protocol, length);
}

/** The super-segment of a description as its sender makes it: with a partial checksum. */
export function superSegment(of: Description, pool: FramePool = new FramePool()): Frame {
  const { payload, udp, tcpOptions, version } = of;
  const frame = pool.alloc(payload.length + 200);
  frame.slab.bytes.set(payload, frame.put(payload.length));
  if (udp) UdpDatagram.emit(frame, of.port ?? 80, 40_001, 0);
  else {
    const rest = { acknowledgment: 0x0102_0304, window: 0x1234, urgentPointer: 0 };
    TcpSegment.emit(
      frame,
      { sourcePort: of.port ?? 80, destinationPort: 40_000, sequence: of.sequence, flags: of.flags, ...rest },
      tcpOptions,
    );
    const options = frame.start + TCP_HEADER;
    for (let i = 0; i < tcpOptions; i++) frame.slab.bytes[options + i] = TcpOptionKind.Nop;
  }
  const transport = frame.start;
  const length = frame.length;
  pushNetwork(frame, of);
  const protocol = udp ? IpProtocol.Udp : IpProtocol.Tcp;
  frame.checksum = 2;
  frame.checksumStart = transport;
  frame.checksumField = transport + (udp ? 6 : 16);
  frame.slab.view.setUint16(frame.checksumField, partialSum(frame, version, protocol, length));
  frame.gsoType = udp ? GsoType.UdpL4 : version === 4 ? GsoType.TcpV4 : GsoType.TcpV6;
  frame.gsoSize = of.gsoSize;
  pushLink(frame, of);
  frame.wholeEnd = frame.end;
  return frame;
}

function pushNetwork(frame: Frame, of: Description): void {
  const protocol = of.udp ? IpProtocol.Udp : IpProtocol.Tcp;
  if (of.version === 4) {
    const { identification, dontFragment, ipOptions } = of;
    const options = ipOptions === 0 ? [] : [{ type: 0x1e, data: new Uint8Array(ipOptions - 2).fill(7) }];
    const addresses = { source: 0x0a00_0001, destination: 0x0a00_0002 };
    Ipv4Packet.emit(frame, { ...addresses, protocol, identification, dontFragment, tos: 2, ttl: 61, options });
    return;
  }
  const data = new Uint8Array(of.ipOptions);
  const option = { type: Ipv6OptionType.PadN, data };
  const first = of.ipOptions === 0 ? protocol : pushIpv6Options(frame, HOP_BY_HOP, protocol, [option]);
  const addresses = { source: address('2001:db8::1'), destination: address('2001:db8::2:0:2') };
  Ipv6Packet.emit(frame, { ...addresses, protocol: first, hopLimit: 61, trafficClass: 2, flowLabel: 0xabcde });
}

function pushLink(frame: Frame, { tags, version }: Description): void {
  if (tags === undefined) return;
  let type: number = version === 4 ? EtherType.Ipv4 : EtherType.Ipv6;
  for (const tag of tags.toReversed()) {
    const at = frame.push(4);
    frame.slab.view.setUint16(at, 0x6007);
    frame.slab.view.setUint16(at + 2, type);
    type = tag;
  }
  const at = frame.push(14);
  frame.slab.bytes.set([2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1], at);
  frame.slab.view.setUint16(at + 12, type);
  frame.link = at;
}

/** A packet read back, down to its payload. */
export interface Parsed {
  readonly link: string;
  readonly ip: Ipv4Packet | Ipv6Packet;
  readonly transport: TcpSegment | UdpDatagram;
  readonly payload: Uint8Array;
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/** Reads a packet, all checksums verified; its frame is left as it was. */
export function parse(frame: Frame, medium: 'ethernet' | 'ip'): Parsed {
  const { start, end, checksum } = frame;
  const network = networkOffset(frame, medium);
  const link = hex(frame.slab.bytes.subarray(start, network));
  const isIpv4 = frame.slab.view.getUint8(network) >>> 4 === 4;
  expect((isIpv4 ? Ipv4Packet : Ipv6Packet).check(frame, network)).to.equal(undefined);
  const ip = isIpv4 ? new Ipv4Packet(frame, network) : new Ipv6Packet(frame, network);
  if (ip.version === 6) expect(walkExtensions(ip)).to.equal(undefined);
  expect(frame.end).to.equal(network + ip.totalLength);
  frame.start = network + ip.headerLength;
  // Whoever cuts or merges may say that checksums are right; here they are looked at.
  frame.checksum = 0;
  const Transport = ip.protocol === IpProtocol.Tcp ? TcpSegment : UdpDatagram;
  expect(Transport.check(ip)).to.equal(undefined);
  const transport = new Transport(asRx(frame), frame.start);
  frame.start = start;
  frame.checksum = checksum;
  return { link, ip, transport, payload: frame.slab.bytes.slice(transport.payload, end) };
}
