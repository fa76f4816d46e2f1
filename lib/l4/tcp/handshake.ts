/** Opening (RFC 9293 3.5, 3.10.7.2 to 3.10.7.4): options of the SYN, active, passive and simultaneous open. */

import { DropReason } from '../../core/drops.js';
import type { IpPacket } from '../../wire/ip.js';
import { DEFAULT_HOP_LIMIT, type IpPath } from '../../l3/ip-output.js';
import { TcpFlag } from '../../wire/tcp.js';
import { startAcks } from './acks.js';
import { startBuffers } from './buffers.js';
import { initialWindow } from './congestion/congestion.js';
import type { Connection } from './connection.js';
import { isDeferred } from './defer-accept.js';
import { asksForEcn, Ecn, readSynEcn, startEcn, synAckAcknowledged } from './ecn.js';
import { type FastOpen, fastOpenAnswered } from './fast-open.js';
import type { SequenceNumbers } from './isn.js';
import { firstOffer, mssOf } from './mss.js';
import { peerMss, windowScaleFor } from './options.js';
import { startMtu } from './plpmtud.js';
import { drop, refuse } from './refuse.js';
import type { Segment } from './segment.js';
import { resendSyn, sendAck, timestamp } from './emit.js';
import { after } from './seq.js';
import { Tell } from './tell.js';
import { ownReceived } from './queues.js';
import { receiveWindow } from './window.js';

const { Ack, Rst, Syn } = TcpFlag;

/**
 * Gives a new connection its sequence numbers.
 *
 * @param beyond the initial sequence number must be after this
 */
export function number(c: Connection, numbers: SequenceNumbers, path: IpPath, beyond?: number): void {
  const { local, remote, host } = c;
  let iss = numbers.initial(local.address, local.port, remote.address, remote.port, host.now);
  // RFC 9293 3.6.1: not within what an old connection has used.
  if (beyond !== undefined && !after(iss, beyond)) iss = (beyond + 0x10000) | 0;
  prepare(c, iss, numbers.ownTimestampOffset, path);
}

/** Takes in the numbers of a new connection, and what is known of the way. */
export function prepare(c: Connection, iss: number, timestampOffset: number, path: IpPath): void {
  const { snd, rcv } = c;
  if (c.hopLimit === 0) c.hopLimit = path.hopLimit ?? DEFAULT_HOP_LIMIT;
  snd.iss = snd.una = iss;
  snd.nxt = (iss + 1) | 0;
  snd.lastAt = c.host.now;
  c.recovery.start(iss);
  c.ts.offset = timestampOffset;
  c.mtu = path.mtu;
  const { features } = path;
  if (features?.checksum === true) c.leavesChecksums = true;
  // Their checksums are made anew, and so are left out before.
  if (features?.checksum === true && features.segmentation) c.leavesCutting = true;
  c.linkMtu = path.linkMtu ?? path.mtu;
  c.mssOffered = mssOf(c, path.mtu);
  rcv.edge = (rcv.nxt + firstOffer(c)) | 0;
  if (c.state !== 'SYN-SENT') return;
  chooseOffer(c);
  if (asksForEcn(c.config.ecn)) c.ecn = new Ecn();
}

/** What our SYN, or SYN-ACK, offers. However buffers and options change then, what was sent counts (RFC 7323 2.2). */
function chooseOffer(c: Connection): void {
  const { config } = c;
  c.scaling = config.windowScaling;
  c.rcv.scale = c.scaling ? windowScaleFor(c.receiveLimit) : 0;
  c.sackPermitted = config.sack;
  c.ts.on = config.timestamps;
}

