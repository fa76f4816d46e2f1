/** The two addresses of a packet, kept to compare those of later packets with: what caches of flows are made of. */

/** Bytes of both addresses, which stand side by side in the headers of either IP version. */
export type EndsLength = 8 | 32;

/** Words are kept signed: an unsigned one may be an object in memory. */
export class Ends {
  private readonly words: Int32Array = new Int32Array(8);
  private length: 0 | EndsLength = 0;

  /** Whether the packet whose source address is at `at` has these addresses; `length` says of which version it is. */
  are(view: DataView, at: number, length: EndsLength): boolean {
    const { words } = this;
    // What IPv4 has outside of the loop, which costs three times as much.
    if (this.length !== length || words[0] !== view.getInt32(at) || words[1] !== view.getInt32(at + 4)) return false;
    for (let i = 8; i < length; i += 4) if (words[i >>> 2] !== view.getInt32(at + i)) return false;
    return true;
  }

  /** Keeps that packet's. */
  read(view: DataView, at: number, length: EndsLength): void {
    this.length = length;
    for (let i = 0; i < length; i += 4) this.words[i >>> 2] = view.getInt32(at + i);
  }
}
