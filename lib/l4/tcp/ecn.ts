/**
 * Explicit congestion notification (RFC 3168): routers mark packets instead of dropping them, the receiver echoes the marks, and the sender
 * answers as it would to a loss, but has nothing to send again.
 *
 * Both ends must want it, which their SYNs tell. A connection without it has no {@link Ecn}.
 */

import { Ecn as Codepoint } from '../../wire/ip.js';
import { TcpFlag } from '../../wire/tcp.js';
import type { TcpOptions } from '../../wire/tcp-options.js';
import {
  ACE_CLASSIC,
  ACE_CLASSIC_ANSWER,
  ACE_ASK,
  AccurateEcn,
  aceFlags,
  aceOf,
  asksAccurately,
  seenFlags,
} from './accecn.js';
import { hurryAcks } from './acks.js';
import type { Connection } from './connection.js';
import type { Segment } from './segment.js';

const { Ack, Ae, Cwr, Ece, Syn } = TcpFlag;
const ECN_SETUP = Ece | Cwr;
// The sender's window may be small after a mark: it must not wait for delayed ACKs (as with Linux).
const QUICK_ACKS = 2;
// A SYN that asks for accurate ECN is sent again once (RFC 9768 3.1.4.1).
const ACCURATE_SYN_RETRIES = 1;
// Bytes of options in a header.
const MAX_OPTIONS = 40;

/**
 * What of ECN a connection wants: nothing; to agree when the peer asks; to ask, too. The others agree to accurate ECN as well, and ask for
 * it, for nothing, or for that of RFC 3168.
 */
export type EcnMode = (typeof ECN_MODES)[number];
export const ECN_MODES = ['off', 'passive', 'on', 'accurate', 'accurate-passive', 'accurate-classic'] as const;

/** ECN of one connection that asked for it, or was asked. */
export class Ecn {
  /** The peer agreed. */
  agreed = false;
  /** There if it is the accurate kind. */
  accurate: AccurateEcn | undefined = undefined;
  /** Our data may be marked: not after a SYN without ECN, either way (RFC 3168 6.1.1). */
  marks = true;
  /** A mark has come: every segment says ECE until the peer says CWR. */
  echoes = false;
  /** The window was reduced: the next new data say CWR. */
  owesCwr = false;
  /** A packet with ECT or CE has come. */
  seen = false;
  /** Our SYN or SYN-ACK was marked. */
  handshakeMarked = false;
  /** Packets of ours that were delivered with a mark, as far as that is told. */
  delivered = 0;

  /** The bits of ECN in the next segment. @param fresh whether it has data that were never sent @param bare whether it is a mere ACK */
  flags(fresh: boolean, bare: boolean): number {
    if (this.accurate !== undefined) return this.accurate.flags(bare);
    let flags = this.echoes ? Ece : 0;
    if (fresh && this.owesCwr) {
      this.owesCwr = false;
      flags |= Cwr;
    }
    return flags;
  }
}

/** Whether a connection asks for ECN itself. */
export function asksForEcn(mode: EcnMode): boolean {
  return mode === 'on' || mode === 'accurate' || mode === 'accurate-classic';
}

function acceptsAccurate(mode: EcnMode): boolean {
  return mode === 'accurate' || mode === 'accurate-passive' || mode === 'accurate-classic';
}

/** The bits of ECN in a SYN or SYN-ACK that is about to be sent. */
export function synFlags(c: Connection): number {
  const { ecn, retries } = c;
  if (ecn === undefined) return 0;
  const { accurate } = ecn;
  if (c.state === 'SYN-RECEIVED') {
    if (accurate === undefined) return Ece;
    // RFC 9768 3.2.3.2.2: first without the option, then without a word of it.
    if (retries > 0) accurate.sendsOptions = false;
    if (retries < 2 || !c.config.ecnFallback) return seenFlags(accurate.handshakeMark);
  } else {
    // RFC 3168 6.1.1.1, RFC 9768 3.1.4.1: whoever dropped the SYN may have done so for its bits.
    const accurately = c.config.ecn === 'accurate';
    const most = accurately ? Math.max(ACCURATE_SYN_RETRIES, c.config.ecnSynRetries) : c.config.ecnSynRetries;
    if (retries <= most || !c.config.ecnFallback) return aceFlags(accurately ? ACE_ASK : ACE_CLASSIC);
  }
  ecn.marks = false;
  return 0;
}

/** The first SYN-ACK of accurate ECN tries whether its option gets through (RFC 9768 3.2.3.2.1). */
export function synAckOption(c: Connection, options: TcpOptions): void {
  const accurate = c.ecn?.accurate;
  if (accurate?.sendsOptions !== true || c.retries > 0) return;
  accurate.addOption(options, MAX_OPTIONS - options.length, c.host.now);
}

/** Takes in the bits of ECN of the peer's SYN or SYN-ACK. */
export function readSynEcn(c: Connection, segment: Segment): void {
  if (segment.has(Ack)) {
    if (c.ecn !== undefined) readAnswer(c, c.ecn, segment);
    return;
  }
  const asked = c.ecn !== undefined;
  const marks = c.ecn?.marks ?? true;
  c.ecn = undefined;
  // In a simultaneous open it is agreed to as by a listener (RFC 9768 3.1.2), if we had asked as well.
  if (c.config.ecn === 'off' || (c.state !== 'LISTEN' && !asked)) return;
  if (acceptsAccurate(c.config.ecn) && asksAccurately(aceOf(segment.flags))) {
    c.ecn = new Ecn();
    c.ecn.accurate = new AccurateEcn(segment.codepoint, c.config.ecnOption);
  } else if (asks(segment)) {
    c.ecn = new Ecn();
    c.ecn.marks = marks;
  } else return;
  c.ecn.agreed = true;
}

