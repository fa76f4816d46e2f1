/**
 * What the peer's selective acknowledgments say (RFC 2018), and its reports of duplicates (RFC 2883). Most acknowledgments repeat the
 * blocks of the one before them and add a little: the blocks are remembered, and only what is new in them is looked up.
 */

import { MAX_SACK_BLOCKS } from '../../wire/tcp-options.js';
import type { Connection } from './connection.js';
import type { Delivery } from './delivery.js';
import type { Segment } from './segment.js';
import { after, before, latest } from './seq.js';

/** The blocks of one acknowledgment, in the order of their sequence numbers. */
class Blocks {
  count = 0;
  readonly edges: Int32Array = new Int32Array(2 * MAX_SACK_BLOCKS);

  left(i: number): number {
    return this.edges[2 * i] ?? 0;
  }

  right(i: number): number {
    return this.edges[2 * i + 1] ?? 0;
  }

  /** Adds a block at its place. */
  add(left: number, right: number): void {
    const { edges } = this;
    let at = this.count++;
    for (; at > 0 && before(left, this.left(at - 1)); at--) edges.copyWithin(2 * at, 2 * at - 2, 2 * at);
    edges[2 * at] = left;
    edges[2 * at + 1] = right;
  }

  copy(other: Blocks): void {
    this.count = other.count;
    this.edges.set(other.edges);
  }
}

// Filled and read within one call, whatever the connection.
const current = new Blocks();

/** What a connection remembers of its peer's selective acknowledgments. */
export class SackMemory {
  private readonly known: Blocks = new Blocks();

  /** Takes in the blocks of an acknowledgment, before its number is. Duplicates are reported by the first (RFC 2883 4). */
  read(c: Connection, segment: Segment, delivery: Delivery): void {
    const { options } = segment;
    const { sackBlocks, sackCount } = options;
    current.count = 0;
    const first = isDuplicateReport(segment) ? 1 : 0;
    if (first === 1) duplicated(c, (sackBlocks[0] ?? 0) | 0, (sackBlocks[1] ?? 0) | 0, delivery);
    for (let i = first; i < sackCount; i++) {
      const left = (sackBlocks[2 * i] ?? 0) | 0;
      const right = (sackBlocks[2 * i + 1] ?? 0) | 0;
      // What is in order is no business of selective acknowledgments, and what was never sent is a lie.
      if (after(left, c.snd.una) && before(left, right) && !after(right, c.snd.nxt)) current.add(left, right);
    }
    if (c.sent.recut) this.known.count = 0;
    c.sent.recut = false;
    for (let i = 0; i < current.count; i++) this.take(c, current.left(i), current.right(i), delivery);
    this.known.copy(current);
  }

  /** Takes in a block, but for what it has in common with those that are known. */
  private take(c: Connection, left: number, right: number, delivery: Delivery): void {
    const { known } = this;
    let from = left;
    for (let i = 0; i < known.count; i++) {
      const [start, end] = [known.left(i), known.right(i)];
      if (!after(end, from)) continue;
      if (!before(start, right)) break;
      if (after(start, from)) mark(c, left, right, from, start, delivery);
      // Where known blocks meet within a segment, neither covered it.
      else if (from !== left) mark(c, left, right, from, from + 1, delivery);
      from = latest(from, end);
    }
    if (before(from, right)) mark(c, left, right, from, right, delivery);
  }
}

/** Marks the segments that lie between `from` and `to`, at least in part, and wholly in the block. */
function mark(c: Connection, left: number, right: number, from: number, to: number, delivery: Delivery): void {
  const { sent } = c;
  for (let segment = sent.find(from); segment !== undefined && before(segment.seq, to); segment = segment.next) {
    if (segment.sacked || before(segment.seq, left) || after(segment.end, right)) continue;
    const { highest } = sent;
    delivery.selectively(segment, highest === undefined ? c.snd.una : highest.end);
    sent.markSacked(segment);
  }
}

/** RFC 2883 4: the first block reports duplicates if it lies below the acknowledgment number, or within the second block. */
function isDuplicateReport({ options, ack }: Segment): boolean {
  const { sackBlocks, sackCount } = options;
  if (sackCount === 0) return false;
  const left = (sackBlocks[0] ?? 0) | 0;
  const right = (sackBlocks[1] ?? 0) | 0;
  if (!before(left, right)) return false;
  if (before(left, ack)) return true;
  return sackCount > 1 && !before(left, (sackBlocks[2] ?? 0) | 0) && !after(right, (sackBlocks[3] ?? 0) | 0);
}

/** The peer got these bytes twice. */
function duplicated(c: Connection, left: number, right: number, delivery: Delivery): void {
  const { snd, recovery } = c;
  if (!c.config.dsack || after(right, snd.nxt)) return;
  const span = (right - left) | 0;
  // What is longer than any window is not to be believed.
  if (span > snd.maxWnd) return;
  const segments = Math.max(1, Math.ceil(span / snd.mss));
  // Nor that more came twice than was sent twice: the network did that.
  if (c.statistics.duplicatesReported + segments > c.statistics.retransmits) return;
  c.statistics.duplicatesReported += segments;
  delivery.dsack = true;
  if (recovery.tlp !== 'none' && recovery.tlpEnd === right) {
    delivery.probeDuplicated = true;
    return;
  }
  recovery.rack?.duplicated(c);
  recovery.undo?.duplicated(segments, right);
}
