/**
 * Whether a segment fits its connection, as far as a bystander can tell, and what follows from it. The windows are those of van Rooij, "Real
 * Stateful TCP Packet Filtering in IP Filter" (2001), rules I to IV; what a reset must be like, of RFC 5961. Where the ends may see things
 * differently, the segment passes and changes nothing: they will sort it out, and show by what they send.
 */

import { after, before, latest } from '../tcp/seq.js';
import type { TcpFacts } from './tcp-facts.js';
import { SideFlag, type TcpFlow, type TcpSide } from './tcp-flow.js';

/** What becomes of a segment. */
export const TcpVerdict = {
  /** It fits: the connection goes on. */
  Accepted: 0,
  /** It passes, but the connection stays what it was, and lives no longer. */
  Passed: 1,
  /** It is nothing that the connection could bring forth. */
  Invalid: 2,
  /** It opens a new connection in the place of this one, which is over. */
  Reopens: 3,
} as const;
export type TcpVerdict = (typeof TcpVerdict)[keyof typeof TcpVerdict];

/** Acknowledgments this far behind what was sent are believed in any case, times the scale of windows (van Rooij, rule IV). */
const MOST_BEHIND = 66_000;
/** No window is wider (RFC 7323 2.3). */
const WIDEST = 1 << 30;
/** Bytes that a sender may go beyond its window: the probe of one that is closed (RFC 9293 3.8.6.1). */
const PROBE = 1;

/** Begins a connection with the SYN that opens it. */
export function openTcp(flow: TcpFlow, segment: TcpFacts): void {
  clear(flow);
  start(flow.opener, flow.other, segment);
}

/** Begins a connection of which a segment in the middle is seen first. */
export function joinTcp(flow: TcpFlow, segment: TcpFacts): void {
  clear(flow);
  flow.midStream = true;
  join(flow.opener, flow.other, segment);
}

/**
 * What becomes of a segment of a connection that is known.
 *
 * @param isReply it comes from the side that did not open the connection
 * @param strict whether windows matter for other segments than resets
 */
export function trackTcp(flow: TcpFlow, segment: TcpFacts, isReply: boolean, strict: boolean): TcpVerdict {
  const sender = isReply ? flow.other : flow.opener;
  const receiver = isReply ? flow.opener : flow.other;
  if (segment.rst) return reset(flow, sender, receiver, segment);
  if (segment.syn) return synchronise(flow, sender, receiver, segment);
  // Somebody is still in this connection.
  sender.flags &= ~SideFlag.Restarts;
  receiver.flags &= ~SideFlag.Restarts;
  if (flow.midStream) {
    // Anybody can have sent that reset: where windows are not known, a guess is easy.
    flow.reset = false;
    return join(sender, receiver, segment);
  }
  if (!sender.is(SideFlag.Seen)) return disagree(sender, receiver, segment);
  if (!receiver.is(SideFlag.Seen)) return TcpVerdict.Invalid;
  // Until its SYN is acknowledged, a side is believed to be there only by who knows its number.
  if (!receiver.is(SideFlag.Acknowledged) && !acknowledgesNew(receiver, segment)) return TcpVerdict.Invalid;
  if (strict && !fits(flow, sender, receiver, segment)) return TcpVerdict.Invalid;
  if (flow.reset) return TcpVerdict.Passed;
  advance(flow, sender, receiver, segment);
  return TcpVerdict.Accepted;
}

/** Whether a segment that a sender of this flow is told to have sent, by an ICMP error, can have been under way (RFC 5927 4.1). */
export function wasSent(flow: TcpFlow, isReply: boolean, sequence: number): boolean {
  if (flow.midStream) return true;
  const sender = isReply ? flow.other : flow.opener;
  const receiver = isReply ? flow.opener : flow.other;
  if (!sender.is(SideFlag.Seen)) return false;
  const behind = Math.max(receiver.maxWindow, MOST_BEHIND);
  return !after(sequence, sender.end) && !before(sequence, (sender.acked - behind) | 0);
}

function clear(flow: TcpFlow): void {
  flow.opener.flags = flow.other.flags = flow.opener.scale = flow.other.scale = 0;
  for (const side of [flow.opener, flow.other]) side.end = side.maxEnd = side.maxWindow = side.acked = 0;
  flow.midStream = flow.reset = false;
  flow.restart = 0;
}

