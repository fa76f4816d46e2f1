/** What a connection counts, for `info()`: one field a count, and nothing that could be found out otherwise. */

/** Counts of one connection. All only grow. */
export class Statistics {
  segmentsIn = 0;
  segmentsOut = 0;
  /** Those with data. */
  dataSegmentsIn = 0;
  dataSegmentsOut = 0;
  /** Received in order. */
  bytesReceived = 0;
  bytesAcked = 0;
  /** With those that were sent again. */
  bytesSent = 0;
  bytesRetransmitted = 0;
  retransmits = 0;
  /** Duplicates that the peer reported (RFC 2883). */
  duplicatesReported = 0;
  /** When data, and an acknowledgment, last came. */
  lastDataAt = 0;
  lastAckAt = 0;
}

/** What keeps a connection from sending, as `tcp_info` divides its time. */
export const Chrono = { IDLE: 0, BUSY: 1, PEER_WINDOW: 2, SEND_BUFFER: 3 } as const;

/** How long a connection had something to send, and what kept it. Made with the first write. Times in milliseconds. */
export class ChronoWatch {
  private running = 0;
  private since = 0;
  private readonly times: [number, number, number, number] = [0, 0, 0, 0];

  /** From now on it is `kind` that takes the time. */
  start(kind: number, now: number): void {
    if (kind === this.running) return;
    this.times[this.running] = (this.times[this.running] ?? 0) + now - this.since;
    this.running = kind;
    this.since = now;
  }

  /** The time that `kind` has taken. */
  time(kind: number, now: number): number {
    return (this.times[kind] ?? 0) + (this.running === kind ? now - this.since : 0);
  }
}
