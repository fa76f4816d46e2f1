/** Sending (RFC 9293 3.7.4, 3.8.6): what may go out now, and the segments themselves. */

import { pseudoHeaderSum } from '../../l3/ip-output.js';
import { Ecn as Codepoint } from '../../wire/ip.js';
import { TCP_HEADER, type TcpFields, TcpFlag, TcpSegment } from '../../wire/tcp.js';
import { MAX_SACK_BLOCKS, TcpOptions } from '../../wire/tcp-options.js';
import type { AccurateEcn } from './accecn.js';
import { answered } from './acks.js';
import type { Connection } from './connection.js';
import { synAckOption, synFlags } from './ecn.js';
import { fastOpenSyn } from './fast-open.js';
import { flowOf } from './flow.js';
import { windowScaleFor } from './options.js';
import { isTooEarly } from './pacing.js';
import { isProbe, probeDoubted, probeSent, probeSize } from './plpmtud.js';
import { ownSent } from './queues.js';
import type { Reassembly } from './reassembly.js';
import { nextOnSuspicion } from './sack-recovery.js';
import type { SentSegment } from './sent-queue.js';
import { after } from './seq.js';
import { canSend } from './state.js';
import { Chrono } from './statistics.js';
import { advertiseWindow, receiveWindow } from './window.js';

const { Ack, Fin, Psh, Rst, Syn, Urg } = TcpFlag;
const ALIGNED_TIMESTAMPS = 0x0101_080a;
const TIMESTAMPS_LENGTH = 12;
const MAX_OPTIONS = 40;
// Two NOPs, kind and length; and each block.
const SACK_HEADER = 4;
const SACK_BLOCK = 8;
// Windows up to this are filled by one segment, and segments are never cut below that (as with Linux).
const WHOLE_WINDOW = 536;
const LEAST_FOR_WINDOW = 48;
// That many are worth more than anything else.
const MIN_SACK_BLOCKS = 2;

class Header implements TcpFields {
  sourcePort = 0;
  destinationPort = 0;
  sequence = 0;
  acknowledgment = 0;
  flags = 0;
  window = 0;
  urgentPointer = 0;
}

// Filled and read within one call, whatever the connection.
const header = new Header();
const options = new TcpOptions();

/** Bytes that were written and never sent. */
export function unsentBytes(c: Connection): number {
  const inFlight = ((c.snd.nxt - c.snd.una) | 0) - (c.finSent ? 1 : 0);
  return c.queue.length - inFlight;
}

/** Whether something waits for the window while nothing is in flight that would bring news of it. */
function needsPersist(c: Connection): boolean {
  return unsentBytes(c) > 0 || (c.finQueued && !c.finSent);
}

/** Payload of a full segment now: blocks that are to be told take their room (RFC 2018 3). */
export function fullSize(c: Connection): number {
  const { reassembly, snd } = c;
  const mss = snd.maxWnd < 2 * snd.mss ? sizeForWindow(c) : snd.mss;
  if (reassembly === undefined || !c.sackPermitted || !reassembly.hasBlocks) return mss;
  const blocks = Math.min(reassembly.blockCount, c.ts.on ? MAX_SACK_BLOCKS - 1 : MAX_SACK_BLOCKS);
  return Math.max(1, mss - SACK_HEADER - SACK_BLOCK * blocks);
}

/** A full segment for a peer whose windows are small: no more than half of the largest, unless that is very small (as with Linux). */
function sizeForWindow({ config, snd }: Connection): number {
  const { maxWnd, mss } = snd;
  if (!config.halfWindowSegments || maxWnd === 0) return mss;
  return Math.min(mss, Math.max(LEAST_FOR_WINDOW, maxWnd > WHOLE_WINDOW ? maxWnd >>> 1 : maxWnd));
}

/** Sends whatever the windows allow: first what was lost, then what is new, then the FIN. */
export function transmit(c: Connection): void {
  const { recovery, snd, timers } = c;
  const { nxt } = snd;
  if (!canSend(c.state)) {
    // The timer is that of the SYN-ACK.
    if (c.fastOpen?.isEarly !== true) return;
    sendNew(c);
    noteUse(c, snd.nxt !== nxt);
    return;
  }
  if (recovery.newFirst) newBeforeOld(c);
  else if (retransmitLost(c)) {
    sendNew(c);
    noteLimit(c);
  }
  if (recovery.active && c.sackPermitted && !c.config.rack && c.config.resendSuspects) retransmitSuspects(c);
  noteUse(c, snd.nxt !== nxt);
  if (c.queue.length > 0) watch(c);
  if (c.sent.head !== undefined) {
    if (!timers.isRetransmitArmed) timers.armRetransmit();
    // The first of a flight has armed it.
    if (snd.nxt !== nxt && c.sent.count > 1) timers.sentMore();
  } else if (needsPersist(c)) {
    if (!timers.isRetransmitArmed) timers.armPersist();
  } else timers.disarmRetransmit();
}

