/**
 * Which flows the packets belong to whose first fragments came lately: only the first has ports. Of those that do not fit, or not for long enough,
 * later fragments belong to nobody; so do those that come before the first. Where that matters, `defragment` is put in front.
 */

import type { FlowState, Frame } from '../../core/frame.js';
import type { Random } from '../../core/random.js';
import type { PacketFields } from '../../wire/packet-fields.js';
import { FRAGMENT_KEY, FragmentKey } from '../fragment-key.js';

const PLACES = 1024;
/** As long as hosts wait for the rest, at most (RFC 8200 4.5). */
const LIFETIME = 60_000;
// Behind the key, what the first fragment was found to be.
const FLOW = FRAGMENT_KEY;
const STATE = FLOW + 1;
const SINCE = STATE + 1;
const WORDS = SINCE + 1;
const REPLY = 0x100;

/** First fragments by what fragments of a packet have in common (RFC 791 3.2, RFC 8200 4.5). */
export class FragmentFlows {
  private words: Int32Array | undefined = undefined;
  private readonly key: FragmentKey;

  constructor(random: Random) {
    this.key = new FragmentKey(random);
  }

  /** Notes what was found out about a first fragment. */
  note(frame: Frame, fields: PacketFields, now: number): void {
    this.words ??= new Int32Array(PLACES * WORDS);
    const { words } = this;
    const at = this.key.read(fields, PLACES) * WORDS;
    this.key.write(words, at);
    words[at + FLOW] = frame.flow;
    words[at + STATE] = frame.flowState | (frame.flowReply ? REPLY : 0);
    words[at + SINCE] = now;
  }

  /** Says of a later fragment what its first one was found to be, if that is known. */
  follow(frame: Frame, fields: PacketFields, now: number): void {
    const { words, key } = this;
    if (words === undefined) return;
    const at = key.read(fields, PLACES) * WORDS;
    if (!key.isAt(words, at)) return;
    if (((now - (words[at + SINCE] ?? 0)) | 0) >= LIFETIME) return;
    const state = words[at + STATE] ?? 0;
    frame.flow = words[at + FLOW] ?? 0;
    frame.flowReply = (state & REPLY) !== 0;
    frame.flowState = (state & ~REPLY) as FlowState;
  }
}
