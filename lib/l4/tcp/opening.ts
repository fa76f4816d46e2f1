/** What may be asked for when a connection or listener is opened. */

import type { Connection } from './connection.js';

/** Whether a connection in TIME-WAIT may give way to one of ours to the same place: timestamps tell their segments apart (RFC 6191, RFC 7323 B.2). */
export function mayReuse(old: Connection): boolean {
  return old.state === 'TIME-WAIT' && old.ts.on;
}

/** Whether a port can be somebody's. */
export function isPort(port: number): boolean {
  return Number.isInteger(port) && port > 0 && port <= 0xffff;
}

/** No packet is sent with a hop limit of 0 (RFC 1122 3.2.1.7). */
export function isHopLimit(hops: number | undefined): boolean {
  return hops === undefined || (Number.isInteger(hops) && hops > 0 && hops <= 0xff);
}