/** RFC 5682 3.1, step 2 b: new data tell whether the timeout was spurious; where none may be sent, it counts as real. */
function newBeforeOld(c: Connection): void {
  const { recovery, snd } = c;
  const { nxt } = snd;
  recovery.newFirst = false;
  sendNew(c);
  if (snd.nxt !== nxt) return;
  recovery.frto = false;
  retransmitLost(c);
}

/** Fills the window with what may be lost (RFC 6675 5, step C). */
function retransmitSuspects(c: Connection): void {
  while (c.sent.pipe + c.snd.mss <= c.congestion.cwnd) {
    const segment = nextOnSuspicion(c);
    if (segment === undefined || after(segment.end, (c.snd.una + c.snd.wnd) | 0) || isTooEarly(c)) return;
    retransmit(c, segment);
  }
}

/** Whether the application, not the network, limits what is in flight. */
function noteLimit(c: Connection): void {
  const { rate } = c;
  const { pipe } = c.sent;
  if (rate !== undefined && pipe < c.congestion.cwnd && unsentBytes(c) < c.snd.mss) rate.limitedByApplication(pipe);
}

/** Notes how much of the congestion window is used, when that is seen. */
function noteUse(c: Connection, sent: boolean): void {
  const full = c.sent.head !== undefined && c.sent.pipe + c.snd.mss > c.congestion.cwnd;
  if (!sent && !(full && unsentBytes(c) > 0)) return;
  c.sent.use.note(c, full);
}

/** Notes what keeps us from sending, if anything does. */
function watch(c: Connection): void {
  const { queue, snd } = c;
  const unsent = unsentBytes(c);
  const usable = (snd.una + snd.wnd - snd.nxt) | 0;
  const shut = unsent > 0 && usable < Math.min(unsent, snd.mss) && c.sent.pipe < c.congestion.cwnd;
  const kind = shut ? Chrono.PEER_WINDOW : unsent <= 0 && c.blocked ? Chrono.SEND_BUFFER : Chrono.BUSY;
  queue.watch.start(kind, c.host.now, c.statistics);
}

/** Sends again what is believed lost; returns whether nothing of that is left. */
function retransmitLost(c: Connection): boolean {
  const { sent, recovery } = c;
  for (let segment = sent.firstLost(); segment !== undefined; segment = sent.firstLost()) {
    const fits = sent.pipe === 0 || sent.pipe + Math.min(segment.span, c.snd.mss) <= c.congestion.cwnd;
    if ((!fits && !recovery.urgent) || isTooEarly(c)) return false;
    recovery.urgent = false;
    // RFC 9293 SHLD-16: old data only within the window, but for the segment that probes it.
    if (segment !== sent.head && after(segment.end, (c.snd.una + c.snd.wnd) | 0)) return false;
    retransmit(c, segment);
  }
  return true;
}

/**
 * Sends a segment again, in smaller ones if the path became narrower; with those behind it that are lost too, as far as they fit
 * (RFC 1122 4.2.2.15): many small ones would each be waited for again.
 */
export function retransmit(c: Connection, segment: SentSegment): void {
  const { sent, recovery, timers } = c;
  const { una, wnd } = c.snd;
  const full = fullSize(c);
  // RFC 9293 SHLD-16: of the oldest what is in the window, if that has shrunk; where it is shut all of it, which probes it then.
  const mss = segment === c.sent.head && wnd > 0 ? Math.min(full, wnd) : full;
  if (isProbe(c, segment)) probeDoubted(c);
  const data = segment.span - (segment.fin ? 1 : 0);
  if (data > mss) sent.split(segment, mss);
  else if (segment.due) {
    for (let { next } = segment; next?.due === true; { next } = segment) {
      if (((next.end - segment.seq) | 0) > mss || after(next.end, (una + wnd) | 0)) break;
      sent.merge(segment);
    }
  }
  sent.resent(segment, c.host.now);
  recovery.watchOrder(c);
  recovery.undo?.resent(timestamp(c));
  if (recovery.isReducing) recovery.prr?.sent(segment.span);
  if (segment === sent.head) timers.headResent();
  emitAgain(c, segment);
}

