/**
 * DHCPv4 messages (RFC 2131 2): read whole and written from plain values. Options may go on in the `file` and `sname` fields (overload,
 * RFC 2132 9.3) and come in several parts (RFC 3396). BOOTP without options (no message type) is refused.
 */

import { Ipv4Address, MacAddress } from '../core/address.js';
import { UsageError } from '../core/errors.js';
import { badMessage } from './dns-name.js';
import { DhcpOption, type DhcpOptions, readOptions, writeOptions } from './dhcpv4-options.js';

export const DHCP_SERVER_PORT = 67;
export const DHCP_CLIENT_PORT = 68;
/** A lease of this many seconds never ends (RFC 2131 3.3). */
export const DHCP_FOREVER = 0xffff_ffff;

/** Types of messages (RFC 2132 9.6). */
export const DhcpType = {
  Discover: 1,
  Offer: 2,
  Request: 3,
  Decline: 4,
  Ack: 5,
  Nak: 6,
  Release: 7,
  Inform: 8,
} as const;

// Offsets of the fields (RFC 2131 figure 1).
const OP = 0;
const HTYPE = 1;
const HLEN = 2;
const HOPS = 3;
const XID = 4;
const SECS = 8;
const FLAGS = 10;
const CIADDR = 12;
const YIADDR = 16;
const SIADDR = 20;
const GIADDR = 24;
const CHADDR = 28;
const SNAME = 44;
const FILE = 108;
const COOKIE = 236;
const OPTIONS = 240;

const MAGIC = 0x6382_5363;
const BROADCAST_FLAG = 0x8000;
const ETHERNET = 1;
const MAC_LENGTH = 6;
/** Relays and old servers expect as much as BOOTP had (RFC 1542 2.1). */
const MINIMUM = 300;
/** What every client takes: the payload of an IP datagram of 576 bytes (RFC 2131 2). */
export const DHCP_DEFAULT_SIZE = 548;

/** A message. */
export interface DhcpMessage {
  /** Whether a client sent it. */
  readonly request: boolean;
  readonly hops: number;
  readonly xid: number;
  /** Seconds since the client began. */
  readonly secs: number;
  /** The client cannot receive unicast before it has an address. */
  readonly broadcast: boolean;
  /** The client's address, where it has one and answers ARP for it. */
  readonly ciaddr: Ipv4Address;
  /** The address that the server gives. */
  readonly yiaddr: Ipv4Address;
  readonly siaddr: Ipv4Address;
  /** The relay agent. */
  readonly giaddr: Ipv4Address;
  readonly mac: MacAddress;
  readonly options: DhcpOptions;
}

/** A message with the rest of its fields zero. */
export function dhcpMessage(fields: Pick<DhcpMessage, 'request' | 'xid' | 'mac'> & Partial<DhcpMessage>): DhcpMessage {
  const none = Ipv4Address.ANY;
  return {
    hops: 0,
    secs: 0,
    broadcast: false,
    ciaddr: none,
    yiaddr: none,
    siaddr: none,
    giaddr: none,
    options: {},
    ...fields,
  };
}

/** @throws UsageError `ERR_BAD_MESSAGE` for anything that is no DHCP message of an Ethernet client */
export function parseDhcp(bytes: Uint8Array): DhcpMessage {
  if (bytes.length < OPTIONS) throw badMessage('shorter than a DHCP message');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const op = view.getUint8(OP);
  if (view.getUint32(COOKIE) !== MAGIC) throw badMessage('BOOTP, not DHCP');
  if ((op !== 1 && op !== 2) || view.getUint8(HTYPE) !== ETHERNET || view.getUint8(HLEN) !== MAC_LENGTH) {
    throw badMessage('a DHCP message of an unknown kind or link');
  }
  const options = readOptions(gather(bytes));
  if (options.messageType === undefined) throw badMessage('a DHCP message without a type');
  const address = (at: number) => new Ipv4Address(view.getUint32(at));
  return {
    request: op === 1,
    hops: view.getUint8(HOPS),
    xid: view.getUint32(XID),
    secs: view.getUint16(SECS),
    broadcast: (view.getUint16(FLAGS) & BROADCAST_FLAG) !== 0,
    ciaddr: address(CIADDR),
    yiaddr: address(YIADDR),
    siaddr: address(SIADDR),
    giaddr: address(GIADDR),
    mac: new MacAddress(view.getUint16(CHADDR) * 2 ** 32 + view.getUint32(CHADDR + 2)),
    options,
  };
}

