/** ICMP for IPv4 (RFC 792, 950, 1191, 1256, 1812): messages a host meets, with the packet that errors quote. */

import { DropReason } from '../core/drops.js';
import type { Frame } from '../core/frame.js';
import { complement, sum16 } from './checksum.js';
import { IpProtocol } from './ip.js';
import { IPV4_HEADER, Ipv4Packet } from './ipv4.js';

const TYPE = 0;
const CODE = 1;
const CHECKSUM = 2;
const REST = 4;
const ORIGINATE = 8;
const RECEIVE = 12;
const TRANSMIT = 16;
export const ICMPV4_HEADER = 8;
const TIMESTAMP_LENGTH = 20;
const ADDRESS_MASK_LENGTH = 12;
// An error quotes at least this much of the packet's payload (RFC 792).
const QUOTED_PAYLOAD = 8;
// With extensions the quote is padded to 128 bytes at least, stated in words (RFC 4884 4.3).
const MINIMUM_EXTENDED = 32;

/** Message types (IANA). */
export const Icmpv4Type = {
  EchoReply: 0,
  DestinationUnreachable: 3,
  SourceQuench: 4,
  Redirect: 5,
  EchoRequest: 8,
  RouterAdvertisement: 9,
  RouterSolicitation: 10,
  TimeExceeded: 11,
  ParameterProblem: 12,
  TimestampRequest: 13,
  TimestampReply: 14,
  AddressMaskRequest: 17,
  AddressMaskReply: 18,
} as const;

/** Codes of destination unreachable (RFC 792, 1122, 1812). */
export const Icmpv4Unreachable = {
  Net: 0,
  Host: 1,
  Protocol: 2,
  Port: 3,
  FragmentationNeeded: 4,
  SourceRouteFailed: 5,
  NetUnknown: 6,
  HostUnknown: 7,
  SourceIsolated: 8,
  NetProhibited: 9,
  HostProhibited: 10,
  NetTos: 11,
  HostTos: 12,
  AdminProhibited: 13,
  PrecedenceViolation: 14,
  PrecedenceCutoff: 15,
} as const;

/** Codes of time exceeded. */
export const Icmpv4TimeExceeded = { InTransit: 0, Reassembly: 1 } as const;

/** Whether messages of `type` report an error about a packet, which they quote (RFC 1122 3.2.2). */
export function isIcmpv4Error(type: number): boolean {
  return (
    type === Icmpv4Type.DestinationUnreachable ||
    type === Icmpv4Type.SourceQuench ||
    type === Icmpv4Type.Redirect ||
    type === Icmpv4Type.TimeExceeded ||
    type === Icmpv4Type.ParameterProblem
  );
}

/** An ICMPv4 message, read in place. Sound once {@link Icmpv4Message.check} has found nothing wrong. */
export class Icmpv4Message {
  readonly frame: Frame;
  readonly offset: number;

  constructor(frame: Frame, offset: number) {
    this.frame = frame;
    this.offset = offset;
  }

  /** What is wrong with the message that fills the frame from `offset`, or `undefined`. */
  static check(frame: Frame, offset: number): DropReason | undefined {
    const length = frame.end - offset;
    if (length < ICMPV4_HEADER) return DropReason.Icmpv4Truncated;
    if (length < TIMESTAMP_LENGTH && length < minimumLength(frame.slab.view.getUint8(offset + TYPE))) {
      return DropReason.Icmpv4Truncated;
    }
    if (sum16(frame.slab.view, offset, frame.end) !== 0xffff) return DropReason.Icmpv4BadChecksum;
    return undefined;
  }

  /** Pushes a header in front of the frame, whose range is the message's data; `rest` is the 32-bit word before the data. */
  static emit(frame: Frame, type: number, code: number, rest: number): void {
    const at = frame.push(ICMPV4_HEADER);
    const { view } = frame.slab;
    view.setUint8(at + TYPE, type);
    view.setUint8(at + CODE, code);
    view.setUint16(at + CHECKSUM, 0);
    view.setUint32(at + REST, rest);
    view.setUint16(at + CHECKSUM, complement(sum16(view, at, frame.end)));
  }

  /** Pushes a timestamp request or reply; times are milliseconds since midnight UT (RFC 792). */
  static emitTimestamp(frame: Frame, type: number, identifier: number, sequence: number, times: Icmpv4Times): void {
    const at = frame.push(TIMESTAMP_LENGTH - ICMPV4_HEADER);
    const { view } = frame.slab;
    view.setUint32(at, times.originate);
    view.setUint32(at + 4, times.receive);
    view.setUint32(at + 8, times.transmit);
    Icmpv4Message.emit(frame, type, 0, ((identifier << 16) | (sequence & 0xffff)) >>> 0);
  }

