/** ICMP for IPv4 (RFC 792, 950, 1191, 1256, 1812): messages a host meets, with the packet that errors quote. */

import { DropReason } from '../core/drops.js';
import type { Frame } from '../core/frame.js';
import { complement, sum16 } from './checksum.js';

const TYPE = 0;
const CODE = 1;
const CHECKSUM = 2;
const REST = 4;
export const ICMPV4_HEADER = 8;

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
    if (frame.end - offset < ICMPV4_HEADER) return DropReason.Icmpv4Truncated;
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
}
