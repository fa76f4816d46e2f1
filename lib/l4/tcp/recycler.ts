/** Keeps what connections need only while they are busy for those that are busy next: idle ones, of which there may be very many, have none. */

// More are left to the garbage collector.
const MAX_KEPT = 256;

/** Recycles objects. */
export class Recycler<T> {
  private readonly make: () => T;
  private readonly kept: T[] = [];

  constructor(make: () => T) {
    this.make = make;
  }

  take(): T {
    return this.kept.pop() ?? this.make();
  }

  /** Takes back what has been emptied: by the caller, who knows what it is. */
  give(used: T): void {
    if (this.kept.length < MAX_KEPT) this.kept.push(used);
  }
}
