/** What both ends of the mixed load know, and what they tell. */

/** Bytes of one bulk transfer; both ways are digested whole. */
export const TRANSFER: number = 64 << 20;
/** Bytes of each write. */
export const BLOCK = 65_536;
/** Of SHA-256. */
export const DIGEST = 32;

/** What the service says of itself every second. */
export interface Health {
  /** Bytes: of the process; of the JavaScript heap with the buffers outside of it. */
  readonly rss: number;
  readonly heap: number;
  /** Milliseconds by which the event loop was late, 99th percentile of the second. */
  readonly delayP99: number;
  /** Connections. */
  readonly size: number;
}

/** What the load did. */
export interface Done {
  /** Transfers to the service and from it whose digest was right, and those where it was not. */
  readonly sent: number;
  readonly received: number;
  /** Short connections whose echo was right, and datagrams. */
  readonly connections: number;
  readonly datagrams: number;
  /** Datagrams that were not answered: queues may overflow. */
  readonly datagramsLost: number;
  /** Anything that was not as it should be, by what it was. */
  readonly wrong: Readonly<Record<string, number>>;
}
