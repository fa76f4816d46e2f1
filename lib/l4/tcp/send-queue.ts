/**
 * What the application wrote and the peer has not acknowledged. Its own arrays are kept by reference: each byte is copied once, into the
 * frame that carries it, and again for each retransmission. What it does not leave to us is copied: what is small piece by piece into slots of the pool,
 * what is large into blocks that are used again, as new memory of that size costs more than the copy.
 */

import { copyRange } from '../../core/copy.js';
import { type Frame, type FramePool, SMALL_ROOM } from '../../core/frame.js';
import { Recycler } from './recycler.js';
import { ChronoWatch } from './statistics.js';

const NOWHERE = new Uint8Array(0);
/** Pieces that may be used up at the front before the others move there; and that are kept for what is to come. */
const MANY = 32;
const KEPT = 64;
/** Bytes of a block. What would fill no more than half of one has memory of its own. */
const BLOCK = 65_536;

/** Blocks for large copies, for the queues of a host. */
export function copyBlocks(): Recycler<Uint8Array> {
  return new Recycler(() => new Uint8Array(BLOCK));
}

/** Bytes of an array that are a part of the stream. */
class Piece {
  bytes: Uint8Array = NOWHERE;
  /** Where in it they begin. */
  at = 0;
  /** Stream positions of the first byte, and of the one after the last. */
  start = 0;
  end = 0;
  /** Whether their end is pushed: the segment that carries it says PSH, each time it is sent. */
  pushed = false;
  /** The slot in which they lie, if it is one. */
  slot: Frame | undefined = undefined;
  /** Whether they lie in a block. */
  isBlock = false;

  forget(blocks: Recycler<Uint8Array>): void {
    if (this.isBlock) blocks.give(this.bytes);
    this.isBlock = false;
    this.bytes = NOWHERE;
    const { slot } = this;
    if (slot === undefined) return;
    slot.isKept = false;
    slot.release();
    this.slot = undefined;
  }
}

/** A queue of bytes that are read at any offset and consumed at the front. */
export class SendQueue {
  /** Bytes in the queue. */
  length = 0;
  /** How long there is something in it, and why. */
  readonly watch: ChronoWatch = new ChronoWatch();
  /** In use are those from `first` up to `last`; the others wait to be. */
  private pieces: Piece[] = [];
  private first = 0;
  private last = 0;
  /** Stream positions of the queue's first byte and of the byte after its last; modulo 2^32, as all of them. */
  private head = 0;
  private tail = 0;
  /** The piece that was found last: the next copy most often starts there or in the next. */
  private hint = 0;
  /** The slot that small copies go to, behind those that are there. */
  private slot: Frame | undefined = undefined;
  private readonly blocks: Recycler<Uint8Array>;

  constructor(blocks: Recycler<Uint8Array>) {
    this.blocks = blocks;
  }

  /** Appends bytes `from` to `to` by reference; they must not change while they are queued. @param pushed whether their end is */
  push(bytes: Uint8Array, from: number, to: number, pushed: boolean): void {
    if (to > from) this.append(bytes, from, to - from, pushed);
  }

  /** Appends a copy of bytes `from` to `to`. @param pushed whether their end is */
  pushCopy(bytes: Uint8Array, from: number, to: number, pushed: boolean, pool: FramePool): void {
    const length = to - from;
    if (length <= 0) return;
    if (length > SMALL_ROOM) return this.pushBlocks(bytes, from, to, pushed);
    const slot = this.slotFor(length, pool);
    const at = slot.put(length);
    const target = slot.slab.bytes;
    copyRange(bytes, from, target, at, length);
    const before = this.newest;
    if (before !== undefined && before.slot === slot && !before.pushed) {
      before.end = this.tail = (this.tail + length) | 0;
      before.pushed = pushed;
      this.length += length;
    } else this.append(target, at, length, pushed).slot = slot.retain();
  }

  private pushBlocks(bytes: Uint8Array, from: number, to: number, pushed: boolean): void {
    for (let at = from; at < to; at += BLOCK) {
      const length = Math.min(to - at, BLOCK);
      const isBlock = length > BLOCK / 2;
      // Not by `slice`, which gives of Node's Buffers the same memory.
      const own = isBlock ? this.blocks.take() : new Uint8Array(length);
      copyRange(bytes, at, own, 0, length);
      this.append(own, 0, length, pushed && at + length === to).isBlock = isBlock;
    }
  }

  private get newest(): Piece | undefined {
    return this.last > this.first ? this.pieces[this.last - 1] : undefined;
  }

