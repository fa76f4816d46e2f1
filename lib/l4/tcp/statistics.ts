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
  /** How long there was something to send; and what kept it, if anything ever did. In milliseconds. */
  busyTime = 0;
  waits: Waits | undefined = undefined;

  /** `kind` took so much time. */
  spend(kind: number, time: number): void {
    if (kind === Chrono.IDLE) return;
    this.busyTime += time;
    if (kind === Chrono.BUSY) return;
    this.waits ??= new Waits();
    if (kind === Chrono.PEER_WINDOW) this.waits.peerWindow += time;
    else this.waits.sendBuffer += time;
  }
}

/** What keeps a connection from sending, as `tcp_info` divides its time. */
export const Chrono = { IDLE: 0, BUSY: 1, PEER_WINDOW: 2, SEND_BUFFER: 3 } as const;

/** What of the time in which there was something to send was lost to the peer's window and to our send buffer, in milliseconds. */
class Waits {
  peerWindow = 0;
  sendBuffer = 0;
}

/** Sees how long there is something to send, and what keeps it. Times in milliseconds. */
export class ChronoWatch {
  private running: number = Chrono.IDLE;
  private since = 0;

  /** From now on it is `kind` that takes the time. */
  start(kind: number, now: number, statistics: Statistics): void {
    if (kind === this.running) return;
    statistics.spend(this.running, now - this.since);
    this.running = kind;
    this.since = now;
  }

  /** The time that `kind` is taking. */
  current(kind: number, now: number): number {
    return this.running === kind ? now - this.since : 0;
  }
}
