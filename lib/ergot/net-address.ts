/**
 * Addresses of ergot's wire, of 32 bits: a network of 16, a node of 8 and a port of 8, written `network.node:port`. They are signed integers
 * here, so that fields of records stay small; on the wire each is the varint of the same 32 bits, unsigned.
 */

import { UsageError } from '../core/errors.js';

/** This link: the router that hears it fills in the network. */
export const NET_LOCAL = 0;
/** The largest network that may be given out; 65535 is reserved. */
export const NET_LAST = 65_534;
/** The nodes at the two ends of a link of two. */
export const NODE_CENTRAL = 1;
export const NODE_EDGE = 2;
/** The largest node; 0 and 255 are reserved. */
export const NODE_LAST = 254;
/** Whichever socket has the key. */
export const PORT_ANY = 0;
/** All sockets that have the key. */
export const PORT_ALL = 255;

/** Reads as well what has leading zeros, up to five, three and three digits. */
const TEXT = /^(\d{1,5})\.(\d{1,3}):(\d{1,3})$/;

/** The address of a network (0 to 65535), a node and a port (0 to 255). */
export function netAddress(network: number, node: number, port: number): number {
  if ((network & 0xffff) !== network || (node & 0xff) !== node || (port & 0xff) !== port) {
    throw new UsageError('ERR_INVALID_ADDRESS', `no address: ${network}.${node}:${port}`);
  }
  return (network << 16) | (node << 8) | port;
}

export function networkOf(address: number): number {
  return address >>> 16;
}

export function nodeOf(address: number): number {
  return (address >>> 8) & 0xff;
}

export function portOf(address: number): number {
  return address & 0xff;
}

/** The same node and port in another network. */
export function withNetwork(address: number, network: number): number {
  return (address & 0xffff) | (network << 16);
}

/** Another port of the same node. */
export function withPort(address: number, port: number): number {
  return (address & ~0xff) | port;
}

/** Whether frames to it say by a key which sockets they are for. */
export function isAnyOrAll(address: number): boolean {
  const port = address & 0xff;
  return port === PORT_ANY || port === PORT_ALL;
}

/** Whether its network and its node may be those of one machine: neither 0 nor the last of their kind. */
export function isAssignable(address: number): boolean {
  const network = networkOf(address);
  const node = nodeOf(address);
  return network > NET_LOCAL && network <= NET_LAST && node > 0 && node <= NODE_LAST;
}

/** The address in text: `4095.1:1`. */
export function netAddressText(address: number): string {
  return `${networkOf(address)}.${nodeOf(address)}:${portOf(address)}`;
}

/**
 * Reads `network.node:port`.
 *
 * @throws UsageError `ERR_INVALID_ADDRESS`
 */
export function parseNetAddress(text: string): number {
  const parts = TEXT.exec(text);
  if (parts === null) throw new UsageError('ERR_INVALID_ADDRESS', `no address: ${text}`);
  return netAddress(Number(parts[1]), Number(parts[2]), Number(parts[3]));
}
