/** What all fragments of a packet have in common (RFC 791 3.2, RFC 8200 4.5), as the key of tables of a fixed number of places. */

import { halfSipHash } from '../core/hash.js';
import type { Random } from '../core/random.js';
import type { PacketFields } from '../wire/packet-fields.js';

/** Words of a key: addresses, identification, version, and of IPv4 the protocol. */
export const FRAGMENT_KEY = 10;
const IDENTIFICATION = 8;
const KIND = 9;

/** The key of one packet after the other. */
export class FragmentKey {
  readonly words: Int32Array = new Int32Array(FRAGMENT_KEY);
  private readonly k0: number;
  private readonly k1: number;

  constructor(random: Random) {
    this.k0 = random.uint32() | 0;
    this.k1 = random.uint32() | 0;
  }

  /** Makes it that of a fragment, and says which of `places`, a power of two, is its own. */
  read(fields: PacketFields, places: number): number {
    const { words } = this;
    words[0] = fields.source0;
    words[1] = fields.source1;
    words[2] = fields.source2;
    words[3] = fields.source3;
    words[4] = fields.destination0;
    words[5] = fields.destination1;
    words[6] = fields.destination2;
    words[7] = fields.destination3;
    words[IDENTIFICATION] = fields.identification;
    // Fragments of IPv6 may name different headers that come next.
    words[KIND] = fields.version === 4 ? (4 << 8) | fields.protocol : 6 << 8;
    return halfSipHash(this.k0, this.k1, words, 0, FRAGMENT_KEY) & (places - 1);
  }

  /** Whether it is the one that `table` has at `at`. */
  isAt(table: Int32Array, at: number): boolean {
    const { words } = this;
    for (let i = 0; i < FRAGMENT_KEY; i++) if (table[at + i] !== words[i]) return false;
    return true;
  }

  /** Writes it to `table` at `at`. */
  write(table: Int32Array, at: number): void {
    const { words } = this;
    for (let i = 0; i < FRAGMENT_KEY; i++) table[at + i] = words[i] ?? 0;
  }
}
