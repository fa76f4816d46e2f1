/**
 * Proportional rate reduction (RFC 6937, draft-ietf-tcpm-prr-rfc6937bis): while losses are repaired the window shrinks to `ssthresh` in step
 * with what arrives, so that sending neither stops nor bursts.
 */

/** One reduction of the window. Sizes in bytes. */
export class Prr {
  /** RecoverFS: the window when it began. */
  private prior = 0;
  /** Delivered and sent since. */
  private delivered = 0;
  private out = 0;

  /** A reduction begins. */
  begin(cwnd: number): void {
    this.prior = Math.max(1, cwnd);
    this.delivered = this.out = 0;
  }

  /** Something was sent, new or again. */
  sent(bytes: number): void {
    this.out += bytes;
  }

  /**
   * The window after an acknowledgment.
   *
   * @param delivered what it brought @param safe whether SND.UNA moved, and nothing more was found lost
   */
  window(pipe: number, ssthresh: number, mss: number, delivered: number, safe: boolean): number {
    this.delivered += delivered;
    let count: number;
    if (pipe > ssthresh) {
      const share = Math.ceil((this.delivered * ssthresh) / this.prior / mss) * mss;
      count = share - this.out;
    } else {
      // Slow start back to `ssthresh` where all is well, else packet conservation.
      count = Math.max(this.delivered - this.out, delivered) + (safe ? mss : 0);
      count = Math.min(ssthresh - pipe, count);
    }
    // The first retransmission goes out whatever the numbers say.
    return pipe + Math.max(count, this.out === 0 ? mss : 0);
  }
}