/** The bytes of all options by code: parts of the same code are put together, in the order options, file, sname (RFC 3396 5). */
function gather(bytes: Uint8Array): Map<number, Uint8Array> {
  const found = new Map<number, Uint8Array>();
  collect(bytes, OPTIONS, bytes.length, found);
  const overload = found.get(DhcpOption.Overload)?.[0] ?? 0;
  found.delete(DhcpOption.Overload);
  if ((overload & 1) !== 0) collect(bytes, FILE, COOKIE, found);
  if ((overload & 2) !== 0) collect(bytes, SNAME, FILE, found);
  return found;
}

function collect(bytes: Uint8Array, from: number, to: number, found: Map<number, Uint8Array>): void {
  for (let at = from; at < to; ) {
    const code = bytes[at] ?? DhcpOption.End;
    if (code === DhcpOption.End) return;
    if (code === DhcpOption.Pad) {
      at++;
      continue;
    }
    const end = at + 2 + (bytes[at + 1] ?? 0);
    if (at + 2 > to || end > to) throw badMessage('a DHCP option that ends early');
    const before = found.get(code) ?? new Uint8Array(0);
    const whole = new Uint8Array(before.length + end - at - 2);
    whole.set(before);
    whole.set(bytes.subarray(at + 2, end), before.length);
    found.set(code, whole);
    at = end;
  }
}

/**
 * Writes a message of at most `maxSize` bytes; options that do not fit go on in the `file` and `sname` fields.
 *
 * @throws UsageError `ERR_INVALID_OPTION` if they do not fit there either
 */
export function emitDhcp(message: DhcpMessage, maxSize: number = DHCP_DEFAULT_SIZE): Uint8Array {
  const size = Math.max(maxSize, DHCP_DEFAULT_SIZE);
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  view.setUint8(OP, message.request ? 1 : 2);
  view.setUint8(HTYPE, ETHERNET);
  view.setUint8(HLEN, MAC_LENGTH);
  view.setUint8(HOPS, message.hops);
  view.setUint32(XID, message.xid);
  view.setUint16(SECS, Math.min(message.secs, 0xffff));
  view.setUint16(FLAGS, message.broadcast ? BROADCAST_FLAG : 0);
  message.ciaddr.write(view, CIADDR);
  message.yiaddr.write(view, YIADDR);
  message.siaddr.write(view, SIADDR);
  message.giaddr.write(view, GIADDR);
  view.setUint16(CHADDR, Math.floor(message.mac.value / 2 ** 32));
  view.setUint32(CHADDR + 2, message.mac.value % 2 ** 32);
  view.setUint32(COOKIE, MAGIC);
  const end = place(bytes, parts(message.options), size);
  return bytes.slice(0, Math.max(end, MINIMUM));
}

/** Options as they are written: code, length and at most 255 bytes; longer ones in several parts (RFC 3396). */
function parts(options: DhcpOptions): Uint8Array[] {
  return writeOptions(options).flatMap(([code, bytes]) => {
    const pieces: Uint8Array[] = [];
    for (let at = 0; at === 0 || at < bytes.length; at += 255) {
      const piece = bytes.subarray(at, at + 255);
      pieces.push(Uint8Array.of(code, piece.length, ...piece));
    }
    return pieces;
  });
}

/** Writes the parts, in order, to the options field and then to `file` and `sname`; returns the end of the options field. */
function place(bytes: Uint8Array, written: readonly Uint8Array[], size: number): number {
  const total = written.reduce((sum, { length }) => sum + length, 0);
  const overloaded = OPTIONS + total + 1 > size;
  // The type comes first, then the word that more is elsewhere.
  const queue = overloaded
    ? [...written.slice(0, 1), Uint8Array.of(DhcpOption.Overload, 1, 3), ...written.slice(1)]
    : [...written];
  const fill = (from: number, to: number): number => {
    let at = from;
    for (let next = queue[0]; next !== undefined && at + next.length + 1 <= to; next = queue[0]) {
      bytes.set(next, at);
      at += next.length;
      queue.shift();
    }
    bytes[at] = DhcpOption.End;
    return at + 1;
  };
  const end = fill(OPTIONS, size);
  if (overloaded) {
    fill(FILE, COOKIE);
    fill(SNAME, FILE);
  }
  if (queue.length > 0) {
    throw new UsageError('ERR_INVALID_OPTION', `DHCP options do not fit a message of ${size} bytes`);
  }
  return end;
}
