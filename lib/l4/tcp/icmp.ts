/** ICMP errors about segments of ours (RFC 1122 4.2.3.9, RFC 5461, RFC 5927): what they do to a connection. */

import type { IcmpErrorKind, IcmpReport } from '../../l3/icmp-report.js';
import type { Connection } from './connection.js';
import { packetSize } from './mss.js';
import { MIN_MTU, tooBig } from './plpmtud.js';
import { transmit } from './send.js';
import { before } from './seq.js';
import { Tell } from './tell.js';

// RFC 1191 7.1: MTUs of common media, for routers that do not tell.
const PLATEAUS = [32000, 17914, 8166, 4352, 2002, 1492, 1006, 552];

/** What will not be otherwise in a moment (RFC 1122 4.2.3.9). */
const HARD: ReadonlySet<IcmpErrorKind> = new Set(['port-unreachable', 'protocol-unreachable', 'prohibited']);

/** Takes in a report about the segment of the connection that started at `seq`; returns whether it was believable. */
export function receiveIcmp(c: Connection, report: IcmpReport, seq: number): boolean {
  const { snd } = c;
  // RFC 5927 4.1: an attacker off the path does not know what is in flight.
  if (before(seq, snd.una) || !before(seq, snd.nxt)) return false;
  if (report.kind === 'packet-too-big') {
    // A SYN is too big for nothing.
    if (c.state === 'SYN-SENT' || c.state === 'SYN-RECEIVED') return false;
    const size = packetSize(c, snd.mss);
    const mtu = report.mtu > 0 ? report.mtu : (PLATEAUS.find((plateau) => plateau < size) ?? MIN_MTU[c.version]);
    // What is too large is cut and sent again at once, without blame.
    if (!tooBig(c, seq, mtu)) return false;
    transmit(c);
  } else if (c.state === 'SYN-SENT' && endsOpen(c, report)) c.terminate(report.code);
  // RFC 5461: what was reachable a moment ago may be so again; it is the reason to tell if it is not.
  else {
    c.softError = report.code;
    c.tell(Tell.TROUBLE);
  }
  return true;
}

/** Whether an error ends an active open. */
function endsOpen({ config }: Connection, { kind }: IcmpReport): boolean {
  return config.connectErrors === 'any' || HARD.has(kind);
}
