/** Receive packet steering that comes and goes with the traffic: for bulk, in which a processor of its own for the kernel's part pays. */

import { closeSync, writeSync } from 'node:fs';
import { libc } from './libc.js';
import { maskOf, openQueueProcessors, type QueueProcessors } from './receive-steering.js';
import type { Adaptive, Traffic } from './traffic.js';

/** Bulk is so many frames, both ways, from one look to the next. */
const MANY = 200;
/** Of so many bytes on average: data of full size and the acknowledgments that they take. */
const LONG = 512;
/** One frame in so many goes the other way, at least: what is acknowledged slows down where packets are lost, and what is not must not lose any. */
const ONE_WAY = 64;
/** It is over after so many looks without. */
const PATIENCE = 10;
/** No processor is spared: nothing is steered. */
const NONE = -1;

/**
 * Has the kernel take in what is written here on the other processors while there is bulk of connections, and where it is written while there is none:
 * requests, answers and short connections lose more by the interrupts between processors than they gain. For an interface with one queue.
 */
export class BulkSteering implements Adaptive {
  private readonly queue: QueueProcessors;
  private readonly current: () => number;
  /** The one that is spared, on which this thread was when it was looked at last. */
  private spared = NONE;
  private calm = 0;

  /**
   * Steers nothing yet.
   *
   * @param current number of the processor that this thread runs on
   * @throws NetError as `steerReceiving` does
   */
  constructor(
    name: string,
    queue: QueueProcessors = openQueueProcessors(name),
    current: () => number = () => libc().currentProcessor(),
  ) {
    this.queue = queue;
    this.current = current;
  }

  look({ received, sent, bytes }: Traffic): void {
    const frames = received + sent;
    const isBulk = frames >= MANY && bytes >= LONG * frames && ONE_WAY * Math.min(received, sent) >= frames;
    if (isBulk) {
      this.calm = 0;
      this.spare(this.current());
    } else if (bytes === 0 || ++this.calm >= PATIENCE) this.spare(NONE);
  }

  /** What is on its way to other processors may be overtaken by what comes after, as where a flow's processor changes by itself. */
  private spare(processor: number): void {
    if (processor === this.spared) return;
    this.spared = processor;
    const { fd, online } = this.queue;
    const others = processor === NONE ? [] : online.filter((one) => one !== processor);
    try {
      writeSync(fd, `${maskOf(others)}\n`);
    } catch {
      // The interface is gone, which its device finds out by itself.
    }
  }

  close(): void {
    this.spare(NONE);
    closeSync(this.queue.fd);
  }
}
