/**
 * How large the buffers of a connection are. The receive buffer starts small and grows with what the application reads in a round trip (as
 * Linux's dynamic right-sizing), the send buffer with the congestion window; both end at a limit, and where they are set they stay as they are.
 */

import type { Connection } from './connection.js';
import { clampBuffer, firstWindow } from './options.js';
import type { Segment } from './segment.js';
import { timestamp } from './emit.js';
import { before } from './seq.js';

// Segments that are smaller cost more memory than they have data: they open no window (as with Linux).
const SMALL = 128;
// What the sender may send at the beginning of a round trip before it is known to be faster (Linux: TCP_INIT_CWND and some reserve).
const RESERVE = 16;
const INITIAL_SEGMENTS = 10;
// Round trips are never that short, but clocks are that coarse.
const LEAST_ROUND_TRIP = 0.001;

/** Measures how much an application reads in a round trip. Made with the first data. */
export class ReceiveTuning {
  /** The round-trip time as the receiver sees it: the time that a window takes, or an echoed timestamp; 0 before the first. */
  roundTrip = 0;
  private windowEnd = 0;
  private windowAt = -1;
  private lastEcho = 0;
  /** What was read in the last round trip that was more than all before; since when and where the current one is measured. */
  space: number;
  private since: number;
  private readTo: number;

  constructor(c: Connection) {
    this.space = Math.min(INITIAL_SEGMENTS * c.mssOffered, c.receiveBuffer);
    this.since = c.host.now;
    this.readTo = (c.rcv.nxt - c.received.length) | 0;
  }

  /** A segment came in order. */
  arrived(c: Connection, segment: Segment): void {
    const { rcv, host } = c;
    if (c.ts.on) {
      const { options } = segment;
      if (options.timestampEcho === this.lastEcho || segment.length < rcv.mss) return;
      this.lastEcho = options.timestampEcho;
      const elapsed = (timestamp(c) - options.timestampEcho) | 0;
      if (elapsed < 0) return;
      const sample = Math.max(LEAST_ROUND_TRIP, elapsed);
      this.roundTrip = this.roundTrip === 0 ? sample : this.roundTrip + (sample - this.roundTrip) / 8;
      return;
    }
    if (this.windowAt >= 0) {
      if (before(rcv.nxt, this.windowEnd)) return;
      const sample = Math.max(LEAST_ROUND_TRIP, host.now - this.windowAt);
      // An application that waits makes it longer, nothing makes it shorter.
      this.roundTrip = this.roundTrip === 0 ? sample : Math.min(this.roundTrip, sample);
    }
    this.windowEnd = rcv.edge;
    this.windowAt = host.now;
  }

  /** The application has read: after a round trip, what it has read in it shows what the buffer should be. */
  read(c: Connection, now: number): void {
    if (this.roundTrip === 0 || now - this.since < this.roundTrip) return;
    const position = (c.rcv.nxt - c.received.length) | 0;
    const copied = (position - this.readTo) | 0;
    if (copied > this.space) {
      // Twice, since the sender may double its rate in a round trip; and more in proportion, if it has.
      const base = 2 * copied + RESERVE * c.mssOffered;
      const wanted = base + 2 * Math.floor((base * (copied - this.space)) / this.space);
      if (wanted > c.receiveBuffer && !c.host.memory.isScarce) c.receiveBuffer = Math.min(wanted, c.receiveLimit);
      this.space = copied;
    }
    this.readTo = position;
    this.since = now;
  }
}

/** A segment with data came in order, and the window may grow with it. @param length of what was new in it */
export function growWindow(c: Connection, segment: Segment, length: number): void {
  const { rcv } = c;
  if (c.receiveBuffer < c.receiveLimit) {
    c.tuning ??= new ReceiveTuning(c);
    c.tuning.arrived(c, segment);
  }
  if (c.host.memory.isScarce) rcv.ssthresh = Math.min(rcv.ssthresh, 4 * c.mssOffered);
  else if ((length >= SMALL || length >= rcv.mss) && rcv.ssthresh < c.receiveBuffer) {
    rcv.ssthresh = Math.min(c.receiveBuffer, rcv.ssthresh + 2 * Math.max(length, c.mssOffered));
  }
}

/** The MSS is known: FreeBSD's buffers are a whole number of segments. */
export function startBuffers(c: Connection): void {
  const { config, rcv } = c;
  const mss = Math.min(c.peerMss, c.mssOffered);
  if (config.wholeSegmentBuffers && c.receiveBuffer > mss) {
    c.receiveBuffer = Math.ceil(c.receiveBuffer / mss) * mss;
    c.receiveLimit = Math.max(c.receiveLimit, c.receiveBuffer);
  }
  rcv.ssthresh = config.receiveWindow === 'whole' ? Number.POSITIVE_INFINITY : (rcv.edge - rcv.nxt) | 0;
}

/** The send buffer was too small for the congestion window, and a writer waits: room for the window and the next (as with Linux). */
export function growSendBuffer(c: Connection): void {
  if (c.sendBuffer >= c.sendLimit || c.host.memory.isScarce) return;
  const wanted = 2 * Math.max(c.congestion.cwnd, INITIAL_SEGMENTS * c.snd.mss);
  if (wanted > c.sendBuffer) c.sendBuffer = Math.min(wanted, c.sendLimit);
}

/** The buffer is to be this large from now on. What was promised to the peer stays promised. */
export function fixReceiveBuffer(c: Connection, bytes: number): void {
  c.receiveBuffer = c.receiveLimit = clampBuffer(bytes);
  c.rcv.ssthresh = Math.max(c.rcv.ssthresh, firstWindow(c.receiveBuffer, c.config.initialReceiveWindow));
  c.tuning = undefined;
}

export function fixSendBuffer(c: Connection, bytes: number): void {
  c.sendBuffer = c.sendLimit = clampBuffer(bytes);
}

/**
 * Whether there is room for `length` bytes in order. Out-of-order data make room first. What fits into the window that was promised does not
 * always: the buffer may have been made smaller since, or memory be short. An empty queue takes anything, so that it goes on.
 */
export function makeRoom(c: Connection, length: number): boolean {
  const { memory } = c.host;
  const queued = c.received.length;
  // The last unit of a scaled window may exceed the buffer.
  if (queued > 0 && queued + length > c.receiveBuffer + (1 << c.rcv.scale)) return false;
  if (!memory.admits(queued, length)) {
    c.dropGaps();
    return memory.admits(queued, length);
  }
  return true;
}
