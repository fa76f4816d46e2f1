/** What the packet notation says of ICMPv6 messages, as bytes and back: errors, echo, and the messages that find neighbours. */

import { type Ipv6Address, parseIp } from '../core/address.js';
import { UsageError } from '../core/errors.js';
import type { Frame } from '../core/frame.js';
import { type Icmpv6Message, Icmpv6Type, isIcmpv6Error } from '../wire/icmpv6.js';
import { readIpv6 } from '../wire/ipv6.js';
import { type NdpOption, ndpOptionBytes, NdpOptionType, linkAddressIn } from '../wire/ndp-options.js';
import type { IcmpSpec, PayloadSpec } from './packet-spec.js';
import { payloadData } from './payload-data.js';

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

// RFC 4861 4.4: bits of the byte behind the checksum.
const FLAGS = [
  ['R', 0x80],
  ['S', 0x40],
  ['O', 0x20],
] as const;
const TARGET_LENGTH = 16;
const LINK_ADDRESS_LENGTH = 8;

/** Whether the address that a message is about is the first thing behind its header. */
function hasTarget(type: number): boolean {
  return type === Icmpv6Type.NeighbourSolicitation || type === Icmpv6Type.NeighbourAdvertisement;
}

/** The kind of link address option that is written `lladdr`, or `undefined` where there is none. */
function linkOption(type: number): 'source-link-address' | 'target-link-address' | undefined {
  if (type === Icmpv6Type.NeighbourAdvertisement) return 'target-link-address';
  const asks = type === Icmpv6Type.NeighbourSolicitation || type === Icmpv6Type.RouterSolicitation;
  return asks ? 'source-link-address' : undefined;
}

/** The word in front of the data. */
export function icmpv6Rest(spec: IcmpSpec): number {
  if (spec.rest !== undefined) return spec.rest;
  if (spec.flags !== undefined) {
    const { flags } = spec;
    return (FLAGS.reduce((sum, [letter, bit]) => sum | (flags.includes(letter) ? bit : 0), 0) << 24) >>> 0;
  }
  if (spec.mtu !== undefined) return spec.mtu;
  if (spec.pointer !== undefined) return spec.pointer;
  return (((spec.id ?? 0) << 16) | (spec.seq ?? 0)) >>> 0;
}

/** The data of a message that quotes nothing. @throws UsageError `ERR_INVALID_OPTION` where a neighbour message names no target */
export function icmpv6Payload(spec: IcmpSpec): PayloadSpec {
  const given = spec.payload ?? { length: 0, bytes: undefined };
  const kind = linkOption(spec.type);
  if (kind === undefined) return given;
  const length = given.length ?? 0;
  const data = given.bytes instanceof Uint8Array ? given.bytes : new Uint8Array(length);
  const options: NdpOption[] = spec.linkAddress === undefined ? [] : [{ kind, mac: spec.linkAddress }];
  const bytes = joined(hasTarget(spec.type) ? targetBytes(spec) : NOTHING, ndpOptionBytes(options), data);
  return { length: bytes.length, bytes };
}

const NOTHING = new Uint8Array(0);

function joined(...parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

function targetBytes({ target }: IcmpSpec): Uint8Array {
  const address = target === undefined ? undefined : parseIp(target);
  if (address?.version !== 6) throw new UsageError('ERR_INVALID_OPTION', 'a neighbour message has an IPv6 target');
  const bytes = new Uint8Array(TARGET_LENGTH);
  address.write(new DataView(bytes.buffer), 0);
  return bytes;
}

/** What a message that quotes nothing says; `frame` is its data. */
export function readIcmpv6(icmp: Icmpv6Message, frame: Frame): IcmpSpec {
  const { type, code, rest } = icmp;
  const spec: Mutable<IcmpSpec> = { kind: 'icmpv6', type, code };
  if (type === Icmpv6Type.EchoRequest || type === Icmpv6Type.EchoReply) {
    return { ...spec, id: icmp.identifier, seq: icmp.sequence, payload: dataOf(frame, frame.start) };
  }
  if (isIcmpv6Error(type)) return { ...spec, ...errorWord(icmp), payload: dataOf(frame, frame.start) };
  let at = frame.start;
  if (hasTarget(type) && frame.length >= TARGET_LENGTH) {
    const target: Ipv6Address = readIpv6(frame.slab.view, at);
    spec.target = target.toString();
    at += TARGET_LENGTH;
  } else if (hasTarget(type)) return { ...spec, rest, payload: dataOf(frame, at) };
  if (type === Icmpv6Type.NeighbourAdvertisement) {
    spec.flags = FLAGS.map(([letter, bit]) => ((rest >>> 24) & bit ? letter : '')).join('');
    if ((rest & 0x1fff_ffff) !== 0) spec.rest = rest;
  } else if (rest !== 0 || linkOption(type) === undefined) spec.rest = rest;
  const mac = linkAddressAt(type, frame, at);
  if (mac >= 0) {
    spec.linkAddress = mac;
    at += LINK_ADDRESS_LENGTH;
  }
  if (at < frame.end || linkOption(type) === undefined) spec.payload = dataOf(frame, at);
  return spec;
}

/** What errors say besides the packet that they quote. */
export function errorWord(icmp: Icmpv6Message): Pick<IcmpSpec, 'mtu' | 'pointer'> {
  if (icmp.type === Icmpv6Type.PacketTooBig) return { mtu: icmp.mtu };
  return icmp.type === Icmpv6Type.ParameterProblem ? { pointer: icmp.pointer } : {};
}

/** The link address option, if it is the first. */
function linkAddressAt(type: number, { slab, end }: Frame, at: number): number {
  const kind = linkOption(type);
  if (kind === undefined || end - at < LINK_ADDRESS_LENGTH) return -1;
  const number = kind === 'source-link-address' ? NdpOptionType.SourceLinkAddress : NdpOptionType.TargetLinkAddress;
  return slab.view.getUint8(at) === number ? linkAddressIn(slab.view, at, at + LINK_ADDRESS_LENGTH, number) : -1;
}

function dataOf(frame: Frame, from: number): PayloadSpec {
  return payloadData(frame.slab.bytes.slice(from, frame.end));
}
