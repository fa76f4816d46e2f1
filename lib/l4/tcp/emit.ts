/** The segments themselves (RFC 9293 3.1): header, options, payload, and what goes with each. */

import { type Frame, GsoType } from '../../core/frame.js';
import { Ecn as Codepoint } from '../../wire/ip.js';
import { TCP_HEADER, type TcpFields, TcpFlag, TcpSegment } from '../../wire/tcp.js';
import { MAX_SACK_BLOCKS, TcpOptions } from '../../wire/tcp-options.js';
import type { AccurateEcn } from './accecn.js';
import type { Connection } from './connection.js';
import { synAckOption, synFlags } from './ecn.js';
import { fastOpenSyn } from './fast-open.js';
import { flowOf } from './flow.js';
import { optionsOf } from './mss.js';
import type { Reassembly } from './reassembly.js';
import { after } from './seq.js';
import { advertiseWindow, receiveWindow } from './window.js';

const { Ack, Psh, Rst, Syn, Urg } = TcpFlag;
const ALIGNED_TIMESTAMPS = 0x0101_080a;
const TIMESTAMPS_LENGTH = 12;
const MAX_OPTIONS = 40;
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

/**
 * Sends a segment, or a super-segment.
 *
 * @param fresh whether there are data that were never sent @param size payload of each segment of a super-segment, else 0
 */
export function emit(
  c: Connection,
  seq: number,
  flags: number,
  offset: number,
  length: number,
  fresh: boolean,
  size = 0,
): void {
  // A short answer leaves in the slot in which it waits.
  const slot = length > 0 && length === c.queue.length ? c.queue.takeSlot() : undefined;
  const frame = slot ?? c.host.env.pool.alloc(length);
  let push = 0;
  if (length > 0) {
    const isPushed =
      slot === undefined ? c.queue.copy(offset, length, frame.slab.bytes, frame.put(length)) : c.queue.isPushed;
    if (isPushed) push = Psh;
    if (size > 0) leaveCutting(c, frame, length, size);
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
  frame.mtuProbe = length > c.snd.mss && size === 0;
  if (ecn === undefined || !ecn.agreed)
    write(c, c.trafficClass, frame, seq, flags | push, advertiseWindow(c), optionsLength);
  else {
    // RFC 3168 6.1.4, 6.1.5: no marks for acknowledgments, nor for what is sent again.
    const trafficClass = fresh && ecn.marks ? c.trafficClass | Codepoint.Ect0 : c.trafficClass;
    const bare = length === 0 && flags === Ack && options.sackCount === 0;
    write(c, trafficClass, frame, seq, flags | push | ecn.flags(fresh, bare), advertiseWindow(c), optionsLength);
    if (ecn.accurate !== undefined && length > 0) noteData(ecn.accurate, seq, size > 0 ? size : length, fresh);
  }
}

/** The device is to make segments of `size` bytes of it: all of them count. */
function leaveCutting({ version, host, statistics }: Connection, frame: Frame, length: number, size: number): void {
  frame.gsoType = version === 4 ? GsoType.TcpV4 : GsoType.TcpV6;
  frame.gsoSize = size;
  const more = Math.ceil(length / size) - 1;
  host.counters.segmentsOut += more;
  statistics.segmentsOut += more;
  statistics.dataSegmentsOut += more;
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
  const space = length > 0 ? Math.min(MAX_OPTIONS, optionsOf(c) + Math.max(0, c.snd.mss - length)) : MAX_OPTIONS;
  const { sackCount } = options;
  options.sackCount = Math.min(sackCount, MIN_SACK_BLOCKS);
  accurate.addOption(options, space - options.length, c.host.now);
  while (options.sackCount < sackCount && options.length + 8 <= space) options.sackCount++;
  return options.length;
}

/** Watches whether data with the option of accurate ECN get through. @param length of the first segment */
function noteData(accurate: AccurateEcn, seq: number, length: number, fresh: boolean): void {
  if (!fresh) accurate.resent(seq);
  else if (options.accurateEcn.kind !== 0) accurate.sentWithData((seq + length) | 0);
}

/** RFC 9293 3.8.5, MUST-62: the pointer is to the byte behind the urgent data; as far as it reaches, where they are further away. */
function pointToUrgent(c: Connection, up: number): void {
  const { snd } = c;
  header.urgentPointer = 0;
  if (!after(up, snd.una)) snd.up = undefined;
  else if (after(up, header.sequence | 0) && !(header.flags & (Syn | Rst))) {
    header.flags |= Urg;
    header.urgentPointer = Math.min(0xffff, (up - header.sequence) | 0);
  }
}

/** Puts the header in front of the payload and hands the segment to IP. With SYN, SACK or accurate ECN, `options` holds the options. */
function write(
  c: Connection,
  trafficClass: number,
  frame: Frame,
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
  const { up } = c.snd;
  if (up === undefined) header.urgentPointer = 0;
  else pointToUrgent(c, up);
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
  const pseudoSum = c.pseudoSum + frame.length;
  if (c.leavesChecksums) TcpSegment.leaveChecksum(frame, pseudoSum);
  else TcpSegment.seal(frame, pseudoSum);
  if (flags & Ack) c.timers.acknowledged();
  c.host.counters.segmentsOut++;
  c.statistics.segmentsOut++;
  c.host.output.send(frame, flow);
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

/** Sends our SYN, or in answer to the peer's the SYN-ACK. */
function sendSyn(c: Connection): void {
  const flags = (c.state === 'SYN-SENT' ? Syn : Syn | Ack) | synFlags(c);
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
  // First: the way out may throw.
  c.timers.armRetransmit();
  c.synSentAt = c.host.now;
  sendSyn(c);
}

/** Sends it again, since it seems to be lost or since the peer sends its own again; or, where both ends open, as SYN-ACK. */
export function resendSyn(c: Connection): void {
  // Nobody knows which of them will be acknowledged (Karn).
  c.synSentAt = -1;
  sendSyn(c);
}

/** What the SYN says of us; in a SYN-ACK only what the peer's SYN offered too (RFC 7323 1.3, RFC 2018 2). */
function synOptions(c: Connection): void {
  options.clear();
  options.mss = c.config.mssOption ? c.mssOffered : 0;
  options.sackPermitted = c.sackPermitted;
  options.hasTimestamps = c.ts.on;
  options.timestampValue = timestamp(c);
  options.timestampEcho = c.ts.recent >>> 0;
  if (c.scaling) options.windowScale = c.rcv.scale;
}

/** The value of our timestamp clock (RFC 7323 5.4: milliseconds, whose fractions `>>>` cuts off, and a random offset). */
export function timestamp(c: Connection): number {
  return (c.host.now + c.ts.offset) >>> 0;
}