/** A side's SYN. */
function start(sender: TcpSide, receiver: TcpSide, segment: TcpFacts): void {
  sender.flags = SideFlag.Seen | (segment.scale >= 0 ? SideFlag.Scales : 0);
  sender.scale = Math.max(segment.scale, 0);
  sender.end = sender.maxEnd = segment.end;
  sender.acked = segment.sequence;
  sender.maxWindow = Math.max(segment.window, 1);
  if (!receiver.is(SideFlag.Seen)) return;
  // The windows of SYNs are not scaled (RFC 7323 2.2).
  sender.maxEnd = latest(sender.maxEnd, (segment.sequence + 1 + receiver.maxWindow) | 0);
  receiver.maxEnd = latest(receiver.maxEnd, (receiver.acked + 1 + sender.maxWindow) | 0);
}

/** A segment of a side whose windows are not known. */
function join(sender: TcpSide, receiver: TcpSide, segment: TcpFacts): TcpVerdict {
  if (!sender.is(SideFlag.Seen) || after(segment.end, sender.end)) sender.end = segment.end;
  if (!sender.is(SideFlag.Seen)) sender.acked = segment.sequence;
  sender.flags |= SideFlag.Seen | (segment.fin ? SideFlag.Finished : 0);
  const { acknowledgment } = segment;
  if (!receiver.is(SideFlag.Seen)) receiver.end = receiver.acked = acknowledgment;
  if (after(acknowledgment, receiver.acked)) receiver.acked = acknowledgment;
  if (after(acknowledgment, receiver.end)) receiver.end = acknowledgment;
  return TcpVerdict.Accepted;
}

/** An answer from one who still is in an earlier connection (RFC 9293 3.5.1, figure 9): the opener will reset that. */
function disagree(sender: TcpSide, receiver: TcpSide, segment: TcpFacts): TcpVerdict {
  if (segment.fin || acknowledgesNew(receiver, segment)) return TcpVerdict.Invalid;
  sender.acked = segment.acknowledgment;
  sender.flags |= SideFlag.Disagrees;
  return TcpVerdict.Passed;
}

function acknowledgesNew(side: TcpSide, segment: TcpFacts): boolean {
  return after(segment.acknowledgment, side.acked) && !after(segment.acknowledgment, side.end);
}

function synchronise(flow: TcpFlow, sender: TcpSide, receiver: TcpSide, segment: TcpFacts): TcpVerdict {
  if (flow.isOver && !segment.ack) return TcpVerdict.Reopens;
  if (flow.isOpen || flow.midStream || flow.isClosing || flow.reset) return restart(flow, sender, receiver, segment);
  if (segment.ack) return synchroniseBoth(sender, receiver, segment);
  const isKnown = sender.is(SideFlag.Seen);
  if (isKnown && segment.sequence === sender.acked) return TcpVerdict.Accepted;
  // Another attempt; not once there was an answer to the first. Or the other side opens at the same time (RFC 9293 3.5, figure 7).
  if (isKnown && receiver.is(SideFlag.Seen)) return TcpVerdict.Passed;
  start(sender, receiver, segment);
  return TcpVerdict.Accepted;
}

/**
 * A SYN in a connection that is open is asked back (RFC 5961 4): whoever has started anew then resets the old connection. Where the other side answers it
 * instead, both have forgotten the old one, and the new one is followed from here on. Its windows are not known: should the answer be a forged one, what
 * belongs to the old connection passes still.
 */
function restart(flow: TcpFlow, sender: TcpSide, receiver: TcpSide, segment: TcpFacts): TcpVerdict {
  if (!segment.ack) {
    sender.flags |= SideFlag.Restarts;
    receiver.flags &= ~SideFlag.Restarts;
    flow.restart = segment.end;
    return TcpVerdict.Passed;
  }
  if (flow.reset || !receiver.is(SideFlag.Restarts) || segment.acknowledgment !== flow.restart)
    return TcpVerdict.Passed;
  clear(flow);
  flow.midStream = true;
  join(sender, receiver, segment);
  receiver.flags |= SideFlag.Seen;
  return TcpVerdict.Accepted;
}

