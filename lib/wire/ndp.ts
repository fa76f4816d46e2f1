/**
 * Neighbour discovery (RFC 4861 4): the five messages, read in place, and every validation of theirs that needs only the packet. The flag
 * bits of RFC 4191, 4389 and 6275 in router advertisements are read, too.
 */

import type { Ipv6Address } from '../core/address.js';
import { DropReason } from '../core/drops.js';
import { UsageError } from '../core/errors.js';
import type { Frame } from '../core/frame.js';
import { Icmpv6Type } from './icmpv6.js';
import { type Ipv6Packet, isLinkLocalAt, isMappedAt, isMulticastAt, isUnspecifiedAt, readIpv6 } from './ipv6.js';
import {
  checkNdpOptions,
  findNdpOption,
  linkAddressIn,
  type NdpOption,
  ndpOptionBytes,
  NdpOptionType,
  preferenceBits,
  preferenceOf,
  readNdpOptions,
  type RouterPreference,
} from './ndp-options.js';

const FLAGS = 4;
const HOP_LIMIT = 4;
const ROUTER_FLAGS = 5;
const LIFETIME = 6;
const TARGET = 8;
const REACHABLE = 8;
const RETRANSMIT = 12;
const DESTINATION = 24;
/** Bytes of a router advertisement in front of its options. */
export const ROUTER_ADVERTISEMENT_HEADER = 16;
/** Hop limit of every message: no router passes it on (RFC 4861 3.1). */
export const NDP_HOP_LIMIT = 255;

const ROUTER = 0x80;
const SOLICITED = 0x40;
const OVERRIDE = 0x20;
const MANAGED = 0x80;
const OTHER = 0x40;
const HOME_AGENT = 0x20;
const PROXY = 0x04;

/** A neighbour discovery message, read in place. Sound once {@link NdpMessage.check} has found nothing wrong. */
export class NdpMessage {
  readonly frame: Frame;
  readonly offset: number;

  constructor(frame: Frame, offset: number) {
    this.frame = frame;
    this.offset = offset;
  }

  /**
   * What is wrong with the message that `packet` carries, or `undefined` (RFC 4861 6.1, 7.1, 8.1; RFC 6980). It is one of the five types
   * and `Icmpv6Message.check` has found nothing wrong.
   */
  static check(packet: Ipv6Packet): DropReason | undefined {
    const { frame } = packet;
    const { view } = frame.slab;
    const offset = frame.start;
    const type = view.getUint8(offset);
    const size = fixedLength(type);
    if (packet.hopLimit !== NDP_HOP_LIMIT) return DropReason.NdpBadHopLimit;
    // Of what was put together on its way only the frame knows: the fragment header is gone.
    if (packet.fragmented || frame.fragmentSize > 0) return DropReason.NdpFragmented;
    if (view.getUint8(offset + 1) !== 0) return DropReason.NdpBadCode;
    if (frame.end - offset < size) return DropReason.NdpTruncated;
    if (!checkNdpOptions(view, offset + size, frame.end)) return DropReason.NdpBadOption;
    switch (type) {
      case Icmpv6Type.RouterSolicitation:
        return hasLinkAddressWithoutSource(packet, size) ? DropReason.NdpBadOption : undefined;
      case Icmpv6Type.RouterAdvertisement:
        return isLinkLocalAt(view, packet.sourceOffset) ? undefined : DropReason.NdpBadSource;
      case Icmpv6Type.NeighbourSolicitation:
        return checkSolicitation(packet, size);
      case Icmpv6Type.NeighbourAdvertisement:
        return checkAdvertisement(packet);
      default:
        return checkRedirect(packet);
    }
  }

  get type(): number {
    return this.frame.slab.view.getUint8(this.offset);
  }
  /** Offset of the options, which end with the frame. */
  get optionsOffset(): number {
    return this.offset + fixedLength(this.type);
  }
  /** MAC address of the sender, as a 48-bit number, or -1. */
  get sourceLinkAddress(): number {
    return this.linkAddress(NdpOptionType.SourceLinkAddress);
  }
  /** MAC address of the target, as a 48-bit number, or -1. */
  get targetLinkAddress(): number {
    return this.linkAddress(NdpOptionType.TargetLinkAddress);
  }

  private linkAddress(type: number): number {
    return linkAddressIn(this.frame.slab.view, this.optionsOffset, this.frame.end, type);
  }

  /** All options, in order. */
  options(): NdpOption[] {
    return readNdpOptions(this.frame.slab.view, this.optionsOffset, this.frame.end);
  }
}

/** A neighbour solicitation (RFC 4861 4.3). */
export class NeighbourSolicitation extends NdpMessage {
  /** Fills the empty frame with a solicitation. */
  static emit(frame: Frame, target: Ipv6Address, options: readonly NdpOption[] = []): void {
    const at = begin(frame, Icmpv6Type.NeighbourSolicitation, options);
    target.write(frame.slab.view, at + TARGET);
  }

