/**
 * Explicit congestion notification (RFC 3168): routers mark packets instead of dropping them, the receiver echoes the marks, and the sender
 * answers as it would to a loss, but has nothing to send again.
 *
 * Both ends must want it, which their SYNs tell. A connection without it has no {@link Ecn}.
 */

import { Ecn as Codepoint, type IpFlow } from '../../wire/ip.js';
import { TcpFlag } from '../../wire/tcp.js';
import { hurryAcks } from './acks.js';
import type { Connection } from './connection.js';
import type { Segment } from './segment.js';
import { after } from './seq.js';

const { Ack, Ae, Cwr, Ece, Syn } = TcpFlag;
const ECN_SETUP = Ece | Cwr;
// The sender's window may be small after a mark: it must not wait for delayed ACKs (as with Linux).
const QUICK_ACKS = 2;

/** What of ECN a connection wants: nothing; to agree when the peer asks; to ask, too. */
export type EcnMode = (typeof ECN_MODES)[number];
export const ECN_MODES = ['off', 'passive', 'on'] as const;

/** ECN of one connection that asked for it, or was asked. */
export class Ecn {
  /** The peer agreed. */
  agreed = false;
  /** Our data may be marked: not after a SYN without ECN, either way (RFC 3168 6.1.1). */
  marks = true;
  /** A mark has come: every segment says ECE until the peer says CWR. */
  echoes = false;
  /** The window was reduced: the next new data say CWR. */
  owesCwr = false;
  /** A packet with ECT or CE has come. */
  seen = false;
  /** The window was reduced, and what was sent before that, up to `recover`, is not all acknowledged. */
  reduced = false;
  private recover = 0;
  private plain: IpFlow | undefined = undefined;
  private marked: IpFlow | undefined = undefined;

  /** `flow` with ECT(0); made anew only when the connection's flow was. */
  capable(flow: IpFlow): IpFlow {
    if (this.plain === flow && this.marked !== undefined) return this.marked;
    this.plain = flow;
    this.marked = { ...flow, trafficClass: flow.trafficClass | Codepoint.Ect0 };
    return this.marked;
  }

  /** The bits of ECN in the next segment. @param fresh whether it has data that were never sent */
  flags(fresh: boolean): number {
    let flags = this.echoes ? Ece : 0;
    if (fresh && this.owesCwr) {
      this.owesCwr = false;
      flags |= Cwr;
    }
    return flags;
  }

  /** `una` is acknowledged. Like Linux, one more byte than was in flight must be: CWR has reached the peer then. */
  advance(una: number): void {
    if (this.reduced && after(una, this.recover)) this.reduced = false;
  }

  /** The window was reduced while everything up to `nxt` had been sent. */
  reduce(nxt: number): void {
    this.reduced = true;
    this.recover = nxt;
    this.owesCwr = true;
  }
}

/** The bits of ECN in a SYN or SYN-ACK that is about to be sent. */
export function synFlags(c: Connection): number {
  const { ecn } = c;
  if (ecn === undefined) return 0;
  if (c.state === 'SYN-RECEIVED') return Ece;
  // RFC 3168 6.1.1.1: whoever dropped the SYN may have done so for its bits.
  if (c.retries === 0 || !c.host.config.ecnFallback) return ECN_SETUP;
  ecn.marks = false;
  return 0;
}

/** Takes in the bits of ECN of the peer's SYN or SYN-ACK. */
export function readSynEcn(c: Connection, segment: Segment): void {
  if (c.state === 'LISTEN') {
    if (c.ecnMode === 'off' || !asks(segment)) return;
    c.ecn = new Ecn();
    c.ecn.agreed = true;
  } else if (c.ecn !== undefined) {
    // RFC 3168 6.1.1: both bits in a SYN-ACK are a reflection of ours by somebody who knows nothing of them.
    c.ecn.agreed = segment.has(Ack) ? (segment.flags & ECN_SETUP) === Ece : asks(segment);
    if (!c.ecn.agreed) c.ecn = undefined;
  }
}

/** The peer's SYN came again: if it has given up ECN by now, our data go without it. */
export function readRepeatedSyn(c: Connection, segment: Segment): void {
  if (c.ecn !== undefined && !asks(segment)) c.ecn.marks = false;
}

/** Whether a SYN is an ECN-setup SYN. One that is marked itself is none (RFC 3168 6.1.1), unless accurate ECN asked (RFC 9768). */
export function asks({ flags, codepoint }: Segment): boolean {
  return (flags & (ECN_SETUP | Syn)) === (ECN_SETUP | Syn) && (codepoint === Codepoint.NotEct || (flags & Ae) !== 0);
}

/** Data have come that are not old: what their marks mean for our acknowledgments (RFC 3168 6.1.3). */
export function dataArrived(c: Connection, ecn: Ecn, segment: Segment): void {
  if (segment.has(Cwr)) {
    ecn.echoes = false;
    // The window may be one segment now.
    c.oweAck();
  }
  if (segment.codepoint === Codepoint.NotEct) {
    // Most likely a retransmission: it is waited for.
    if (ecn.seen) hurryAcks(c, QUICK_ACKS);
    return;
  }
  ecn.seen = true;
  if (segment.codepoint !== Codepoint.Ce) return;
  c.host.counters.ceReceived++;
  if (ecn.echoes) return;
  ecn.echoes = true;
  hurryAcks(c, QUICK_ACKS);
}

/** An acknowledgment came and was processed; it may say ECE (RFC 3168 6.1.2). */
export function acknowledgedWithEcn(c: Connection, ecn: Ecn, segment: Segment): void {
  ecn.advance(c.snd.una);
  if (!segment.has(Ece) || !ecn.agreed) return;
  c.host.counters.eceReceived++;
  // Once a round trip, whether for marks or for losses.
  if (ecn.reduced || c.recovery.active) return;
  ecn.reduce(c.snd.nxt);
  c.host.counters.ecnReductions++;
  const { congestion } = c;
  congestion.congested('ecn', c.sent.pipe, c.host.now);
  if (!congestion.ownsRecovery) congestion.cwnd = Math.min(congestion.cwnd, congestion.ssthresh);
}
