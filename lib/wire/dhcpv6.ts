/** DHCPv6 messages between clients and servers (RFC 8415 8). Relays' messages are not read. Options are in `dhcpv6-options`. */

import { Ipv6Address } from '../core/address.js';
import { DropReason } from '../core/drops.js';
import type { Frame } from '../core/frame.js';
import { checkDhcpv6Options, type Dhcpv6Option, dhcpv6OptionBytes, readDhcpv6Options } from './dhcpv6-options.js';

const TYPE = 0;
const OPTIONS = 4;

export const DHCPV6_CLIENT_PORT = 546;
export const DHCPV6_SERVER_PORT = 547;
/** ff02::1:2, where clients find relays and servers (RFC 8415 7.1). */
export const DHCPV6_SERVERS: Ipv6Address = new Ipv6Address(0xff02_0000, 0, 0, 0x0001_0002);

/** Message types (RFC 8415 7.3). */
export const Dhcpv6Type = {
  Solicit: 1,
  Advertise: 2,
  Request: 3,
  Confirm: 4,
  Renew: 5,
  Rebind: 6,
  Reply: 7,
  Release: 8,
  Decline: 9,
  Reconfigure: 10,
  InformationRequest: 11,
  RelayForward: 12,
  RelayReply: 13,
} as const;

/** A DHCPv6 message, read in place. Sound once {@link Dhcpv6Message.check} has found nothing wrong. */
export class Dhcpv6Message {
  readonly frame: Frame;
  readonly offset: number;

  constructor(frame: Frame, offset: number) {
    this.frame = frame;
    this.offset = offset;
  }

  /** What is wrong with the message that fills the frame from `offset`, or `undefined`. Which options it must have, its reader knows. */
  static check(frame: Frame, offset: number): DropReason | undefined {
    if (frame.end - offset < OPTIONS) return DropReason.Dhcpv6Truncated;
    const type = frame.slab.view.getUint8(offset + TYPE);
    if (type === 0 || type > Dhcpv6Type.InformationRequest) return DropReason.Dhcpv6UnknownType;
    return checkDhcpv6Options(frame.slab.view, offset + OPTIONS, frame.end) ? undefined : DropReason.Dhcpv6BadOption;
  }

  /**
   * Fills the empty frame with a message; `transaction` has 24 bits.
   *
   * @throws UsageError `ERR_INVALID_OPTION`
   */
  static emit(frame: Frame, type: number, transaction: number, options: readonly Dhcpv6Option[]): void {
    const bytes = dhcpv6OptionBytes(options);
    const at = frame.put(OPTIONS + bytes.length);
    frame.slab.view.setUint32(at, ((type << 24) | (transaction & 0xff_ffff)) >>> 0);
    frame.slab.bytes.set(bytes, at + OPTIONS);
  }

  get type(): number {
    return this.frame.slab.view.getUint8(this.offset + TYPE);
  }
  /** The transaction that an answer belongs to. */
  get transaction(): number {
    return this.frame.slab.view.getUint32(this.offset + TYPE) & 0xff_ffff;
  }

  options(): Dhcpv6Option[] {
    return readDhcpv6Options(this.frame.slab.view, this.offset + OPTIONS, this.frame.end);
  }
}

/** A message as values: what sockets give and take. */
export interface Dhcpv6Values {
  readonly type: number;
  /** 24 bits. */
  readonly transaction: number;
  readonly options: readonly Dhcpv6Option[];
}

/** Reads the payload of a datagram; `undefined` if that is no message between a client and a server. */
export function parseDhcpv6(bytes: Uint8Array): Dhcpv6Values | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (bytes.length < OPTIONS || !checkDhcpv6Options(view, OPTIONS, bytes.length)) return undefined;
  const type = view.getUint8(TYPE);
  if (type === 0 || type > Dhcpv6Type.InformationRequest) return undefined;
  const transaction = view.getUint32(TYPE) & 0xff_ffff;
  return { type, transaction, options: readDhcpv6Options(view, OPTIONS, bytes.length) };
}

/** The payload of a datagram. @throws UsageError `ERR_INVALID_OPTION` */
export function emitDhcpv6({ type, transaction, options }: Dhcpv6Values): Uint8Array {
  const rest = dhcpv6OptionBytes(options);
  const bytes = new Uint8Array(OPTIONS + rest.length);
  new DataView(bytes.buffer).setUint32(TYPE, ((type << 24) | (transaction & 0xff_ffff)) >>> 0);
  bytes.set(rest, OPTIONS);
  return bytes;
}

/** The DUID-LL of an Ethernet address (RFC 8415 11.4). */
export function duidOfMac(mac: number): Uint8Array {
  const bytes = new Uint8Array(10);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, 3);
  view.setUint16(2, 1);
  view.setUint16(4, mac / 0x1_0000_0000);
  view.setUint32(6, mac % 0x1_0000_0000);
  return bytes;
}
