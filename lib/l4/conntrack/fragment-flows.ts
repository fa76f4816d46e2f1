/**
 * Which flows the packets belong to whose first fragments came lately: only the first has ports. Of those that do not fit, or not for long enough,
 * later fragments belong to nobody; so do those that come before the first. Where that matters, `defragment` is put in front.
 */

import type { FlowState, Frame } from '../../core/frame.js';
import { halfSipHash } from '../../core/hash.js';
import type { Random } from '../../core/random.js';
import type { PacketFields } from '../../wire/packet-fields.js';

const PLACES = 1024;
/** As long as hosts wait for the rest, at most (RFC 8200 4.5). */
const LIFETIME = 60_000;
// Addresses, identification, version and protocol; then what the first fragment was found to be.
const IDENTIFICATION = 8;
const KIND = 9;
const KEY = 10;
const FLOW = KEY;
const STATE = FLOW + 1;
const SINCE = STATE + 1;
const WORDS = SINCE + 1;
const REPLY = 0x100;

/** First fragments by what fragments of a packet have in common (RFC 791 3.2, RFC 8200 4.5). */
export class FragmentFlows {
  private words: Int32Array | undefined = undefined;
  private readonly key: Int32Array = new Int32Array(KEY);
  private readonly k0: number;
  private readonly k1: number;

  constructor(random: Random) {
    this.k0 = random.uint32() | 0;
    this.k1 = random.uint32() | 0;
  }

  /** Notes what was found out about a first fragment. */
  note(frame: Frame, fields: PacketFields, now: number): void {
    this.words ??= new Int32Array(PLACES * WORDS);
    const { words } = this;
    const at = this.place(fields);
    for (let i = 0; i < KEY; i++) words[at + i] = this.key[i] ?? 0;
    words[at + FLOW] = frame.flow;
    words[at + STATE] = frame.flowState | (frame.flowReply ? REPLY : 0);
    words[at + SINCE] = now;
  }

  /** Says of a later fragment what its first one was found to be, if that is known. */
  follow(frame: Frame, fields: PacketFields, now: number): void {
    const { words, key } = this;
    if (words === undefined) return;
    const at = this.place(fields);
    for (let i = 0; i < KEY; i++) if (words[at + i] !== key[i]) return;
    if (((now - (words[at + SINCE] ?? 0)) | 0) >= LIFETIME) return;
    const state = words[at + STATE] ?? 0;
    frame.flow = words[at + FLOW] ?? 0;
    frame.flowReply = (state & REPLY) !== 0;
    frame.flowState = (state & ~REPLY) as FlowState;
  }

  /** Makes the key of a fragment the one at hand, and says where it would be. */
  private place(fields: PacketFields): number {
    const { key } = this;
    key[0] = fields.source0;
    key[1] = fields.source1;
    key[2] = fields.source2;
    key[3] = fields.source3;
    key[4] = fields.destination0;
    key[5] = fields.destination1;
    key[6] = fields.destination2;
    key[7] = fields.destination3;
    key[IDENTIFICATION] = fields.identification;
    key[KIND] = (fields.version << 8) | fields.protocol;
    return (halfSipHash(this.k0, this.k1, key, 0, KEY) & (PLACES - 1)) * WORDS;
  }
}
