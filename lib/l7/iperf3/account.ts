/** The account of one stream: bytes, and for datagrams how many came, in what order, how evenly. */

/** What was counted over some time. Differences of two looks are what an interval brought. */
export interface Count {
  readonly bytes: number;
  /** Datagrams sent, or the highest number that came; 0 for TCP. */
  readonly packets: number;
  /** Datagrams that did not come. */
  readonly lost: number;
  /** Datagrams that came after younger ones. */
  readonly outOfOrder: number;
}

/** No bytes, no datagrams. */
export const NOTHING: Count = { bytes: 0, packets: 0, lost: 0, outOfOrder: 0 };

/** What came between two looks. */
export function since(later: Count, earlier: Count): Count {
  return {
    bytes: later.bytes - earlier.bytes,
    packets: later.packets - earlier.packets,
    lost: later.lost - earlier.lost,
    outOfOrder: later.outOfOrder - earlier.outOfOrder,
  };
}

// RFC 3550 6.4.1: jitter is a running mean with a gain of a sixteenth.
const GAIN = 16;

/** Counts as the stream goes. */
export class Account implements Count {
  bytes = 0;
  packets = 0;
  lost = 0;
  outOfOrder = 0;
  /** Variation of the transit times, in milliseconds. */
  jitter = 0;
  private transit = Number.NaN;

  /**
   * Counts a datagram that came (RFC 3550 6.4.1 for the jitter).
   *
   * @param number from 1
   * @param sent by the sender's clock, in milliseconds
   * @param now by ours
   */
  arrived(length: number, number: number, sent: number, now: number): void {
    this.bytes += length;
    if (number > this.packets) {
      this.lost += number - this.packets - 1;
      this.packets = number;
    } else {
      this.outOfOrder++;
      // It was taken for lost when a younger one came. A copy of one that came was not, but who can tell.
      if (this.lost > 0) this.lost--;
    }
    const transit = now - sent;
    if (!Number.isNaN(this.transit)) this.jitter += (Math.abs(transit - this.transit) - this.jitter) / GAIN;
    this.transit = transit;
  }

  /** What was counted so far; it does not change. */
  look(): Count {
    return { bytes: this.bytes, packets: this.packets, lost: this.lost, outOfOrder: this.outOfOrder };
  }

  /** Begins to measure how evenly datagrams come anew. */
  resetJitter(): void {
    this.jitter = 0;
    this.transit = Number.NaN;
  }
}

/** When the next block may leave, so that the mean over the stream's life is a rate. */
export class Pacer {
  private readonly rate: number;
  private readonly start: number;

  /** @param bitrate in bits a second; 0: any @param now in milliseconds */
  constructor(bitrate: number, now: number) {
    this.rate = bitrate / 8000;
    this.start = now;
  }

  /** When the next byte after `bytes` may leave, in milliseconds; in the past where there is no limit. */
  due(bytes: number): number {
    return this.rate === 0 ? this.start : this.start + bytes / this.rate;
  }

  /** How many bytes should have left until `now`, in milliseconds, beyond `bytes`; `Infinity` where there is no limit. */
  behind(bytes: number, now: number): number {
    return this.rate === 0 ? Infinity : (now - this.start) * this.rate - bytes;
  }
}
