/** Initial sequence numbers and timestamp offsets (RFC 6528, RFC 7323 5.4): a clock plus a keyed hash of the connection's ends. */

import type { IpAddress } from '../../core/address.js';
import { SipHash } from '../../core/hash.js';
import type { Random } from '../../core/random.js';

// RFC 9293 3.4.1: the clock increments every 4 microseconds.
const TICKS_PER_MS = 250;

/** Draws what must not be guessed from outside, from one secret per host. */
export class SequenceNumbers {
  private readonly hash: SipHash;
  private readonly words: Uint32Array = new Uint32Array(10);

  constructor(random: Random) {
    this.hash = SipHash.random(random);
  }

  /** The initial sequence number for a connection at `now` milliseconds; signed. */
  initial(local: IpAddress, localPort: number, remote: IpAddress, remotePort: number, now: number): number {
    const count = this.load(local, remote, localPort, remotePort, 0);
    return (Math.floor(now * TICKS_PER_MS) + this.hash.low(this.words, count)) | 0;
  }

  /** What the connection adds to the millisecond clock in its timestamps: the other half of the hash that its sequence number is from. */
  timestampOffset(local: IpAddress, localPort: number, remote: IpAddress, remotePort: number): number {
    return this.hash.high(this.words, this.load(local, remote, localPort, remotePort, 0));
  }

  /** The same for the connection whose initial sequence number was drawn last. */
  get ownTimestampOffset(): number {
    return this.hash.rest;
  }

  /** Where the search for an ephemeral port towards a destination starts (RFC 6056 3.3.3). */
  portOffset(local: IpAddress, remote: IpAddress, remotePort: number): number {
    return this.hash.low(this.words, this.load(local, remote, 0, remotePort, 1));
  }

  /** Returns how many words it is: of IPv4 there are fewer, and the hash covers how many. */
  private load(local: IpAddress, remote: IpAddress, localPort: number, remotePort: number, use: number): number {
    const { words } = this;
    if (local.version === 4 && remote.version === 4) {
      words[0] = local.value;
      words[1] = remote.value;
      words[2] = (localPort << 16) | remotePort;
      words[3] = use;
      return 4;
    }
    for (const i of [0, 1, 2, 3] as const) {
      words[i] = local.word(i);
      words[4 + i] = remote.word(i);
    }
    words[8] = (localPort << 16) | remotePort;
    words[9] = use;
    return 10;
  }
}