  get targetOffset(): number {
    return this.offset + TARGET;
  }
  /** The address that is asked for. */
  get target(): Ipv6Address {
    return readIpv6(this.frame.slab.view, this.offset + TARGET);
  }
  /** Offset of the nonce option (RFC 7527), or -1; its data fill the option's 8 * n bytes behind the first two. */
  get nonceOffset(): number {
    return findNdpOption(this.frame.slab.view, this.optionsOffset, this.frame.end, NdpOptionType.Nonce);
  }
}

/** Flags of neighbour advertisements. */
export interface AdvertisementFlags {
  readonly router: boolean;
  readonly solicited: boolean;
  readonly override: boolean;
}

/** A neighbour advertisement (RFC 4861 4.4). */
export class NeighbourAdvertisement extends NdpMessage implements AdvertisementFlags {
  /** Fills the empty frame with an advertisement. */
  static emit(frame: Frame, target: Ipv6Address, flags: AdvertisementFlags, options: readonly NdpOption[] = []): void {
    const at = begin(frame, Icmpv6Type.NeighbourAdvertisement, options);
    const bits = (flags.router ? ROUTER : 0) | (flags.solicited ? SOLICITED : 0) | (flags.override ? OVERRIDE : 0);
    frame.slab.view.setUint8(at + FLAGS, bits);
    target.write(frame.slab.view, at + TARGET);
  }

  get router(): boolean {
    return (this.frame.slab.view.getUint8(this.offset + FLAGS) & ROUTER) !== 0;
  }
  get solicited(): boolean {
    return (this.frame.slab.view.getUint8(this.offset + FLAGS) & SOLICITED) !== 0;
  }
  get override(): boolean {
    return (this.frame.slab.view.getUint8(this.offset + FLAGS) & OVERRIDE) !== 0;
  }
  get targetOffset(): number {
    return this.offset + TARGET;
  }
  /** The address that is spoken of. */
  get target(): Ipv6Address {
    return readIpv6(this.frame.slab.view, this.offset + TARGET);
  }
}

/** A router solicitation (RFC 4861 4.1): nothing but options. */
export class RouterSolicitation extends NdpMessage {
  /** Fills the empty frame with a solicitation. */
  static emit(frame: Frame, options: readonly NdpOption[] = []): void {
    begin(frame, Icmpv6Type.RouterSolicitation, options);
  }
}

/** The values of a router advertisement; 0 means "unspecified by this router". */
export interface RouterAdvertisementFields {
  readonly hopLimit: number;
  /** Addresses are to be had by DHCPv6. */
  readonly managed: boolean;
  /** Other configuration is to be had by DHCPv6. */
  readonly other: boolean;
  readonly homeAgent: boolean;
  readonly preference: RouterPreference;
  readonly proxy: boolean;
  /** In seconds; 0: not a default router. */
  readonly lifetime: number;
  /** In milliseconds. */
  readonly reachableTime: number;
  /** In milliseconds. */
  readonly retransmitTimer: number;
}

/** A router advertisement (RFC 4861 4.2). */
export class RouterAdvertisement extends NdpMessage implements RouterAdvertisementFields {
  /** Fills the empty frame with an advertisement; values left out are 0 or false. */
  static emit(frame: Frame, fields: Partial<RouterAdvertisementFields>, options: readonly NdpOption[] = []): void {
    const at = begin(frame, Icmpv6Type.RouterAdvertisement, options);
    const { view } = frame.slab;
    const flags =
      (fields.managed === true ? MANAGED : 0) |
      (fields.other === true ? OTHER : 0) |
      (fields.homeAgent === true ? HOME_AGENT : 0) |
      preferenceBits(fields.preference ?? 0) |
      (fields.proxy === true ? PROXY : 0);
    view.setUint8(at + HOP_LIMIT, fields.hopLimit ?? 0);
    view.setUint8(at + ROUTER_FLAGS, flags);
    view.setUint16(at + LIFETIME, fields.lifetime ?? 0);
    view.setUint32(at + REACHABLE, fields.reachableTime ?? 0);
    view.setUint32(at + RETRANSMIT, fields.retransmitTimer ?? 0);
  }

  get hopLimit(): number {
    return this.frame.slab.view.getUint8(this.offset + HOP_LIMIT);
  }
  get managed(): boolean {
    return (this.frame.slab.view.getUint8(this.offset + ROUTER_FLAGS) & MANAGED) !== 0;
  }
  get other(): boolean {
    return (this.frame.slab.view.getUint8(this.offset + ROUTER_FLAGS) & OTHER) !== 0;
  }
  get homeAgent(): boolean {
    return (this.frame.slab.view.getUint8(this.offset + ROUTER_FLAGS) & HOME_AGENT) !== 0;
  }
  get preference(): RouterPreference {
    return preferenceOf(this.frame.slab.view.getUint8(this.offset + ROUTER_FLAGS));
  }
  get proxy(): boolean {
    return (this.frame.slab.view.getUint8(this.offset + ROUTER_FLAGS) & PROXY) !== 0;
  }
  get lifetime(): number {
    return this.frame.slab.view.getUint16(this.offset + LIFETIME);
  }
  get reachableTime(): number {
    return this.frame.slab.view.getUint32(this.offset + REACHABLE);
  }
  get retransmitTimer(): number {
    return this.frame.slab.view.getUint32(this.offset + RETRANSMIT);
  }
}