  get type(): number {
    return this.frame.slab.view.getUint8(this.offset + TYPE);
  }
  get code(): number {
    return this.frame.slab.view.getUint8(this.offset + CODE);
  }
  /** The word after the checksum: identifier and sequence number, gateway, pointer or MTU. */
  get rest(): number {
    return this.frame.slab.view.getUint32(this.offset + REST);
  }
  /** Echo and timestamp: the identifier. */
  get identifier(): number {
    return this.frame.slab.view.getUint16(this.offset + REST);
  }
  /** Echo and timestamp: the sequence number. */
  get sequence(): number {
    return this.frame.slab.view.getUint16(this.offset + REST + 2);
  }
  /** Fragmentation needed: MTU of the next hop, or 0 from old routers (RFC 1191 4). */
  get mtu(): number {
    return this.frame.slab.view.getUint16(this.offset + REST + 2);
  }
  /** Parameter problem: offset of the offending byte. */
  get pointer(): number {
    return this.frame.slab.view.getUint8(this.offset + REST);
  }
  /** Offset of the data, which end with the frame: an echo's payload or the quoted packet. */
  get payload(): number {
    return this.offset + ICMPV4_HEADER;
  }
  /** Timestamp: when the sender last touched the request, in milliseconds since midnight UT; the others likewise. */
  get originate(): number {
    return this.frame.slab.view.getUint32(this.offset + ORIGINATE);
  }
  get receive(): number {
    return this.frame.slab.view.getUint32(this.offset + RECEIVE);
  }
  get transmit(): number {
    return this.frame.slab.view.getUint32(this.offset + TRANSMIT);
  }
  /** The packet that an error quotes, or `undefined` where it is unusable. Its header is sound, its payload may be cut. */
  get quoted(): Icmpv4Quote | undefined {
    return isIcmpv4Error(this.type) ? Icmpv4Quote.at(this.frame, this.payload, this.quoteEnd) : undefined;
  }
  /** End of the quoted packet's bytes: extensions may follow them (RFC 4884 4). */
  get quoteEnd(): number {
    const words = this.frame.slab.view.getUint8(this.offset + REST + 1);
    const extensible =
      this.type === Icmpv4Type.DestinationUnreachable ||
      this.type === Icmpv4Type.TimeExceeded ||
      this.type === Icmpv4Type.ParameterProblem;
    return extensible && words >= MINIMUM_EXTENDED
      ? Math.min(this.payload + words * 4, this.frame.end)
      : this.frame.end;
  }
}

/** The three times of a timestamp message, in milliseconds since midnight UT. */
export interface Icmpv4Times {
  readonly originate: number;
  readonly receive: number;
  readonly transmit: number;
}

/** The packet that an ICMP error is about: its whole IP header and at least 8 bytes of what followed (RFC 792). */
export class Icmpv4Quote {
  /** The header. Only getters: its length is that of the original packet, and its checksum is not verified. */
  readonly packet: Ipv4Packet;
  /** Offset of the quoted transport header. */
  readonly transport: number;
  /** End of the quoted bytes. */
  readonly end: number;

  private constructor(packet: Ipv4Packet, transport: number, end: number) {
    this.packet = packet;
    this.transport = transport;
    this.end = end;
  }

  /** Reads the packet quoted between `from` and `end`; `undefined` if it is not IPv4 or shorter than RFC 792 demands. */
  static at(frame: Frame, from: number, end: number): Icmpv4Quote | undefined {
    if (end - from < IPV4_HEADER) return undefined;
    const packet = new Ipv4Packet(frame, from);
    const { headerLength } = packet;
    if (frame.slab.view.getUint8(from) >>> 4 !== 4 || headerLength < IPV4_HEADER) return undefined;
    const needed = headerLength + Math.min(QUOTED_PAYLOAD, Math.max(0, packet.totalLength - headerLength));
    return end - from < needed ? undefined : new Icmpv4Quote(packet, from + headerLength, end);
  }

  /** Ports of the quoted TCP or UDP header, if they are there: not in a later fragment, nor of another protocol. */
  get ports(): { readonly source: number; readonly destination: number } | undefined {
    const { packet, transport } = this;
    const carries = packet.protocol === IpProtocol.Tcp || packet.protocol === IpProtocol.Udp;
    if (!carries || packet.fragmentOffset > 0 || this.end - transport < 4) return undefined;
    const { view } = packet.frame.slab;
    return { source: view.getUint16(transport), destination: view.getUint16(transport + 2) };
  }
}

function minimumLength(type: number): number {
  if (type === Icmpv4Type.TimestampRequest || type === Icmpv4Type.TimestampReply) return TIMESTAMP_LENGTH;
  if (type === Icmpv4Type.AddressMaskRequest || type === Icmpv4Type.AddressMaskReply) return ADDRESS_MASK_LENGTH;
  return ICMPV4_HEADER;
}
