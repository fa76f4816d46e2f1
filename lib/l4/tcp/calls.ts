/** What an application asks of a connection (RFC 9293 3.9.1): writing, reading, closing. */

import { checkRange } from '../../core/copy.js';
import type { ByteSink, TcpShutdown, TcpWriteOptions } from './api.js';
import { isAckDueOnRead } from './acks.js';
import type { Connection } from './connection.js';
import { linger as startLinger } from './linger.js';
import { reset, sendAck } from './emit.js';
import { inCall, inEvent } from './event.js';
import { mayTransmit } from './fast-open.js';
import { fullSize, isSynInFlight, unsentBytes } from './segment-size.js';
import { push, transmit } from './send.js';
import { canSend, isSynchronised } from './state.js';
import { Chrono } from './statistics.js';
import { Tell } from './tell.js';
import { isUpdateDue } from './window.js';
import { ownQueue, releaseReceived } from './queues.js';

// What Linux gives to the device at once, headers included.
const LARGEST_BURST = 65_215;

/** See `TcpConnection.write`. */
export function write(c: Connection, bytes: Uint8Array, options: TcpWriteOptions | undefined): number {
  return put(c, bytes, 0, bytes.length, false, options);
}

/** See `TcpConnection.writeCopy`. */
export function writeCopy(
  c: Connection,
  bytes: Uint8Array,
  from: number,
  to: number,
  options: TcpWriteOptions | undefined,
): number {
  checkRange(bytes, from, to);
  return put(c, bytes, from, to, true, options);
}

function put(
  c: Connection,
  bytes: Uint8Array,
  from: number,
  to: number,
  copied: boolean,
  options: TcpWriteOptions | undefined,
): number {
  if (c.finQueued || c.over || c.abandoned) throw c.failure('EPIPE', 'write');
  const length = to - from;
  const taken = Math.min(length, roomToWrite(c));
  if (taken < length) c.blocked = true;
  if (taken <= 0) return 0;
  c.host.memory.used += taken;
  enqueue(c, bytes, from, from + taken, copied, options?.more !== true || taken < length);
  c.unflushed = true;
  if (c.settings !== undefined) c.settings.more = false;
  if (options !== undefined) mark(c, options, taken === length);
  if (mayTransmit(c)) {
    c.host.enter();
    try {
      c.queue.watch.start(Chrono.BUSY, c.host.now, c.statistics);
      if (c.host.isTelling) {
        // More may be written before that is over: one full segment is better than two.
        c.pushing = true;
        c.host.wake(c);
      } else transmit(c);
    } finally {
      c.host.leaveLater();
    }
  }
  return taken;
}

/**
 * Queues what was taken. Its end is pushed (RFC 9293 MUST-60, MUST-61), in place of an earlier one that was not sent yet; and as with Linux
 * what is more than half the largest window of the peer before that, so that its application does not wait for all of it.
 */
function enqueue(c: Connection, bytes: Uint8Array, from: number, to: number, copied: boolean, push: boolean): void {
  const queue = ownQueue(c);
  if (unsentBytes(c) > 0) queue.unpush();
  let at = from;
  const half = c.snd.maxWnd >>> 1;
  const segment = fullSize(c);
  if (to - from > half && half >= segment) {
    const burst = Math.min(half, LARGEST_BURST);
    const step = Math.ceil((half + 1) / (burst - (burst % segment))) * (burst - (burst % segment));
    for (; to - at > step; at += step) append(c, bytes, at, at + step, copied, true);
  }
  append(c, bytes, at, to, copied, push);
}

function append(c: Connection, bytes: Uint8Array, from: number, to: number, copied: boolean, push: boolean): void {
  if (copied) c.queue.pushCopy(bytes, from, to, push, c.host.env.pool);
  else c.queue.push(bytes, from, to, push);
}

function mark(c: Connection, options: TcpWriteOptions, whole: boolean): void {
  if (options.more === true && whole) c.ownSettings.more = true;
  if (options.urgent !== true || !whole) return;
  const { snd } = c;
  // Until our SYN is acknowledged it stands before the queue.
  snd.up = (snd.una + c.queue.length + (isSynInFlight(c) ? 1 : 0)) | 0;
}

/** Bytes that a write would take. */
export function roomToWrite(c: Connection): number {
  const room = c.sendBuffer - c.queue.length;
  return room <= 0 ? 0 : c.host.memory.grant(c.queue.length, room);
}

/** See `TcpConnection.end`. */
export function end(c: Connection): void {
  if (c.finQueued || c.over) return;
  if (c.pushing) inCall(c, push);
  c.finQueued = true;
  c.unflushed = true;
  // Before ESTABLISHED the FIN waits for the handshake (RFC 9293 3.10.4), unless data need not (RFC 7413 4.2.2).
  if (!isSynchronised(c.state) && c.fastOpen?.isEarly !== true) return;
  inCall(c, sendFin);
}

function sendFin(c: Connection): void {
  c.to('close');
  transmit(c);
}

/** See `TcpConnection.read`. */
export function read(c: Connection, max: number): Uint8Array | undefined {
  if (c.abandoned) return undefined;
  const bytes = c.received.read(max);
  taken(c, bytes === undefined ? 0 : bytes.length);
  wasRead(c, bytes !== undefined);
  return bytes;
}

