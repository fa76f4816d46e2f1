/**
 * Congestion window validation (RFC 7661): a window of which less than half was used lately says nothing about the network. It does not
 * grow, and is not trusted after a loss; but a pause does not take it away for five minutes either, as slow start after idle does.
 */

import type { Acknowledgment } from './congestion.js';

// RFC 7661 4.3: the non-validated period, in ms.
const NON_VALIDATED_PERIOD = 300_000;
// RFC 7661 4.2: what was delivered counts for three rounds, and for a second at least: for two parts of it, in ms, beside the current one.
const PART = 500;

/** What was proven of the window of one connection. */
export class WindowValidation {
  /** Half of the window was used lately, or nothing is known (RFC 7661 4.2). */
  valid = true;
  /** The most that was delivered in a round-trip time, in the current part and in those before it; a round at least makes a part. */
  private part0 = 0;
  private part1 = 0;
  private part2 = 0;
  private partAt: number = Number.NEGATIVE_INFINITY;
  /** Rounds that began. */
  private rounds = 0;
  /** When the window was last proven. */
  private provenAt = -1;

  /** Bytes that the network took in a round trip lately, at most; -1 before the first is measured. */
  get pipeAck(): number {
    return this.rounds < 2 ? -1 : Math.max(this.part0, this.part1, this.part2);
  }

  /** @param cwnd before it grows for this acknowledgment */
  acknowledged({ totalDelivered, priorDelivered, roundStart, now }: Acknowledgment, cwnd: number): void {
    if (roundStart) {
      this.rounds++;
      if (now - this.partAt >= PART) {
        this.partAt = now;
        this.part2 = this.part1;
        this.part1 = this.part0;
        this.part0 = 0;
      }
    }
    // Since what was acknowledged was sent, that is within a round-trip time.
    this.part0 = Math.max(this.part0, totalDelivered - priorDelivered);
    const { pipeAck } = this;
    this.valid = pipeAck < 0 || 2 * pipeAck >= cwnd;
    if (this.valid || this.provenAt < 0) this.provenAt = now;
  }

  /** What the network is known to take (RFC 7661 4.4.1). @param flight bytes in flight when a loss was found */
  proven(flight: number): number {
    return Math.max(this.pipeAck, flight);
  }

  /** A loss makes what was measured before it void. */
  forget(): void {
    this.part0 = this.part1 = this.part2 = this.rounds = 0;
    this.valid = true;
  }

  /** Whether the window was not proven for so long that it is too old; the period then begins anew (RFC 7661 4.4.3). */
  expire(now: number): boolean {
    if (this.provenAt < 0 || now - this.provenAt < NON_VALIDATED_PERIOD) return false;
    this.provenAt = now;
    return true;
  }
}
