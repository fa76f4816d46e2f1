/**
 * What the first fragment of a packet told of its ends, for the others, which have no ports (RFC 6146 3.4). A table of fixed size: of two packets
 * in the same place the later one stays. Those that come before the first one are kept for a while.
 */

import { DropReason } from '../../core/drops.js';
import type { Env } from '../../core/env.js';
import type { Frame } from '../../core/frame.js';
import type { Timer } from '../../core/timers.js';
import type { PacketFields } from '../../wire/packet-fields.js';
import { FRAGMENT_KEY, FragmentKey } from '../fragment-key.js';
import type { NewEnds } from './ends.js';

const PLACES = 1024;
const KEY: number = FRAGMENT_KEY;
const WORDS = KEY + 8;
/** Longer than any reassembly lasts (RFC 1122 3.3.2, RFC 8200 4.5). */
const LIFETIME = 60_000;

/** How long a fragment waits for the first one of its packet (RFC 6146 4, FRAGMENT_MIN), and how many do. */
const PATIENCE = 2000;
const MOST = 64;

interface Early {
  readonly frame: Frame;
  readonly key: Int32Array;
  readonly deadline: number;
}

/** The table. */
export class FragmentEnds {
  private readonly early: Early[] = [];
  private readonly ready: Frame[] = [];
  private readonly timer: Timer;
  private readonly records: Int32Array = new Int32Array(PLACES * WORDS);
  private readonly deadlines: Float64Array = new Float64Array(PLACES);
  private readonly key: FragmentKey;
  private readonly env: Env;

  constructor(env: Env) {
    this.env = env;
    this.key = new FragmentKey(env.random);
    this.timer = env.timers.timer(() => this.expire());
  }

  /** Keeps what the first fragment's ends are. */
  add(fields: PacketFields, ends: NewEnds): void {
    const place = this.key.read(fields, PLACES);
    const at = place * WORDS;
    const { records } = this;
    this.key.write(records, at);
    records[at + KEY] = ends.source0;
    records[at + KEY + 1] = ends.source1;
    records[at + KEY + 2] = ends.source2;
    records[at + KEY + 3] = ends.source3;
    records[at + KEY + 4] = ends.destination0;
    records[at + KEY + 5] = ends.destination1;
    records[at + KEY + 6] = ends.destination2;
    records[at + KEY + 7] = ends.destination3;
    this.deadlines[place] = this.env.timers.now() + LIFETIME;
    if (this.early.length > 0) this.wake();
  }

  /** Keeps a copy of a later fragment, the range of its frame, whose first one was not seen; false where too many wait. The key is that of the last look. */
  keep(frame: Frame): boolean {
    if (this.early.length >= MOST) return false;
    const copy = this.env.pool.copy(frame);
    copy.network = copy.start;
    const deadline = this.env.timers.now() + PATIENCE;
    this.early.push({ frame: copy, key: this.key.words.slice(), deadline });
    if (!this.timer.armed) this.timer.arm(deadline);
    return true;
  }

  /** A fragment that waited and whose first one has come, with its reference; or nothing. */
  next(): Frame | undefined {
    return this.ready.length > 0 ? this.ready.shift() : undefined;
  }

  /** Forgets those that wait; no timer is left. */
  dispose(): void {
    this.timer.cancel();
    for (const frame of this.ready.splice(0)) frame.release();
    for (const { frame } of this.early.splice(0)) frame.release();
  }

  /** Those of the packet whose first fragment has come wait no longer. */
  private wake(): void {
    const { early, key, ready } = this;
    for (let at = 0; at < early.length; ) {
      const one = early[at];
      if (one !== undefined && key.isAt(one.key, 0)) {
        ready.push(one.frame);
        early.splice(at, 1);
      } else at++;
    }
  }

  private expire(): void {
    const { early, env } = this;
    const now = env.timers.now();
    for (let [first] = early; first !== undefined && first.deadline <= now; [first] = early) {
      early.shift();
      env.drops.report(DropReason.FragmentTimeout, first.frame, 'nat64');
      first.frame.release();
    }
    this.timer.arm(early[0]?.deadline ?? Infinity);
  }

  /** Sets the ends of a later fragment; false where its first one was not seen. */
  find(fields: PacketFields, ends: NewEnds): boolean {
    const place = this.key.read(fields, PLACES);
    const at = place * WORDS;
    const { records, key } = this;
    if ((this.deadlines[place] ?? 0) <= this.env.timers.now()) return false;
    if (!key.isAt(records, at)) return false;
    const word = (index: number) => records[at + KEY + index] ?? 0;
    ends.setSource(word(0), word(1), word(2), word(3));
    ends.setDestination(word(4), word(5), word(6), word(7));
    return true;
  }
}
