/**
 * Segments that come together, as a device brings them that has read them at once: first all are received, then their connections' owners are told, then
 * what was sent goes. A part of the code at a time is what a processor's cache holds, and who is told of several segments at once has less to do.
 */

import type { Drops } from '../../core/drops.js';
import type { Timers } from '../../core/timers.js';
import type { IpOutput } from '../../l3/ip-output.js';
import type { IpPacket } from '../../wire/ip.js';
import type { Connection } from './connection.js';
import { SegmentQueue } from './segment-queue.js';

// Longer ones are of bulk: they do not wait for others, so that each is acknowledged while it is new, and its buffer soon free.
const SHORT = 1024;

/** The host whose segments they are. */
export interface BatchHost {
  readonly output: IpOutput;
  lender: Connection | undefined;
  enter(): void;
  leave(): void;
  /** Receives one, within an event. */
  process(packet: IpPacket): void;
}

/** The segments of a host that came in the event that is going on. */
export class Batch {
  private readonly host: BatchHost;
  private readonly timers: Timers;
  private readonly segments: SegmentQueue = new SegmentQueue();
  /** Connections whose queues refer to frames of theirs. */
  private readonly lenders: Connection[] = [];

  constructor(host: BatchHost, timers: Timers) {
    this.host = host;
    this.timers = timers;
  }

  /** Takes a segment in, to be received when the event ends. If not, it is to be received now: those before it have been. */
  takes(packet: IpPacket): boolean {
    const { segments } = this;
    if (packet.frame.length > SHORT || (segments.isEmpty && !this.timers.atEnd(this.end))) {
      if (!segments.isEmpty) this.end();
      return false;
    }
    segments.push(packet);
    return true;
  }

  /** The host is no more. */
  drop(drops: Drops): void {
    this.segments.drop(drops);
  }

  private readonly end = (): void => {
    const { host, segments } = this;
    if (segments.isEmpty) return;
    host.output.hold();
    try {
      this.receive();
    } finally {
      try {
        host.output.letGo();
      } finally {
        this.keep();
        segments.release();
      }
    }
  };

  private receive(): void {
    const { host } = this;
    host.enter();
    try {
      this.processAll();
    } finally {
      host.leave();
    }
  }

  private processAll(): void {
    const { host, segments, lenders } = this;
    try {
      for (let packet = segments.take(); packet !== undefined; packet = segments.take()) {
        try {
          host.process(packet);
        } finally {
          if (host.lender !== undefined) lenders.push(host.lender);
          host.lender = undefined;
        }
      }
    } finally {
      // Where the way out threw, the others have their turn.
      if (!segments.isEmpty) this.processAll();
    }
  }

  /** The frames are about to go: what was not read of them is kept. */
  private keep(): void {
    const { lenders } = this;
    for (let i = 0; i < lenders.length; i++) lenders[i]?.received.keep();
    while (lenders.length > 0) lenders.pop();
  }
}