/** The answer to our SYN. */
function readAnswer(c: Connection, ecn: Ecn, segment: Segment): void {
  const ace = aceOf(segment.flags);
  // RFC 3168 6.1.1: both bits in a SYN-ACK are a reflection of ours by somebody who knows nothing of them.
  const classic = c.config.ecn === 'accurate' ? ace === ACE_CLASSIC_ANSWER : (segment.flags & ECN_SETUP) === Ece;
  if (!classic && (c.config.ecn !== 'accurate' || ace === 0 || ace === ACE_ASK)) {
    c.ecn = undefined;
    return;
  }
  ecn.agreed = true;
  if (classic) return;
  const accurate = new AccurateEcn(segment.codepoint, c.config.ecnOption);
  ecn.accurate = accurate;
  // A SYN without ECN, which was sent later, does not matter: the peer has agreed (RFC 9768 3.1.5).
  ecn.marks = true;
  ecn.handshakeMarked = accurate.confirmed(ace, segment);
  if (accurate.mangled) ecn.marks = false;
}

/**
 * The peer's SYN came again: if it has given up ECN by now, our data go without it. Returns whether it asks for another kind of ECN than
 * before, of which nobody knows which one it will use (RFC 9768 3.1.5).
 */
export function contradicts(c: Connection, segment: Segment): boolean {
  const { ecn } = c;
  if (ecn === undefined) return false;
  const ace = aceOf(segment.flags);
  if (ecn.accurate !== undefined) {
    if (ace === 0) ecn.marks = false;
    ecn.accurate.handshakeMark = segment.codepoint;
    ecn.accurate.sendsOptions = false;
    return ace === ACE_CLASSIC;
  }
  if (!asks(segment)) ecn.marks = false;
  return acceptsAccurate(c.config.ecn) && asksAccurately(ace);
}

/** The ACK of our SYN-ACK came. With accurate ECN it says which mark that had, if it is a bare one (RFC 9768 3.2.2.1). */
export function synAckAcknowledged(ecn: Ecn, segment: Segment): void {
  const { accurate } = ecn;
  if (accurate === undefined || segment.span > 0 || segment.options.sackCount > 0) return;
  ecn.handshakeMarked = accurate.synAckAcknowledged(aceOf(segment.flags));
  if (accurate.mangled) ecn.marks = false;
}

/** The connection is established: a mark on our SYN or SYN-ACK counts. */
export function startEcn(c: Connection, ecn: Ecn): void {
  if (ecn.handshakeMarked && ecn.accurate?.heeds === true) reduce(c, 0);
}

/** Whether a SYN is an ECN-setup SYN. One that is marked itself is none (RFC 3168 6.1.1), unless accurate ECN asked (RFC 9768). */
export function asks({ flags, codepoint }: Segment): boolean {
  return (flags & (ECN_SETUP | Syn)) === (ECN_SETUP | Syn) && (codepoint === Codepoint.NotEct || (flags & Ae) !== 0);
}

/** An acceptable segment has come, with data or without. */
export function segmentArrived(c: Connection, ecn: Ecn, { codepoint, length, count }: Segment): void {
  const { accurate } = ecn;
  if (accurate === undefined) return;
  if (codepoint === Codepoint.Ce) c.host.counters.ceReceived += count;
  if (accurate.arrived(codepoint, length, c.rcv.nxt !== c.rcv.ackSent, count)) c.oweAck();
}

/** Data have come that are not old: what their marks mean for our acknowledgments (RFC 3168 6.1.3). */
export function dataArrived(c: Connection, ecn: Ecn, segment: Segment): void {
  if (segment.codepoint === Codepoint.NotEct) {
    // Most likely a retransmission: it is waited for.
    if (ecn.seen) hurryAcks(c, QUICK_ACKS);
  } else ecn.seen = true;
  if (ecn.accurate !== undefined) return;
  if (segment.has(Cwr)) {
    ecn.echoes = false;
    // The window may be one segment now.
    c.oweAck();
  }
  if (segment.codepoint !== Codepoint.Ce) return;
  c.host.counters.ceReceived += segment.count;
  if (ecn.echoes) return;
  ecn.echoes = true;
  hurryAcks(c, QUICK_ACKS);
}

/**
 * An acknowledgment came and was processed; it may say that packets of ours were marked.
 *
 * @param advance how far SND.UNA moved, or would have back
 */
export function acknowledgedWithEcn(c: Connection, ecn: Ecn, segment: Segment, advance: number): void {
  // Another one overtook it.
  if (!ecn.agreed || advance < 0) return;
  const { accurate } = ecn;
  if (accurate === undefined) {
    if (!segment.has(Ece)) return;
  } else {
    const { snd } = c;
    const marked = accurate.feedback(segment, snd.una, advance, c.host.delivery.segments, snd.mss);
    if (accurate.mangled) ecn.marks = false;
    ecn.delivered += marked;
    if (marked === 0 || !accurate.heeds) return;
  }
  c.host.counters.eceReceived++;
  reduce(c, c.host.delivery.bytes);
}

/** The window shrinks once a round trip, whether for marks or for losses (RFC 3168 6.1.2). @param delivered what is not in flight any more since now */
function reduce(c: Connection, delivered: number): void {
  const { recovery, congestion, sent } = c;
  // Losses may turn out to be none; marks do not.
  recovery.undo?.forbid();
  if (recovery.isRepairing || recovery.isReducing) return;
  c.host.counters.ecnReductions++;
  recovery.reduceForEcn(c, delivered);
  if (sent.head === undefined && !congestion.ownsRecovery) {
    congestion.cwnd = Math.min(congestion.cwnd, congestion.ssthresh);
  }
}
