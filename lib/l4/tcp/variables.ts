/** The variables of RFC 9293 3.3.1 and RFC 7323 3, as a connection's control block holds them. */

/** SND.*: signed sequence numbers, sizes in bytes. */
export class SendVariables {
  iss = 0;
  una = 0;
  nxt = 0;
  wnd = 0;
  /** SEG.SEQ and SEG.ACK of the last window update. */
  wl1 = 0;
  wl2 = 0;
  /** The largest window that the peer ever offered. */
  maxWnd = 0;
  /** Shift of the peer's window field. */
  scale = 0;
  /** Largest payload of a segment: the peer's MSS and the path's, less our options. */
  mss = 536;
  /** End of the last segment that was not full: what Nagle's algorithm waits for (Minshall's variant). */
  smallEnd = 0;
  /** When data were last sent. */
  lastAt = 0;
  /** SND.UP, the sequence number behind urgent data, while there are some that were not acknowledged. */
  up: number | undefined = undefined;
}

/** RCV.*: signed sequence numbers, sizes in bytes. */
export class ReceiveVariables {
  irs = 0;
  nxt = 0;
  /** The furthest right edge that was advertised. */
  edge = 0;
  /** Shift of our window field, as our SYN says it. */
  scale = 0;
  /** RCV.NXT when we last sent an ACK. */
  ackSent = 0;
  /** The largest payload seen: what counts as a full segment (RMSS). */
  mss = 0;
  /** What is offered of the buffer at most; grows as data come. */
  ssthresh = 0;
  /** The size of the last segment if it may be a full one of a sender whose segments became smaller. */
  lastSize = 0;
  /** How long acknowledgments are delayed, 0 before the first data. */
  ato = 0;
  /** The application answers what it is sent: acknowledgments wait for the answers. */
  interactive = false;
  /** The last segments, since the last ACK, were not full: bits of `acks`. */
  pushed = 0;
  /** RCV.UP, the sequence number behind urgent data, while some were announced and not all read. */
  up: number | undefined = undefined;
  /** Of the FIN, once it came. */
  finSeq: number | undefined = undefined;
}

/** Timestamps of a connection (RFC 7323 3). */
export class TimestampState {
  /** Both SYNs had some; in SYN-SENT: ours. */
  on = false;
  offset = 0;
  /** TS.Recent, and when it was set. */
  recent = 0;
  recentAt = 0;
}