  private slotFor(length: number, pool: FramePool): Frame {
    const { slot } = this;
    if (slot !== undefined && slot.end + length <= slot.limit) return slot;
    slot?.release();
    this.slot = pool.alloc(SMALL_ROOM);
    return this.slot;
  }

  private append(bytes: Uint8Array, at: number, length: number, pushed: boolean): Piece {
    if (this === NOTHING_QUEUED) throw new Error('a connection queues bytes in a queue of its own');
    const { pieces, last } = this;
    let piece = pieces[last];
    if (piece === undefined) pieces.push((piece = new Piece()));
    piece.bytes = bytes;
    piece.at = at;
    piece.start = this.tail;
    piece.end = this.tail = (this.tail + length) | 0;
    piece.pushed = pushed;
    this.last = last + 1;
    this.length += length;
    return piece;
  }

  /** More follows before the end was sent: the later end is pushed instead. */
  unpush(): void {
    const piece = this.newest;
    if (piece !== undefined) piece.pushed = false;
  }

  /**
   * The slot that all of the queue lies in, with the caller's reference, if nothing else ever lay there: it can be sent as it is, and nothing is
   * added to it any more. Its bytes are to stay what they are.
   */
  takeSlot(): Frame | undefined {
    const { slot, newest } = this;
    if (slot === undefined || newest === undefined || this.last !== this.first + 1 || newest.slot !== slot)
      return undefined;
    if (slot.length !== this.length || slot.start !== newest.at) return undefined;
    this.slot = undefined;
    slot.isKept = true;
    return slot;
  }

  /** Whether the end of what was written last is pushed. */
  get isPushed(): boolean {
    return this.newest?.pushed === true;
  }

  /** Copies `count` bytes, from `offset` bytes behind the front, to `target` at `at`. Returns whether an end that is pushed is among them. */
  copy(offset: number, count: number, target: Uint8Array, at: number): boolean {
    const { pieces, last } = this;
    const from = (this.head + offset) | 0;
    let pushed = false;
    let done = 0;
    for (let index = this.find(from); done < count && index < last; index++) {
      const piece = pieces[index];
      if (piece === undefined) break;
      const skip = (from + done - piece.start) | 0;
      const rest = (piece.end - piece.start - skip) | 0;
      const part = Math.min(rest, count - done);
      copyRange(piece.bytes, piece.at + skip, target, at + done, part);
      done += part;
      if (part === rest && piece.pushed) pushed = true;
      this.hint = index;
    }
    return pushed;
  }

  /** Drops `count` bytes at the front. */
  consume(count: number): void {
    const { pieces, last } = this;
    let { first } = this;
    this.head = (this.head + count) | 0;
    this.length -= count;
    for (; first < last; first++) {
      const piece = pieces[first];
      if (piece === undefined || ((piece.end - this.head) | 0) > 0) break;
      piece.forget(this.blocks);
    }
    this.first = first;
    if (first === last) this.empty();
    else if (first >= MANY && first * 2 > last) this.compact();
  }

  /** Drops everything. */
  clear(): void {
    for (let i = this.first; i < this.last; i++) this.pieces[i]?.forget(this.blocks);
    this.head = this.tail;
    this.length = 0;
    this.empty();
  }

  private empty(): void {
    this.first = this.last = this.hint = 0;
    this.slot?.release();
    this.slot = undefined;
    if (this.pieces.length > KEPT) this.pieces = [];
  }

  /** Moves those in use, which are fewer than those that are used up, to the front, in exchange for these. */
  private compact(): void {
    const { first, last, pieces } = this;
    for (let i = first; i < last; i++) {
      const [free, used] = [pieces[i - first], pieces[i]];
      if (free === undefined || used === undefined) break;
      pieces[i - first] = used;
      pieces[i] = free;
    }
    this.last = last - first;
    this.hint = Math.max(0, this.hint - first);
    this.first = 0;
    if (pieces.length > this.last + KEPT) pieces.length = this.last + KEPT;
  }

  /** Index of the piece that holds stream position `position`. */
  private find(position: number): number {
    const { pieces, hint } = this;
    if (this.holds(hint, position)) return hint;
    if (this.holds(hint + 1, position)) return hint + 1;
    let low = this.first;
    let high = this.last - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if ((((pieces[middle]?.start ?? 0) - position) | 0) <= 0) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  private holds(index: number, position: number): boolean {
    const piece = index < this.last ? this.pieces[index] : undefined;
    return piece !== undefined && ((position - piece.start) | 0) >= 0 && ((position - piece.end) | 0) < 0;
  }
}

/** What connections have that have nothing to send: empty, and stays so. Of the same class as the others, so that all that look at them see but one. */
export const NOTHING_QUEUED: SendQueue = new SendQueue(copyBlocks());
