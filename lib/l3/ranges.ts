/** Which bytes of a datagram have come: fragments as they came, in order of their offsets, without overlaps. */

/** What a new range is to those that are there. */
export type Fit = 'new' | 'known' | 'overlap';

/** Disjoint ranges. They are not merged: a fragment across the seam of two others is an overlap. */
export class Ranges {
  /** Bytes in all of them. */
  covered = 0;
  private readonly starts: number[] = [];
  private readonly ends: number[] = [];

  /** How many there are. */
  get size(): number {
    return this.starts.length;
  }

  /** End of the last one, 0 if there is none. */
  get end(): number {
    return this.ends[this.ends.length - 1] ?? 0;
  }

  /**
   * Whether `from`..`to` is new, maybe with smaller ranges inside, or known, inside one that is there, or overlaps. Those that it has
   * bytes in common with, unless it overlaps, are given to `common`.
   */
  fit(from: number, to: number, common: (from: number, to: number) => void): Fit {
    let fit: Fit = 'new';
    for (let i = this.after(from); i < this.starts.length; i++) {
      const start = this.starts[i] ?? 0;
      const end = this.ends[i] ?? 0;
      if (start >= to) break;
      if (start <= from && to <= end) fit = 'known';
      else if (start < from || end > to) return 'overlap';
      common(Math.max(from, start), Math.min(to, end));
    }
    return fit;
  }

  /** Adds a range that {@link Ranges.fit} found to be new, in place of those inside it. */
  add(from: number, to: number): void {
    const at = this.after(from);
    let inside = 0;
    while (at + inside < this.starts.length && (this.starts[at + inside] ?? 0) < to) {
      this.covered -= (this.ends[at + inside] ?? 0) - (this.starts[at + inside] ?? 0);
      inside++;
    }
    this.starts.splice(at, inside, from);
    this.ends.splice(at, inside, to);
    this.covered += to - from;
  }

  /** End of the range that starts at 0, or 0. */
  get firstEnd(): number {
    return this.starts[0] === 0 ? (this.ends[0] ?? 0) : 0;
  }

  /** Index of the first range that ends after `from`. */
  private after(from: number): number {
    let low = 0;
    let high = this.ends.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.ends[middle] ?? 0) > from) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}