function emitAgain(c: Connection, segment: SentSegment): void {
  const length = segment.span - (segment.fin ? 1 : 0);
  const offset = (segment.seq - c.snd.una) | 0;
  c.host.counters.retransmits++;
  c.statistics.retransmits++;
  c.statistics.bytesRetransmitted += length;
  c.pacer?.sent(length, c.host.now);
  emit(c, segment.seq, Ack | (segment.fin ? Fin : 0), offset, length, false);
}

/** A tail loss probe: new data whatever the congestion window, if there are any that the peer takes; else `tail`. Returns whether it was sent. */
export function sendLossProbe(c: Connection, tail: SentSegment): boolean {
  const { snd, sent } = c;
  const unsent = unsentBytes(c);
  const full = fullSize(c);
  const length = Math.min(unsent, full);
  const usable = (snd.una + snd.wnd - snd.nxt) | 0;
  if (unsent > 0 && usable >= length) {
    sendSegment(c, length, c.finQueued && length === unsent && usable > length);
    return true;
  }
  if (tail !== sent.head && after(tail.end, (snd.una + snd.wnd) | 0)) return false;
  const data = tail.span - (tail.fin ? 1 : 0);
  // Of what is too large now, the end.
  if (data > full) sent.split(tail, Math.floor((data - 1) / full) * full);
  const probe = sent.tail ?? tail;
  sent.probed(probe, c.host.now);
  c.recovery.watchOrder(c);
  emitAgain(c, probe);
  return true;
}

function sendNew(c: Connection): void {
  const { snd } = c;
  for (;;) {
    const unsent = unsentBytes(c);
    const finDue = c.finQueued && !c.finSent;
    if (unsent <= 0 && !finDue) return;
    if (c.sent.head === undefined) c.congestion.idle(c.host.now - snd.lastAt, c.rtt.rto, c.host.now);
    const usable = (snd.una + snd.wnd - snd.nxt) | 0;
    if (usable <= 0) return;
    const full = fullSize(c);
    const probe = c.plpmtud === undefined || full < snd.mss ? 0 : probeSize(c, unsent, usable);
    const length = probe !== 0 ? probe : unsent <= 0 ? 0 : sizeOfNext(c, unsent, usable, full, finDue);
    if (length < 0 || (length > 0 && isTooEarly(c))) return;
    sendSegment(c, length, finDue && length === unsent && usable > length);
    if (length === unsent && !c.finQueued) return;
    if (length === unsent && c.finSent) return;
  }
}

/** Payload of the next segment, or -1 if it is better to wait (RFC 9293 3.7.4, 3.8.6.2.1). */
function sizeOfNext(c: Connection, unsent: number, usable: number, full: number, finDue: boolean): number {
  const { snd, sent } = c;
  const length = Math.min(unsent, full);
  const room = c.congestion.cwnd - sent.pipe - withheld(c);
  if (room < length && sent.pipe > 0) return -1;
  if (usable < length) {
    // Less than what there is to send: only if that is much for this receiver, and nothing is in flight that may open the window.
    return sent.head === undefined && 2 * usable >= snd.maxWnd ? usable : -1;
  }
  if (length === full || finDue || c.snd.urgent) return length;
  if (c.settings !== undefined && (c.settings.corked || c.settings.more)) return -1;
  if (c.noDelay) return length;
  // Nagle's algorithm, Minshall's variant: one small segment in flight at a time.
  return sent.head !== undefined && after(snd.smallEnd, snd.una) ? -1 : length;
}

/** Without limited transmit (RFC 3042): what duplicates show to have arrived makes no room as long as no loss is known. */
function withheld({ config, recovery, sent }: Connection): number {
  return config.limitedTransmit || recovery.state !== 'disorder' ? 0 : sent.sackedBytes + sent.assumed;
}

/** The override timer of silly-window avoidance: sends what fits. */
export function sendForced(c: Connection, usable: number): void {
  const length = Math.min(usable, fullSize(c), unsentBytes(c));
  // Pushed, since the peer may wait for more than its window has room for.
  sendSegment(c, length, c.finQueued && length === unsentBytes(c) && usable > length, Ack | Psh);
  transmit(c);
}

