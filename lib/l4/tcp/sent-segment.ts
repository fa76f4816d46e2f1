/** What is remembered of a segment that was sent, or of a super-segment; the bytes themselves stay in the send queue. */

/** One segment that was sent. Sequence numbers are signed. */
export class SentSegment {
  /** Its sequence space: `seq` (inclusive) to `end` (exclusive), FIN included. */
  seq = 0;
  end = 0;
  fin = false;
  /** Of a super-segment, which was never sent again: bytes of data in each of its segments, and in the last what is left; else 0. */
  size = 0;
  /** When it was sent last, and first. */
  sentAt = 0;
  firstSentAt = 0;
  /** Its place among all transmissions of the connection, of a super-segment that of its first segment; wraps. */
  order = 0;
  /** How often it was sent. */
  transmissions = 0;
  /** The peer says that it has it (RFC 2018); it may yet change its mind. */
  sacked = false;
  /** Believed lost. */
  lost = false;
  /** What was sent again is believed to be in flight, beside the original if that is not believed lost. */
  retransmitted = false;
  /** It was counted as delivered once, whatever is believed of it now. */
  delivered = false;
  /** What `rate` notes when it is sent: delivered and lost until then, the times of the last delivery and of the sending of that, and the flight. */
  priorDelivered = 0;
  priorDeliveredAt = 0;
  priorSentAt = 0;
  priorLost = 0;
  inFlight = 0;
  appLimited = false;
  next: SentSegment | undefined = undefined;
  prev: SentSegment | undefined = undefined;
  /** Neighbours in the order of sending, while it is in flight. */
  later: SentSegment | undefined = undefined;
  earlier: SentSegment | undefined = undefined;
  /** Whether it is in that order. */
  timed = false;

  get span(): number {
    return (this.end - this.seq) | 0;
  }

  /** Bytes of data. */
  get data(): number {
    return ((this.end - this.seq) | 0) - (this.fin ? 1 : 0);
  }

  /** How many segments it is on the wire. */
  get segments(): number {
    return this.size === 0 ? 1 : Math.ceil(this.data / this.size);
  }

  /** The place of its last segment in the order of sending. */
  get lastOrder(): number {
    return this.size === 0 ? this.order : (this.order + this.segments - 1) | 0;
  }

  /** Sequence space of the largest of its segments. */
  get largest(): number {
    return this.size === 0 ? this.span : this.size;
  }

  /** One segment, sent once, of whose fate nothing is known. */
  get isPlain(): boolean {
    return this.size === 0 && this.transmissions === 1 && !this.sacked && !this.lost && !this.delivered;
  }

  /** Lost, and not sent again since. */
  get due(): boolean {
    return this.lost && !this.retransmitted;
  }
}

/** Recycles {@link SentSegment}s. */
export class SentSegmentPool {
  private free: SentSegment | undefined = undefined;

  take(): SentSegment {
    const segment = this.free;
    if (segment === undefined) return new SentSegment();
    this.free = segment.next;
    segment.next = undefined;
    segment.sacked = segment.lost = segment.retransmitted = segment.delivered = false;
    return segment;
  }

  give(segment: SentSegment): void {
    segment.prev = undefined;
    segment.next = this.free;
    this.free = segment;
  }
}