/** A redirect (RFC 4861 4.5). */
export class NdpRedirect extends NdpMessage {
  /** Fills the empty frame with a redirect. */
  static emit(frame: Frame, target: Ipv6Address, destination: Ipv6Address, options: readonly NdpOption[] = []): void {
    const at = begin(frame, Icmpv6Type.Redirect, options);
    target.write(frame.slab.view, at + TARGET);
    destination.write(frame.slab.view, at + DESTINATION);
  }

  /** The better next hop: a router, or the destination itself. */
  get target(): Ipv6Address {
    return readIpv6(this.frame.slab.view, this.offset + TARGET);
  }
  get destination(): Ipv6Address {
    return readIpv6(this.frame.slab.view, this.offset + DESTINATION);
  }
}

/** Bytes in front of the options. */
function fixedLength(type: number): number {
  switch (type) {
    case Icmpv6Type.RouterSolicitation:
      return 8;
    case Icmpv6Type.RouterAdvertisement:
      return ROUTER_ADVERTISEMENT_HEADER;
    case Icmpv6Type.Redirect:
      return 40;
    default:
      return 24;
  }
}

/** Fills the empty frame with a message's fixed part, zeroed, and its options. `Icmpv6Message.seal` completes it. */
function begin(frame: Frame, type: number, options: readonly NdpOption[]): number {
  if (frame.length !== 0) throw new UsageError('ERR_INVALID_STATE', 'a neighbour discovery message fills its frame');
  const size = fixedLength(type);
  const at = frame.put(size);
  frame.slab.bytes.fill(0, at, at + size);
  frame.slab.view.setUint8(at, type);
  const bytes = ndpOptionBytes(options);
  frame.slab.bytes.set(bytes, frame.put(bytes.length));
  return at;
}

/** RFC 4861 6.1.1, 7.1.1: who has no address yet must not say where it lives. */
function hasLinkAddressWithoutSource(packet: Ipv6Packet, size: number): boolean {
  const { frame, sourceOffset } = packet;
  const { view } = frame.slab;
  return (
    isUnspecifiedAt(view, sourceOffset) &&
    findNdpOption(view, frame.start + size, frame.end, NdpOptionType.SourceLinkAddress) >= 0
  );
}

function checkSolicitation(packet: Ipv6Packet, size: number): DropReason | undefined {
  const { frame, destinationOffset } = packet;
  const { view } = frame.slab;
  if (isMulticastAt(view, frame.start + TARGET)) return DropReason.NdpBadTarget;
  if (!isUnspecifiedAt(view, packet.sourceOffset)) return undefined;
  if (!isSolicitedNodeAt(view, destinationOffset)) return DropReason.NdpBadDestination;
  return hasLinkAddressWithoutSource(packet, size) ? DropReason.NdpBadOption : undefined;
}

function checkAdvertisement(packet: Ipv6Packet): DropReason | undefined {
  const { frame } = packet;
  const { view } = frame.slab;
  if (isNobodys(view, frame.start + TARGET)) return DropReason.NdpBadTarget;
  const solicited = (view.getUint8(frame.start + FLAGS) & SOLICITED) !== 0;
  return solicited && packet.isToGroup ? DropReason.NdpBadDestination : undefined;
}

function checkRedirect(packet: Ipv6Packet): DropReason | undefined {
  const { frame } = packet;
  const { view } = frame.slab;
  const target = frame.start + TARGET;
  const destination = frame.start + DESTINATION;
  if (!isLinkLocalAt(view, packet.sourceOffset)) return DropReason.NdpBadSource;
  if (isNobodys(view, destination)) return DropReason.NdpBadDestination;
  return isLinkLocalAt(view, target) || areEqual(view, target, destination) ? undefined : DropReason.NdpBadTarget;
}

/** Whether no neighbour has the address at `at`: that of a group, or one that would be taken for an IPv4 neighbour's. */
function isNobodys(view: DataView, at: number): boolean {
  return isMulticastAt(view, at) || isMappedAt(view, at);
}

function areEqual(view: DataView, one: number, other: number): boolean {
  for (let i = 0; i < 16; i += 4) if (view.getUint32(one + i) !== view.getUint32(other + i)) return false;
  return true;
}

/** Whether the address at `at` is in ff02::1:ff00:0/104. */
function isSolicitedNodeAt(view: DataView, at: number): boolean {
  return (
    view.getUint32(at) === 0xff02_0000 &&
    view.getUint32(at + 4) === 0 &&
    view.getUint32(at + 8) === 1 &&
    view.getUint8(at + 12) === 0xff
  );
}