function sendSegment(c: Connection, length: number, fin: boolean, flags: number = Ack): void {
  const { snd } = c;
  const sent = ownSent(c);
  const seq = snd.nxt;
  const offset = (seq - snd.una) | 0;
  const idle = sent.head === undefined;
  if (length > 0 && length < fullSize(c)) snd.smallEnd = (seq + length) | 0;
  snd.nxt = (seq + length + (fin ? 1 : 0)) | 0;
  snd.lastAt = c.host.now;
  if (fin) c.finSent = true;
  if (length > 0) answered(c);
  sent.push(seq, snd.nxt, fin, c.host.now);
  if (c.recovery.isReducing) c.recovery.prr?.sent(length);
  if (length > snd.mss) probeSent(c, seq, snd.nxt);
  if (idle) c.timers.flightBegins();
  c.probes = 0;
  c.pacer?.sent(length, c.host.now);
  emit(c, seq, flags | (fin ? Fin : 0), offset, length, length > 0);
}

/** Sends an acknowledgment, with SACK blocks where there are gaps. */
export function sendAck(c: Connection): void {
  emit(c, c.snd.nxt, Ack, 0, 0, false);
}

/** A window or keepalive probe: the sequence number before SND.UNA, and no data; the peer answers with an ACK. */
export function sendProbe(c: Connection): void {
  emit(c, (c.snd.una - 1) | 0, Ack, 0, 0, false);
}

/** Sends RST with SND.NXT, so that it is exact for the peer (RFC 9293 3.10.5). */
export function reset(c: Connection): void {
  c.host.counters.resetsSent++;
  c.host.counters.reset++;
  emit(c, c.snd.nxt, Rst | Ack, 0, 0, false);
}

/** Sends our SYN, or in answer to the peer's the SYN-ACK; again, if it was sent before. */
export function sendSyn(c: Connection): void {
  const flags = (c.state === 'SYN-SENT' ? Syn : Syn | Ack) | synFlags(c);
  c.synSentAt = c.host.now;
  if (c.retries > 0) c.host.counters.retransmits++;
  synOptions(c);
  const { fastOpen } = c;
  const length = fastOpen === undefined ? 0 : fastOpenSyn(c, fastOpen, options);
  if (flags & Ack) synAckOption(c, options);
  const frame = c.host.env.pool.alloc(length);
  if (length > 0) {
    c.queue.copy(0, length, frame.slab.bytes, frame.put(length));
    c.statistics.dataSegmentsOut++;
    c.statistics.bytesSent += length;
  }
  // Never scaled (RFC 7323 2.2).
  const window = Math.min(0xffff, receiveWindow(c));
  write(c, c.trafficClass, frame, c.snd.iss, flags, window, options.length);
}

/** Sends the SYN, or SYN-ACK, of a new connection. */
export function sendFirstSyn(c: Connection): void {
  if (c.fastOpen !== undefined) c.fastOpen.waiting = false;
  sendSyn(c);
  c.timers.armRetransmit();
}

/** What the SYN says of us; in a SYN-ACK only what the peer's SYN offered too (RFC 7323 1.3, RFC 2018 2). */
function synOptions(c: Connection): void {
  const { config } = c;
  const answer = c.state !== 'SYN-SENT';
  options.clear();
  options.mss = config.mssOption ? c.mssOffered : 0;
  options.sackPermitted = answer ? c.sackPermitted : config.sack;
  options.hasTimestamps = answer ? c.ts.on : config.timestamps;
  options.timestampValue = timestamp(c);
  options.timestampEcho = c.ts.recent >>> 0;
  if (config.windowScaling && (!answer || c.scaling)) options.windowScale = windowScaleFor(c.receiveLimit);
}

/** The value of our timestamp clock (RFC 7323 5.4: milliseconds, and a random offset). */
export function timestamp(c: Connection): number {
  return (Math.floor(c.host.now) + c.ts.offset) >>> 0;
}

