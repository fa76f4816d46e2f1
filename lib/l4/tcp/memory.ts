/** The memory for queued data of all connections of a host: how much is used, and what that means for each. */

// Every connection may have this much queued each way, whatever the others have: so that there is progress, always.
const FLOOR = 4096;

/** The budget of a host, in bytes. */
export class Memory {
  /** Written and not acknowledged, received and not read, received out of order (with what its pieces cost besides): of all connections. */
  used = 0;
  private limit = 0;
  private high = 0;

  constructor(limit: number) {
    this.limitTo(limit);
  }

  /** There are so many bytes from now on. Where more are used, they stay. */
  limitTo(limit: number): void {
    this.limit = limit;
    this.high = Math.floor(limit * 0.75);
  }

  /** Three quarters are used: buffers do not grow, and windows shrink. */
  get isScarce(): boolean {
    return this.used >= this.high;
  }

  /** Whether `bytes` more may be queued in order, where `queued` are. */
  admits(queued: number, bytes: number): boolean {
    return this.used + bytes <= this.limit || queued + bytes <= FLOOR || queued === 0;
  }

  /** Whether `bytes` more may be queued out of order: the first that is given up. */
  admitsOutOfOrder(bytes: number): boolean {
    return this.used + bytes <= this.limit;
  }

  /** How much of `bytes` may be written where `queued` are. */
  grant(queued: number, bytes: number): number {
    return Math.min(bytes, Math.max(this.limit - this.used, FLOOR - queued, 0));
  }
}
