/** Scopes of IPv6 addresses (RFC 4007, RFC 4291 2.7), and the groups whose meaning is fixed. */

import { type IpAddress, Ipv6Address } from '../core/address.js';
import type { Device } from '../core/device.js';
import type { IpPacket } from '../wire/ip.js';

/** All nodes of a link: every host is a member (RFC 4291 2.7.1). */
export const ALL_NODES: Ipv6Address = new Ipv6Address(0xff02_0000, 0, 0, 1);
/** All routers of a link. */
export const ALL_ROUTERS: Ipv6Address = new Ipv6Address(0xff02_0000, 0, 0, 2);

/** Scopes, as multicast addresses number them. */
export const Scope = { Interface: 1, Link: 2, Admin: 4, Site: 5, Organisation: 8, Global: 14 } as const;

/** The scope of an address, as a number of {@link Scope}; unique local addresses are of global scope (RFC 4193 3.3). */
export function scopeOf(address: Ipv6Address): number {
  if (address.isMulticast) return (address.a >>> 16) & 0xf;
  if (address.isLinkLocal || address.isLoopback) return Scope.Link;
  return address.a >>> 22 === 0x3fb ? Scope.Site : Scope.Global;
}

/** The same for both versions: of IPv4, loopback and link-local addresses are of link scope (RFC 6724 3.2), others global. */
export function scopeOfIp(address: IpAddress): number {
  if (address.version === 6) return scopeOf(address);
  return address.isLoopback || address.isLinkLocal ? Scope.Link : Scope.Global;
}

/** Who sent a packet, with the zone of the device that it came by: see {@link onLinkOf}. */
export function senderOf({ sourceAddress, frame }: IpPacket): IpAddress {
  return onLinkOf(frame.device, sourceAddress);
}

/** Whom a packet was sent to, likewise. */
export function receiverOf({ destinationAddress, frame }: IpPacket): IpAddress {
  return onLinkOf(frame.device, destinationAddress);
}

/** An address as packets carry it, without a zone: a link-local one gets the device's name for that (RFC 4007 6), if the device is known. */
export function onLinkOf(device: Device | undefined, address: IpAddress): IpAddress {
  if (address.version === 4 || device === undefined || !address.isLinkLocal) return address;
  return withZone(address, device.name);
}

/**
 * The destination that is meant by who sends from `source`: one on a single link that names no zone is on the link of a link-local source that does
 * (RFC 4007 6, 9).
 */
export function inZoneOf(source: IpAddress | undefined, destination: IpAddress): IpAddress {
  if (source?.version !== 6 || source.zone === '' || !source.isLinkLocal) return destination;
  if (destination.version === 4 || destination.zone !== '' || !isOnOneLink(destination.a)) return destination;
  return withZone(destination, source.zone);
}

function withZone({ a, b, c, d }: Ipv6Address, zone: string): Ipv6Address {
  return new Ipv6Address(a, b, c, d, zone);
}

/** Whether packets to this address, given by its first word, stay on one link, so that the routing table has no say. */
export function isOnOneLink(a: number): boolean {
  return a >>> 22 === 0x3fa || a >>> 24 === 0xff;
}

/** The link-local address that a MAC address makes (RFC 4291 2.5.1, appendix A; RFC 2464 5). */
export function eui64LinkLocal(mac: number): Ipv6Address {
  const high = Math.floor(mac / 0x100_0000);
  const low = mac % 0x100_0000;
  return new Ipv6Address(0xfe80_0000, 0, ((high ^ 0x2_0000) << 8) | 0xff, 0xfe00_0000 | low);
}