/** See `TcpConnection.consume`. */
export function consume(c: Connection, sink: ByteSink, max: number): number {
  if (c.abandoned) return 0;
  const { received } = c;
  const count = max > 0 ? received.take(max) : 0;
  if (count > 0) {
    // The sink may do anything, and the queue be another connection's soon.
    const { taken: bytes, takenFrom: from } = received;
    taken(c, count);
    sink(bytes, from, from + count);
  }
  wasRead(c, count > 0);
  return count;
}

/** See `TcpConnection.readInto`. */
export function readInto(c: Connection, target: Uint8Array): number {
  let sum = 0;
  while (sum < target.length && !c.abandoned) {
    const { received } = c;
    const count = received.take(target.length - sum);
    if (count === 0) break;
    target.set(received.taken.subarray(received.takenFrom, received.takenFrom + count), sum);
    sum += count;
    taken(c, count);
  }
  wasRead(c, sum > 0);
  return sum;
}

/** See `TcpConnection.discard`. */
export function discard(c: Connection, max: number): number {
  let sum = 0;
  while (sum < max && !c.abandoned) {
    const count = c.received.take(max - sum);
    if (count === 0) break;
    sum += count;
    taken(c, count);
  }
  wasRead(c, sum > 0);
  return sum;
}

/** Bytes were taken off the queue. */
function taken(c: Connection, count: number): void {
  if (c.received.length === 0) releaseReceived(c);
  if (!c.released) c.host.memory.used -= count;
}

/** The application has read: what follows from that for the window and for acknowledgments. @param something whether there was anything */
function wasRead(c: Connection, something: boolean): void {
  // Also where there was nothing: the owner may have been quicker than the news.
  c.told = false;
  if (!something || c.abandoned) return;
  c.tuning?.read(c, c.host.clock());
  if (c.rcv.up !== undefined && urgentAhead(c) === 0) c.rcv.up = undefined;
  if (c.over || c.eof) {
    c.host.enter();
    c.maybeClosed();
    c.host.leaveLater();
  } else if (isAckDueOnRead(c) || isUpdateDue(c)) inCall(c, sendAck);
}

/** Bytes from the reader's position to the end of the urgent data. */
export function urgentAhead(c: Connection): number {
  const { up, nxt } = c.rcv;
  if (up === undefined) return 0;
  // The FIN, which stands before RCV.NXT, is not to be read.
  const end = c.eof ? nxt - 1 : nxt;
  return Math.max(0, (up - end + c.received.length) | 0);
}

/** See `TcpConnection.close`. */
export function close(c: Connection): void {
  if (!c.abandoned) inEvent(c, closeNow);
}

function closeNow(c: Connection): void {
  push(c);
  c.abandoned = true;
  const linger = c.settings?.linger ?? -1;
  const unread = c.received.length > 0;
  c.dropReceived();
  if (!isSynchronised(c.state) && c.state !== 'SYN-RECEIVED') c.terminate(undefined);
  else if (linger === 0) drop(c);
  else if (unread && c.config.resetUnread && c.state !== 'TIME-WAIT') {
    // RFC 9293 SHLD-3: the peer must learn that data were lost.
    reset(c);
    c.terminate(undefined);
  } else {
    end(c);
    if (c.state === 'FIN-WAIT-2') c.timers.waitForFin();
    if (linger > 0) startLinger(c, linger);
  }
  c.maybeClosed();
}

/** See `TcpConnection.abort`. */
export function abort(c: Connection): void {
  inEvent(c, abortNow);
}

function abortNow(c: Connection): void {
  push(c);
  c.abandoned = true;
  c.dropReceived();
  if (wantsReset(c)) reset(c);
  if (c.state !== 'CLOSED') c.terminate(c.over ? undefined : 'ECONNABORTED');
  c.maybeClosed();
}

/** See `TcpConnection.disconnect`. */
export function disconnect(c: Connection): void {
  inEvent(c, disconnectNow);
}

function disconnectNow(c: Connection): void {
  push(c);
  c.abandoned = true;
  c.dropReceived();
  drop(c);
  c.maybeClosed();
}

/** Ends the connection without a word to its owner. */
function drop(c: Connection): void {
  if (wantsReset(c)) reset(c);
  if (c.state !== 'CLOSED' && c.state !== 'TIME-WAIT') c.terminate(undefined);
}

function wantsReset({ state }: Connection): boolean {
  return state === 'SYN-RECEIVED' || (canSend(state) && state !== 'CLOSING') || state === 'FIN-WAIT-2';
}

/** See `TcpConnection.shutdown`. */
export function shutdown(c: Connection, how: TcpShutdown): void {
  if (c.over || c.abandoned) throw c.failure('ENOTCONN', 'shutdown');
  if (c.state === 'SYN-SENT') {
    c.host.enter();
    c.terminate('ECONNABORTED');
    c.host.leaveLater();
    return;
  }
  if (how !== 'write' && !c.readShut) {
    c.readShut = true;
    c.host.enter();
    c.tell(Tell.READABLE);
    c.host.leaveLater();
  }
  if (how !== 'read') end(c);
}
