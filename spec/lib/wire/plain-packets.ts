/** Packets written byte by byte with checksums summed word by word: the oracle of whoever changes packets in place. */

import type { IpAddress } from '../../../lib/core/address.js';
import { Frame } from '../../../lib/core/frame.js';

/** Who a packet is from and to; of an ICMP query only the source's port counts, which is its identifier. */
export interface PlainEnds {
  readonly source: IpAddress;
  readonly destination: IpAddress;
  readonly sourcePort: number;
  readonly destinationPort: number;
}

export type PlainProtocol = 'tcp' | 'udp' | 'udp-lite' | 'dccp' | 'icmp' | 'icmp-error';

/** All else that a packet is. */
export interface PlainPacket {
  readonly protocol: PlainProtocol;
  readonly body: Uint8Array;
  /** Complete, only the pseudo-header's sum, or of UDP 0. */
  readonly checksum: 'full' | 'partial' | 'none';
  /** Bytes of IP options, a multiple of 4, or of a destination options header, a multiple of 8. */
  readonly options: number;
  /** Flags of TCP; default ACK. */
  readonly flags?: number;
  /** Sequence and acknowledgment numbers of TCP; default 0. */
  readonly sequence?: number;
  readonly acknowledgment?: number;
  /** Of IPv4; default 0x1234. */
  readonly identification?: number;
  /** Of IPv4. */
  readonly dontFragment?: boolean;
  /** Type of ICMP; default an echo request, or time exceeded. */
  readonly type?: number;
}

const NUMBERS = { tcp: 6, udp: 17, 'udp-lite': 136, dccp: 33 } as const;
const HEADERS = { tcp: 20, udp: 8, 'udp-lite': 8, dccp: 12, icmp: 8, 'icmp-error': 8 } as const;

/** RFC 1071 section 1, word by word. */
export function plainSum(bytes: Uint8Array, initial = 0): number {
  let sum = initial;
  for (let i = 0; i < bytes.length; i += 2) {
    sum += ((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0);
    if (sum > 0xffff) sum -= 0xffff;
  }
  return sum;
}

export function addressBytes(address: IpAddress): Uint8Array {
  const bytes = new Uint8Array(address.version === 4 ? 4 : 16);
  address.write(new DataView(bytes.buffer), 0);
  return bytes;
}

/** The protocol number, by IP version. */
export function protocolNumber(protocol: PlainProtocol, version: 4 | 6): number {
  if (protocol === 'icmp' || protocol === 'icmp-error') return version === 4 ? 1 : 58;
  return NUMBERS[protocol];
}

/** The offset of the checksum in the transport's header. */
export function checksumPlace(protocol: PlainProtocol): number {
  return protocol === 'tcp' ? 16 : protocol === 'icmp' || protocol === 'icmp-error' ? 2 : 6;
}

function pseudoSum(ends: PlainEnds, number: number, length: number): number {
  if (number === 1) return 0;
  const addresses = plainSum(addressBytes(ends.destination), plainSum(addressBytes(ends.source)));
  return plainSum(Uint8Array.of(0, number, length >>> 8, length & 0xff), addresses);
}

/** The transport's header and payload. */
export function plainSegment(packet: PlainPacket, ends: PlainEnds): Uint8Array {
  const { protocol, body, checksum } = packet;
  const bytes = new Uint8Array(HEADERS[protocol] + body.length);
  const view = new DataView(bytes.buffer);
  const { version } = ends.source;
  bytes.set(body, HEADERS[protocol]);
  if (protocol === 'icmp') {
    view.setUint8(0, packet.type ?? (version === 4 ? 8 : 128));
    view.setUint16(4, ends.sourcePort);
  } else if (protocol === 'icmp-error') {
    view.setUint8(0, packet.type ?? (version === 4 ? 11 : 3));
  } else {
    view.setUint16(0, ends.sourcePort);
    view.setUint16(2, ends.destinationPort);
    if (protocol !== 'tcp') view.setUint16(4, bytes.length);
    else {
      view.setUint32(4, packet.sequence ?? 0);
      view.setUint32(8, packet.acknowledgment ?? 0);
      view.setUint32(12, ((0x5000 | (packet.flags ?? 0x10)) << 16) | 0x1000);
    }
  }
  const number = protocolNumber(protocol, version);
  const pseudo = pseudoSum(ends, number, bytes.length);
  const whole = ~plainSum(bytes, pseudo) & 0xffff;
  const field = (protocol === 'udp' || protocol === 'udp-lite') && whole === 0 ? 0xffff : whole;
  view.setUint16(checksumPlace(protocol), checksum === 'full' ? field : checksum === 'partial' ? pseudo : 0);
  return bytes;
}

/** An IP header in front of `payload`; of IPv6 with a fragment header where `fragment` is not 0. */
export function plainIp(packet: PlainPacket, ends: PlainEnds, payload: Uint8Array, fragment = 0): Uint8Array {
  const number = protocolNumber(packet.protocol, ends.source.version);
  return ends.source.version === 4
    ? ip4(packet, number, ends, payload, fragment)
    : ip6(packet.options, number, ends, payload, fragment);
}

function ip4(packet: PlainPacket, number: number, ends: PlainEnds, payload: Uint8Array, fragment: number): Uint8Array {
  const header = 20 + packet.options;
  const bytes = new Uint8Array(header + payload.length).fill(1, 20, header);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, 0x40 | (header / 4));
  view.setUint16(2, bytes.length);
  view.setUint16(4, packet.identification ?? 0x1234);
  view.setUint16(6, packet.dontFragment === true ? 0x4000 : fragment);
  view.setUint8(8, 64);
  view.setUint8(9, number);
  bytes.set(addressBytes(ends.source), 12);
  bytes.set(addressBytes(ends.destination), 16);
  view.setUint16(10, ~plainSum(bytes.subarray(0, header)) & 0xffff);
  bytes.set(payload, header);
  return bytes;
}

function ip6(options: number, number: number, ends: PlainEnds, payload: Uint8Array, fragment: number): Uint8Array {
  const fragmentHeader = fragment === 0 ? 0 : 8;
  const bytes = new Uint8Array(40 + options + fragmentHeader + payload.length);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, 0x60);
  view.setUint16(4, bytes.length - 40);
  const behind = fragment === 0 ? number : 44;
  view.setUint8(6, options === 0 ? behind : 60);
  view.setUint8(7, 64);
  bytes.set(addressBytes(ends.source), 8);
  bytes.set(addressBytes(ends.destination), 24);
  if (options > 0) bytes.set([behind, options / 8 - 1, 1, options - 4], 40);
  if (fragment !== 0) {
    bytes[40 + options] = number;
    // What IPv4 has as flags and units of eight bytes is here bytes and flags.
    view.setUint16(42 + options, ((fragment & 0x1fff) << 3) | (fragment >>> 13));
  }
  bytes.set(payload, 40 + options + fragmentHeader);
  return bytes;
}

/** A frame of a packet, which starts with its IP header. */
export function plainFrame(packet: PlainPacket, ends: PlainEnds): Frame {
  const segment = plainSegment(packet, ends);
  const frame = Frame.from(plainIp(packet, ends, segment));
  frame.network = frame.start;
  if (packet.checksum === 'partial') {
    frame.checksum = 2;
    frame.checksumStart = frame.end - segment.length;
    frame.checksumField = frame.checksumStart + checksumPlace(packet.protocol);
  }
  return frame;
}