/** @param fresh whether there are data that were never sent */
function emit(c: Connection, seq: number, flags: number, offset: number, length: number, fresh: boolean): void {
  const frame = c.host.env.pool.alloc(length);
  let push = 0;
  if (length > 0) {
    if (c.queue.copy(offset, length, frame.slab.bytes, frame.put(length))) push = Psh;
    c.statistics.dataSegmentsOut++;
    c.statistics.bytesSent += length;
  }
  options.sackCount = options.accurateEcn.kind = 0;
  const { reassembly, ecn } = c;
  let optionsLength = c.ts.on ? TIMESTAMPS_LENGTH : 0;
  const reports = reassembly !== undefined && c.sackPermitted && reassembly.hasBlocks;
  if (reports || ecn?.accurate?.wantsOption(c.host.now, c.rtt.srtt) === true) {
    optionsLength = manyOptions(c, length, reports ? reassembly : undefined);
  }
  frame.mtuProbe = length > c.snd.mss;
  if (ecn === undefined || !ecn.agreed)
    write(c, c.trafficClass, frame, seq, flags | push, advertiseWindow(c), optionsLength);
  else {
    // RFC 3168 6.1.4, 6.1.5: no marks for acknowledgments, nor for what is sent again.
    const trafficClass = fresh && ecn.marks ? c.trafficClass | Codepoint.Ect0 : c.trafficClass;
    const bare = length === 0 && flags === Ack && options.sackCount === 0;
    write(c, trafficClass, frame, seq, flags | push | ecn.flags(fresh, bare), advertiseWindow(c), optionsLength);
    if (ecn.accurate !== undefined && length > 0) noteData(ecn.accurate, seq, length, fresh);
  }
}

/** Writes into `options` what is more than timestamps, as far as it fits beside `length` bytes of data; returns its length. */
function manyOptions(c: Connection, length: number, gaps: Reassembly | undefined): number {
  options.clear();
  options.hasTimestamps = c.ts.on;
  options.timestampValue = timestamp(c);
  options.timestampEcho = c.ts.recent >>> 0;
  gaps?.blocks(options, c.ts.on ? MAX_SACK_BLOCKS - 1 : MAX_SACK_BLOCKS);
  const accurate = c.ecn?.accurate;
  if (accurate?.wantsOption(c.host.now, c.rtt.srtt) !== true) return options.length;
  // Two blocks come first (RFC 9768 3.2.3.3), and data.
  const { sackCount } = options;
  options.sackCount = Math.min(sackCount, MIN_SACK_BLOCKS);
  const room = MAX_OPTIONS - options.length;
  accurate.addOption(
    options,
    length > 0 ? Math.min(room, accurate.reserved + Math.max(0, c.snd.mss - length)) : room,
    c.host.now,
  );
  while (options.sackCount < sackCount && options.length + 8 <= MAX_OPTIONS) options.sackCount++;
  return options.length;
}

/** Watches whether data with the option of accurate ECN get through. */
function noteData(accurate: AccurateEcn, seq: number, length: number, fresh: boolean): void {
  if (!fresh) accurate.resent(seq);
  else if (options.accurateEcn.kind !== 0) accurate.sentWithData((seq + length) | 0);
}

/** RFC 9293 3.8.5, MUST-62: the pointer is to the byte behind the urgent data; as far as it reaches, where they are further away. */
function pointToUrgent(c: Connection): void {
  const { snd } = c;
  header.urgentPointer = 0;
  if (!after(snd.up, snd.una)) snd.urgent = false;
  else if (after(snd.up, header.sequence | 0) && !(header.flags & (Syn | Rst))) {
    header.flags |= Urg;
    header.urgentPointer = Math.min(0xffff, (snd.up - header.sequence) | 0);
  }
}

type Outgoing = ReturnType<Connection['host']['env']['pool']['alloc']>;

/** Puts the header in front of the payload and hands the segment to IP. With SYN, SACK or accurate ECN, `options` holds the options. */
function write(
  c: Connection,
  trafficClass: number,
  frame: Outgoing,
  seq: number,
  flags: number,
  window: number,
  optionsLength: number,
): void {
  header.sourcePort = c.local.port;
  header.destinationPort = c.remote.port;
  header.sequence = seq;
  header.acknowledgment = flags & Ack ? c.rcv.nxt : 0;
  header.flags = flags;
  header.window = window;
  if (c.snd.urgent) pointToUrgent(c);
  else header.urgentPointer = 0;
  TcpSegment.emit(frame, header, optionsLength);
  if (optionsLength > 0) {
    const { view } = frame.slab;
    const at = frame.start + TCP_HEADER;
    if (flags & Syn || options.sackCount > 0 || options.accurateEcn.kind !== 0) options.write(view, at);
    else {
      view.setUint32(at, ALIGNED_TIMESTAMPS);
      view.setUint32(at + 4, timestamp(c));
      view.setUint32(at + 8, c.ts.recent);
    }
  }
  // What is cut on the way proves nothing.
  const flow = flowOf(c, trafficClass, frame.mtuProbe);
  TcpSegment.seal(frame, pseudoHeaderSum(flow, frame.length));
  if (flags & Ack) c.timers.acknowledged();
  c.host.counters.segmentsOut++;
  c.statistics.segmentsOut++;
  c.host.output.send(frame, flow);
}