/** Takes in the peer's SYN: its sequence number, window and options. */
export function readSyn(c: Connection, segment: Segment): void {
  const { rcv, snd, ts } = c;
  const { options } = segment;
  // Our SYN has promised a window, perhaps of segments of another size.
  const promised = c.state === 'SYN-SENT' ? receiveWindow(c) : 0;
  rcv.irs = segment.seq;
  rcv.nxt = (segment.seq + 1) | 0;
  rcv.edge = (rcv.nxt + Math.max(promised, firstOffer(c))) | 0;
  rcv.ackSent = rcv.nxt;
  // A window in a SYN is never scaled (RFC 7323 2.2).
  snd.wnd = snd.maxWnd = segment.window;
  snd.wl1 = segment.seq;
  snd.wl2 = segment.ack;
  c.peerMss = peerMss(options.mss, c.version, c.config.minMss);
  if (c.state === 'LISTEN') chooseOffer(c);
  c.scaling &&= options.windowScale >= 0;
  snd.scale = c.scaling ? Math.min(14, options.windowScale) : 0;
  if (!c.scaling) rcv.scale = 0;
  readSynEcn(c, segment);
  c.sackPermitted &&= options.sackPermitted;
  ts.on &&= options.hasTimestamps;
  if (ts.on) {
    ts.recent = options.timestampValue | 0;
    ts.recentAt = c.host.now;
  }
}

/** A segment came in SYN-SENT (RFC 9293 3.10.7.3). Returns whether the rest of it is to be processed as in ESTABLISHED. */
export function receiveInSynSent(c: Connection, segment: Segment, packet: IpPacket): boolean {
  const { snd } = c;
  const acked = segment.has(Ack);
  /** Bytes of data that went with the SYN, and arrived. */
  const early = (segment.ack - snd.nxt) | 0;
  if (acked && (early < 0 || early > (c.fastOpen?.sent ?? 0))) {
    if (refuse(c.host.env, c.host.output, packet, segment)) c.host.counters.resetsSent++;
    drop(c, segment, DropReason.TcpBadAck);
    return false;
  }
  if (segment.has(Rst)) {
    if (acked) {
      c.host.counters.resetsReceived++;
      c.terminate('ECONNREFUSED');
    } else drop(c, segment, DropReason.TcpBadReset);
    return false;
  }
  if (!segment.has(Syn)) {
    drop(c, segment, DropReason.TcpUnexpected);
    return false;
  }
  readSyn(c, segment);
  if (!acked) {
    c.to('syn');
    c.fastOpen = undefined;
    resendSyn(c);
    c.timers.armRetransmit();
    return false;
  }
  snd.una = segment.ack;
  c.to('syn-ack');
  if (c.fastOpen !== undefined) synDataAcknowledged(c, c.fastOpen, segment, early);
  c.oweAck();
  complete(c, segment);
  segment.passSyn();
  return true;
}

function synDataAcknowledged(c: Connection, fastOpen: FastOpen, segment: Segment, bytes: number): void {
  fastOpenAnswered(c, fastOpen, segment, bytes);
  c.fastOpen = undefined;
  if (bytes === 0) return;
  c.snd.nxt = segment.ack;
  c.statistics.bytesAcked += bytes;
  c.synData = true;
  c.queue.consume(bytes);
  c.host.memory.used -= bytes;
  c.drained();
}

/**
 * Lets a passive open be served before its handshake is complete (RFC 7413 4.2.2): takes the data of the SYN, which the SYN-ACK will
 * acknowledge.
 */
export function openEarly(c: Connection, segment: Segment): void {
  const { rcv, snd } = c;
  const { frame, from } = segment;
  // Data may follow the SYN, as if that were acknowledged.
  snd.una = snd.nxt;
  const length = Math.min(segment.length, (rcv.edge - rcv.nxt) | 0);
  establish(c);
  if (frame === undefined || length <= 0) return;
  ownReceived(c).append(frame.slab.bytes, from, from + length);
  c.host.memory.used += length;
  c.statistics.bytesReceived += length;
  c.synData = true;
  rcv.nxt = (rcv.nxt + length) | 0;
  // What the SYN brought waits to be read: there is that much less room.
  rcv.edge = (rcv.nxt + Math.min(0xffff, Math.max(0, c.receiveBuffer - length))) | 0;
  c.tellReadable();
}

/**
 * The ACK of our SYN-ACK, in SYN-RECEIVED. Returns whether the connection is established now; the segment's window and text are still to be
 * processed.
 */
