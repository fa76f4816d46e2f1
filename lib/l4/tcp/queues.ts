/** The queues of a connection: those that have something in them are its own, taken from the host's and given back. */

import type { Connection } from './connection.js';
import { NOTHING_RECEIVED, type ReceiveQueue } from './receive-queue.js';
import { NOTHING_QUEUED, type SendQueue } from './send-queue.js';

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

/** Nothing is left to be acknowledged, or nobody will. */
export function releaseQueue(c: Connection): void {
  if (c.queue === NOTHING_QUEUED) return;
  c.host.sendQueues.give(c.queue);
  c.queue = NOTHING_QUEUED;
}

/** Nothing is left to be read, or nobody will. */
export function releaseReceived(c: Connection): void {
  if (c.received === NOTHING_RECEIVED) return;
  c.host.receiveQueues.give(c.received);
  c.received = NOTHING_RECEIVED;
}
