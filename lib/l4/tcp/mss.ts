/** From the size of a packet to that of a segment (RFC 9293 3.7.1). */

import type { IpVersion } from '../../core/address.js';
import { ipHeaderLength } from '../../l3/ip-output.js';
import { TCP_HEADER } from '../../wire/tcp.js';
import type { Connection } from './connection.js';
import { firstWindow, type TcpConfig } from './options.js';

const TIMESTAMPS_LENGTH = 12;
// However small the path or the peer's MSS: a segment carries at least this much (GT-52).
const MIN_PAYLOAD = 8;

/** Bytes of the headers without options. */
export function headersOf(c: Connection): number {
  return ipHeaderLength(c.version) + TCP_HEADER;
}

/** What packets of `mtu` bytes leave for a segment without options: the value of the MSS option. */
export function mssOf(c: Connection, mtu: number): number {
  return offeredMss(c.version, c.mssLimit, mtu);
}

/** The same where there is no connection yet. @param limit bytes of payload at most */
export function offeredMss(version: IpVersion, limit: number, mtu: number): number {
  return Math.max(MIN_PAYLOAD, Math.min(limit, mtu - ipHeaderLength(version) - TCP_HEADER, 0xffff));
}

/** Payload of the largest segment in a packet of `mtu` bytes, as the peer and our options allow: Eff.snd.MSS. */
export function payloadOf(c: Connection, mtu: number): number {
  return Math.max(MIN_PAYLOAD, Math.min(c.peerMss, mssOf(c, mtu)) - optionsOf(c));
}

/** The window in our SYN, which does not count on timestamps before the peer has agreed to them (as with Linux). */
export function firstOffer(c: Connection): number {
  return offeredWindow(c.config, c.receiveBuffer, c.mssOffered, c.ts.on && c.state !== 'SYN-SENT');
}

/** The same where there is no connection yet: with Linux a whole number of the segments that we ask for. @param mss the one that we offer */
export function offeredWindow(config: TcpConfig, receiveBuffer: number, mss: number, timestamps: boolean): number {
  const segment = mss - (timestamps ? TIMESTAMPS_LENGTH : 0);
  const gradual = config.receiveWindow === 'gradual' && segment > 0 && receiveBuffer > segment;
  const whole = gradual ? receiveBuffer - (receiveBuffer % segment) : receiveBuffer;
  return firstWindow(whole, config.initialReceiveWindow);
}

/** Size of the packet that carries `payload` bytes. */
export function packetSize(c: Connection, payload: number): number {
  return payload + optionsOf(c) + headersOf(c);
}

/** Bytes of the options that every segment has room for. */
export function optionsOf(c: Connection): number {
  return (c.ts.on ? TIMESTAMPS_LENGTH : 0) + (c.ecn?.accurate?.reserved ?? 0);
}
