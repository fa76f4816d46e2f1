/** ICMP errors about segments of ours (RFC 1122 4.2.3.9, RFC 5461, RFC 5927): what they do to a connection. */

import type { IcmpReport } from '../../l3/icmp-report.js';
import type { Connection } from './connection.js';
import { mssOf, updateMss } from './handshake.js';
import { transmit } from './send.js';
import { after, before } from './seq.js';

// RFC 1191 7.1: MTUs of common media, for routers that do not tell.
const PLATEAUS = [32000, 17914, 8166, 4352, 2002, 1492, 1006, 552];
// Below this we would rather be fragmented (IPv4), or the report is a lie (IPv6, RFC 8200 5).
const MIN_MTU = { 4: 552, 6: 1280 } as const;

/** Takes in a report about the segment of the connection that started at `seq`; returns whether it was believable. */
export function receiveIcmp(c: Connection, report: IcmpReport, seq: number): boolean {
  const { snd } = c;
  // RFC 5927 4.1: an attacker off the path does not know what is in flight.
  if (before(seq, snd.una) || !before(seq, snd.nxt)) return false;
  if (report.kind === 'packet-too-big') {
    if (c.state !== 'SYN-SENT' && c.state !== 'SYN-RECEIVED') narrow(c, report.mtu);
  } else if (c.state === 'SYN-SENT') c.terminate(report.code);
  // RFC 5461: what was reachable a moment ago may be so again; it is the reason to tell if it is not.
  else c.softError = report.code;
  return true;
}

/** The path takes packets of at most `reported` bytes: what is too large is cut and sent again at once, without blame. */
function narrow(c: Connection, reported: number): void {
  const { version } = c.flow;
  const size = c.snd.mss + (c.ts.on ? 12 : 0) + (version === 4 ? 40 : 60);
  const mtu = reported > 0 ? reported : (PLATEAUS.find((plateau) => plateau < size) ?? MIN_MTU[version]);
  if (mtu >= size) return;
  if (mtu < MIN_MTU[version]) c.flow = { ...c.flow, dontFragment: false };
  updateMss(c, mssOf(c, Math.max(mtu, MIN_MTU[version])));
  c.congestion.resize(c.snd.mss);
  for (let segment = c.sent.head; segment !== undefined; segment = segment.next) {
    if (segment.span > c.snd.mss && after(segment.end, c.snd.una)) c.sent.markLost(segment);
  }
  transmit(c);
}
