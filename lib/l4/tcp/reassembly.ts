/**
 * Data that arrived ahead of a gap (RFC 9293 SHLD-31), and the SACK blocks that tell the peer of it (RFC 2018, RFC 2883).
 *
 * Pieces are kept sorted and never overlap: what is there already is cut off what comes. Memory is bounded by the receive window and
 * by a number of pieces. What was reported is kept; only a shortage makes us refuse what is new.
 */

import type { TcpOptions } from '../../wire/tcp-options.js';
import type { ReceiveQueue } from './receive-queue.js';
import { after, before } from './seq.js';

interface Piece {
  readonly seq: number;
  readonly bytes: Uint8Array;
}

/** A contiguous run of received sequence space. */
interface Run {
  start: number;
  end: number;
  /** Grows with each arrival: the latest comes first in the SACK option. */
  stamp: number;
}

// A sender that leaves more gaps than this is not losing packets.
const MAX_RUNS = 256;
// A piece costs about this much besides its bytes.
const PIECE_COST = 256;

/** The out-of-order data of one connection. */
export class Reassembly {
  /** Bytes held. */
  length = 0;
  private readonly pieces: Piece[] = [];
  private readonly runs: Run[] = [];
  private readonly maxPieces: number;
  private readonly reportsDuplicates: boolean;
  private stamp = 0;
  /** A duplicate to report in the next SACK option (RFC 2883), empty if both are equal. */
  private duplicateStart = 0;
  private duplicateEnd = 0;

  /**
   * @param window the largest receive window, in bytes
   * @param reportsDuplicates whether the SACK option tells what came twice (RFC 2883)
   */
  constructor(window: number, reportsDuplicates = true) {
    this.reportsDuplicates = reportsDuplicates;
    this.maxPieces = Math.max(64, Math.ceil(window / PIECE_COST));
  }

  /** What the pieces take, in bytes, with what each costs besides its own. */
  get memory(): number {
    return this.length + PIECE_COST * this.pieces.length;
  }

  get empty(): boolean {
    return this.pieces.length === 0;
  }

  /** Whether the next SACK option would say anything. */
  get hasBlocks(): boolean {
    return this.runs.length > 0 || this.duplicateStart !== this.duplicateEnd;
  }

  /** How many blocks the next SACK option would have if there was room for all. */
  get blockCount(): number {
    return this.runs.length + (this.duplicateStart === this.duplicateEnd ? 0 : 1);
  }

  /** Bytes `start` to `end` of sequence space arrived again. */
  reportDuplicate(start: number, end: number): void {
    if (!this.reportsDuplicates) return;
    this.duplicateStart = start;
    this.duplicateEnd = end;
  }

  /** The same, of a segment of which several parts may have been there: the first is told (RFC 2883 4). */
  private reportPart(start: number, end: number): void {
    if (this.duplicateStart === this.duplicateEnd) this.reportDuplicate(start, end);
    else if (this.duplicateEnd === start) this.duplicateEnd = end;
  }

  /**
   * Copies bytes `from` to `to` of `source`, which belong at `seq`. Returns whether they are held now; `false` if there
   * was no room for them.
   */
  insert(seq: number, source: Uint8Array, from: number, to: number): boolean {
    const { pieces } = this;
    const end = (seq + to - from) | 0;
    let at = this.position(seq);
    const left = pieces[at - 1];
    let start = seq;
    if (left !== undefined) {
      const leftEnd = (left.seq + left.bytes.length) | 0;
      if (after(leftEnd, start)) {
        start = before(leftEnd, end) ? leftEnd : end;
        this.reportPart(seq, start);
      }
    }
    let added = false;
    while (before(start, end)) {
      const right = pieces[at];
      const stop = right !== undefined && before(right.seq, end) ? right.seq : end;
      if (before(start, stop)) {
        if (pieces.length >= this.maxPieces || !this.extend(start, stop)) return added;
        pieces.splice(at++, 0, {
          seq: start,
          bytes: source.slice(from + ((start - seq) | 0), from + ((stop - seq) | 0)),
        });
        this.length += (stop - start) | 0;
        added = true;
      }
      if (right === undefined || stop === end) break;
      start = (right.seq + right.bytes.length) | 0;
      this.reportPart(right.seq, before(start, end) ? start : end);
      at++;
    }
    if (!added) this.touch(seq, end);
    return true;
  }