export function receiveInSynReceived(c: Connection, segment: Segment, packet: IpPacket): boolean {
  const { snd } = c;
  if (!after(segment.ack, snd.iss) || after(segment.ack, snd.nxt)) {
    if (refuse(c.host.env, c.host.output, packet, segment)) c.host.counters.resetsSent++;
    drop(c, segment, DropReason.TcpBadAck);
    return false;
  }
  const early = c.fastOpen?.isEarly === true;
  if (!early && isDeferred(c, segment)) {
    noteRoundTrip(c, segment);
    return false;
  }
  if (c.parent !== undefined && !early && !c.parent.admit(c)) {
    noteRoundTrip(c, segment);
    c.host.counters.backlogDrops++;
    drop(c, segment, DropReason.TcpBacklogFull);
    return false;
  }
  // What else it acknowledges is data, which may have been sent early.
  snd.una = (snd.iss + 1) | 0;
  snd.wnd = segment.window << snd.scale;
  snd.wl1 = segment.seq;
  snd.wl2 = segment.ack;
  // The SYN's window was for the SYN-ACK, and data that went with it.
  if (!early || snd.wnd > snd.maxWnd) snd.maxWnd = snd.wnd;
  c.to('ack-of-syn');
  if (c.parent !== undefined || early) c.host.counters.accepted++;
  if (c.ecn !== undefined) synAckAcknowledged(c.ecn, segment);
  complete(c, segment);
  return true;
}

/**
 * Completes a handshake of which nothing was kept: the connection, in LISTEN, which knows its numbers and the peer's SYN, goes to where
 * it would be after the ACK of its SYN-ACK.
 */
export function completeByCookie(c: Connection): void {
  c.to('syn');
  c.to('ack-of-syn');
  c.snd.una = c.snd.nxt;
  c.host.counters.accepted++;
  establish(c);
}

/** The time from our SYN to `segment`, which acknowledges it, or -1 where it was sent more than once and no timestamp says which (Karn). */
function roundTrip(c: Connection, { options }: Segment): number {
  if (c.synSentAt >= 0) return c.host.now - c.synSentAt;
  if (!c.ts.on || !options.hasTimestamps || options.timestampEcho === 0) return -1;
  return c.rtt.echoed((timestamp(c) - options.timestampEcho) | 0);
}

/**
 * The first acknowledgment of our SYN-ACK does not complete the handshake: a later one would tell how long the peer thought. The user timeout
 * does not count from now on, but that of the SYN-ACK does.
 */
function noteRoundTrip(c: Connection, segment: Segment): void {
  c.ownSettings.roundTrip ??= roundTrip(c, segment);
  c.timers.limitByUserTimeout();
}

function complete(c: Connection, segment: Segment): void {
  const { rtt } = c;
  c.timers.returnTimer();
  c.softError = undefined;
  const taken = c.settings?.roundTrip ?? roundTrip(c, segment);
  if (taken >= 0) rtt.sample(taken, 1, c.snd);
  rtt.restartAfterLostSyn();
  const { fastOpen } = c;
  c.fastOpen = undefined;
  if (fastOpen?.isEarly === true) {
    fastOpen.settle();
    c.retries = 0;
    c.timers.watchIdle();
    if (c.finQueued) c.to('close');
  } else establish(c);
  if (c.ecn !== undefined) {
    startEcn(c, c.ecn);
    // RFC 9768 3.2.2.1: only an ACK without data can say what the SYN-ACK looked like.
    if (c.ecn.accurate?.answersSynAck === true) sendAck(c);
  }
}

/** The connection is established: sizes the window, lets the application in. */
function establish(c: Connection): void {
  const { snd } = c;
  c.ecn?.accurate?.reserve();
  startMtu(c);
  // RFC 5681 3.1: a lost SYN or SYN-ACK leaves a window of one segment.
  const window = c.retries > c.config.forgivenSyns ? snd.mss : initialWindow(snd.mss, c.config.initialWindow);
  c.startCongestion(window);
  c.retries = 0;
  snd.smallEnd = snd.una;
  startBuffers(c);
  startAcks(c);
  c.timers.watchIdle();
  if (c.parent === undefined) c.tell(Tell.CONNECTED);
  if (c.finQueued) c.to('close');
}
