/** Which SYN of ours begins a connection: a segment that is sent again has the number that it had (RFC 9293 3.8.1), and only a new one may have another. */

import { TcpFlag } from '../wire/tcp.js';

/** What passed between two ends, as far as it tells a SYN that begins a connection from one that is sent again. */
export class Opening {
  /** Our last segment was a SYN, and nothing came since then that could have ended what it began. */
  private isOpening = false;
  /** The number of the other side's last segment, if that was a SYN. */
  private heard: number | undefined = undefined;

  /** A segment of ours; returns whether it begins a connection. */
  sent(flags: number): boolean {
    const isSyn = (flags & TcpFlag.Syn) !== 0;
    const begins = isSyn && !this.isOpening;
    this.isOpening = isSyn;
    return begins;
  }

  /** A segment of the other side: one that is no SYN, or another SYN than the last, may have ended what was. */
  received(flags: number, sequence: number): void {
    const syn = (flags & TcpFlag.Syn) === 0 ? undefined : sequence;
    // The first SYN that comes may be the other half of a simultaneous open.
    if (syn === undefined || (this.heard !== undefined && syn !== this.heard)) this.isOpening = false;
    this.heard = syn;
  }
}