  /** Moves what follows `next` without a gap to `queue`; returns the sequence number after it. */
  drain(next: number, queue: ReceiveQueue): number {
    const { pieces, runs } = this;
    let reached = next;
    let used = 0;
    for (; used < pieces.length; used++) {
      const piece = pieces[used];
      if (piece === undefined || after(piece.seq, reached)) break;
      const skip = (reached - piece.seq) | 0;
      this.length -= piece.bytes.length;
      if (skip > 0) this.reportPart(piece.seq, (piece.seq + Math.min(skip, piece.bytes.length)) | 0);
      if (skip >= piece.bytes.length) continue;
      queue.push(skip === 0 ? piece.bytes : piece.bytes.subarray(skip));
      reached = (piece.seq + piece.bytes.length) | 0;
    }
    if (used > 0) pieces.splice(0, used);
    let gone = 0;
    while (gone < runs.length && !after(runs[gone]?.end ?? 0, reached)) gone++;
    if (gone > 0) runs.splice(0, gone);
    const first = runs[0];
    if (first !== undefined && before(first.start, reached)) first.start = reached;
    return reached;
  }

  /** Fills in the SACK blocks, at most `max` of them: a duplicate first, then the runs, the latest change first. */
  blocks(options: TcpOptions, max: number): void {
    let count = 0;
    if (this.duplicateStart !== this.duplicateEnd) {
      options.sackBlocks[0] = this.duplicateStart;
      options.sackBlocks[1] = this.duplicateEnd;
      this.duplicateEnd = this.duplicateStart;
      count = 1;
    }
    let limit = Number.POSITIVE_INFINITY;
    for (; count < max; count++) {
      let best: Run | undefined;
      for (const run of this.runs) {
        if (run.stamp < limit && (best === undefined || run.stamp > best.stamp)) best = run;
      }
      if (best === undefined) break;
      limit = best.stamp;
      options.sackBlocks[2 * count] = best.start;
      options.sackBlocks[2 * count + 1] = best.end;
    }
    options.sackCount = count;
  }

  clear(): void {
    this.pieces.length = this.runs.length = 0;
    this.length = 0;
    this.duplicateEnd = this.duplicateStart;
  }

  /** Index of the first piece that starts after `seq`. */
  private position(seq: number): number {
    const { pieces } = this;
    const last = pieces[pieces.length - 1];
    if (last === undefined || !after(last.seq, seq)) return pieces.length;
    let low = 0;
    let high = pieces.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (after(pieces[middle]?.seq ?? 0, seq)) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  /** Adds new sequence space to the runs; `false` if that would be one gap too many. */
  private extend(start: number, end: number): boolean {
    const { runs } = this;
    let at = 0;
    while (at < runs.length && before(runs[at]?.end ?? 0, start)) at++;
    const run = runs[at];
    if (run === undefined || after(run.start, end)) {
      if (runs.length >= MAX_RUNS) return false;
      runs.splice(at, 0, { start, end, stamp: ++this.stamp });
      return true;
    }
    if (before(start, run.start)) run.start = start;
    if (after(end, run.end)) run.end = end;
    run.stamp = ++this.stamp;
    const next = runs[at + 1];
    if (next !== undefined && !after(next.start, run.end)) {
      if (after(next.end, run.end)) run.end = next.end;
      runs.splice(at + 1, 1);
    }
    return true;
  }

  /** A wholly duplicate arrival: its run is the latest, and the duplicate is reported. */
  private touch(start: number, end: number): void {
    this.reportDuplicate(start, end);
    for (const run of this.runs) {
      if (!before(start, run.start) && before(start, run.end)) run.stamp = ++this.stamp;
    }
  }
}