/** A SYN that acknowledges the other one. */
function synchroniseBoth(sender: TcpSide, receiver: TcpSide, segment: TcpFacts): TcpVerdict {
  if (!receiver.is(SideFlag.Seen)) return TcpVerdict.Invalid;
  const again = receiver.is(SideFlag.Acknowledged) && segment.acknowledgment === receiver.acked;
  if (!again && !acknowledgesNew(receiver, segment)) return TcpVerdict.Invalid;
  if (!sender.is(SideFlag.Acknowledged)) {
    // Told with another number, it has forgotten the first: SYN cookies do (RFC 4987 3.6).
    if (!sender.is(SideFlag.Seen) || segment.sequence !== sender.acked) start(sender, receiver, segment);
  } else if (segment.sequence !== ((sender.acked - 1) | 0)) return TcpVerdict.Passed;
  receiver.acked = segment.acknowledgment;
  receiver.flags |= SideFlag.Acknowledged;
  receiver.maxEnd = latest(receiver.maxEnd, (segment.acknowledgment + segment.window) | 0);
  return TcpVerdict.Accepted;
}

/**
 * A reset counts if it is what the other side waits for: exactly the next in sequence, as far as that is known (RFC 5961 3). Elsewhere in the window it
 * is asked back by the other side, and may come again. In answer to a SYN it must acknowledge it (RFC 9293 3.10.7.3).
 */
function reset(flow: TcpFlow, sender: TcpSide, receiver: TcpSide, segment: TcpFacts): TcpVerdict {
  if (flow.reset) return TcpVerdict.Passed;
  if (!sender.is(SideFlag.Seen)) {
    if (flow.midStream) return TcpVerdict.Passed;
    if (!segment.ack || !acknowledgesNew(receiver, segment)) return TcpVerdict.Invalid;
    flow.reset = true;
    return TcpVerdict.Accepted;
  }
  const { sequence } = segment;
  // What was sent to end an earlier connection, see `disagree`, is not about this one.
  if (receiver.is(SideFlag.Disagrees) && !receiver.is(SideFlag.Seen) && sequence === receiver.acked) {
    return TcpVerdict.Passed;
  }
  if (sequence === sender.acked || sequence === sender.end) {
    flow.reset = true;
    return TcpVerdict.Accepted;
  }
  if (flow.midStream) return TcpVerdict.Passed;
  const low = (sender.end - Math.max(receiver.maxWindow, 1)) | 0;
  return before(sequence, low) || after(sequence, sender.maxEnd) ? TcpVerdict.Invalid : TcpVerdict.Passed;
}

/** Rules I to IV: neither data nor acknowledgment beyond what the other side has allowed or sent, or much older. */
function fits(flow: TcpFlow, sender: TcpSide, receiver: TcpSide, segment: TcpFacts): boolean {
  if (after(segment.sequence, sender.maxEnd) || after(segment.dataEnd, (sender.maxEnd + PROBE) | 0)) return false;
  if (before(segment.end, (sender.end - receiver.maxWindow) | 0)) return false;
  const scale = flow.scales ? sender.scale : 0;
  const behind = Math.max(sender.maxWindow, MOST_BEHIND << scale);
  return !after(segment.highest, receiver.end) && !before(segment.highest, (receiver.end - behind) | 0);
}

/** What a segment that fits says of both sides. */
function advance(flow: TcpFlow, sender: TcpSide, receiver: TcpSide, segment: TcpFacts): void {
  const { acknowledgment } = segment;
  const window = segment.window << (flow.scales ? sender.scale : 0);
  // With selective acknowledgments more was under way than the window says.
  const wide = Math.min(window + ((segment.highest - acknowledgment) | 0), WIDEST);
  if (wide > sender.maxWindow) sender.maxWindow = wide;
  if (after(segment.end, sender.end)) sender.end = segment.end;
  if (segment.fin) sender.flags |= SideFlag.Finished;
  receiver.maxEnd = latest(receiver.maxEnd, (acknowledgment + window) | 0);
  if (after(acknowledgment, receiver.acked)) receiver.acked = acknowledgment;
  receiver.flags |= SideFlag.Acknowledged;
}
