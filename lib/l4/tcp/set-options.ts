/** Options that an application changes while the connection is there. */

import { setQuick } from './acks.js';
import { fixReceiveBuffer, fixSendBuffer } from './buffers.js';
import type { Connection } from './connection.js';
import { inCall } from './event.js';
import { mayTransmit } from './fast-open.js';
import { Keepalive } from './keepalive.js';
import { userTimeoutFor } from './options.js';
import { pacingRate } from './pacing.js';
import { fitMtu } from './plpmtud.js';
import { sendAck } from './emit.js';
import { transmit } from './send.js';
import { isSynchronised } from './state.js';
import { isUpdateDue } from './window.js';

/** What was held back may go out now. */
function push(c: Connection): void {
  if (!mayTransmit(c) || (c.queue.length === 0 && !c.finQueued)) return;
  inCall(c, transmit);
}

export function setNoDelay(c: Connection, on: boolean): void {
  c.noDelay = on;
  if (on) push(c);
}

export function setCork(c: Connection, on: boolean): void {
  if (!on && c.settings?.corked !== true) return;
  c.ownSettings.corked = on;
  if (!on) push(c);
}

export function setQuickAck(c: Connection, on: boolean): void {
  if (!setQuick(c, on)) return;
  inCall(c, sendAck);
}

export function setKeepAlive(c: Connection, on: boolean, idle?: number, interval?: number, count?: number): void {
  c.keepalive = on ? new Keepalive(c.config, idle, interval, count) : undefined;
  c.host.enter();
  c.timers.watchIdle();
  c.host.leaveLater();
}

export function setUserTimeout(c: Connection, milliseconds: number): void {
  c.userTimeout = userTimeoutFor(milliseconds, c.config);
  c.host.enter();
  c.timers.limitByUserTimeout();
  c.host.leaveLater();
}

export function setReceiveBuffer(c: Connection, bytes: number): void {
  fixReceiveBuffer(c, bytes);
  if (!isSynchronised(c.state) || c.over || c.eof || !isUpdateDue(c)) return;
  inCall(c, sendAck);
}

export function setSendBuffer(c: Connection, bytes: number): void {
  fixSendBuffer(c, bytes);
  c.host.enter();
  c.drained();
  c.host.leaveLater();
}

export function setMaxPacingRate(c: Connection, bytesPerSecond: number): void {
  c.maxPacingRate = bytesPerSecond / 1000;
  c.pacer?.change(pacingRate(c), c.snd.mss, c.host.clock());
  push(c);
}

export function setTrafficClass(c: Connection, value: number): void {
  // The low two bits are ECN's.
  c.trafficClass = value & 0xfc;
}

export function setHopLimit(c: Connection, hops: number): void {
  if (!Number.isInteger(hops) || hops < 1 || hops > 0xff) throw c.failure('EINVAL', 'setsockopt');
  c.hopLimit = hops;
}

export function setMaxSegmentSize(c: Connection, bytes: number): void {
  c.mssLimit = Math.max(1, Math.min(0xffff, Math.floor(bytes)));
  if (!isSynchronised(c.state) || c.over) return;
  inCall(c, resize);
}

function resize(c: Connection): void {
  fitMtu(c);
  transmit(c);
}
