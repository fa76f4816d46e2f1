/** The queues of a connection: those that have something in them are its own, taken from the host's and given back. */

import type { Connection } from './connection.js';
import { NOTHING_RECEIVED, type ReceiveQueue } from './receive-queue.js';
import { RateSampler } from './rate.js';
import { NOTHING_QUEUED, type SendQueue } from './send-queue.js';
import { NOTHING_SENT, type SentQueue } from './sent-queue.js';
import { Chrono } from './statistics.js';

/** The queue of what is to be sent, to put something in. */
export function ownQueue(c: Connection): SendQueue {
  if (c.queue === NOTHING_QUEUED) c.queue = c.host.sendQueues.take();
  return c.queue;
}

/** The queue of what was received, to put something in. */
export function ownReceived(c: Connection): ReceiveQueue {
  if (c.received === NOTHING_RECEIVED) c.received = c.host.receiveQueues.take();
  return c.received;
}

/** The queue of what awaits acknowledgment, to put something in. */
export function ownSent(c: Connection): SentQueue {
  if (c.sent === NOTHING_SENT) {
    c.rate ??= new RateSampler();
    c.sent = c.host.sentQueues.take();
    c.sent.rate = c.rate;
    c.sent.use.begin(c.snd.una);
  }
  return c.sent;
}

/** Nothing is in flight any more. */
export function releaseSent(c: Connection): void {
  if (c.sent === NOTHING_SENT) return;
  c.sent.clear();
  c.host.sentQueues.give(c.sent);
  c.sent = NOTHING_SENT;
  // The next queue numbers what it sends as it likes.
  c.recovery.rack?.rest();
}

/** Nothing is left to be acknowledged, or nobody will. */
export function releaseQueue(c: Connection): void {
  if (c.queue === NOTHING_QUEUED) return;
  c.queue.watch.start(Chrono.IDLE, c.host.now, c.statistics);
  c.queue.clear();
  c.host.sendQueues.give(c.queue);
  c.queue = NOTHING_QUEUED;
}

/** Nothing is left to be read, or nobody will. */
export function releaseReceived(c: Connection): void {
  if (c.received === NOTHING_RECEIVED) return;
  c.received.clear();
  c.host.receiveQueues.give(c.received);
  c.received = NOTHING_RECEIVED;
}
