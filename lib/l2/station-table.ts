/**
 * Where stations are, as a bridge has learnt it from the frames that they sent (IEEE 802.1Q 8.8), or was told. Entries age; a full table forgets
 * the one that it heard of longest ago, so that made-up addresses cost no memory. What it was told stays, wherever such a station is heard.
 *
 * A hash table over typed arrays, whose entries are also in a list by when they were heard of: nothing is allocated per frame. MAC addresses
 * are two numbers, their upper 16 bits and, signed, their lower 32.
 */

/** Default ageing time in ms (IEEE 802.1Q table 8-11). */
export const AGEING = 300_000;
/** Default for the number of stations. */
export const MOST_STATIONS = 8192;

/** One entry, for people. */
export interface StationInfo<P> {
  /** 48 bits. */
  readonly mac: number;
  readonly port: P;
  /** When it was last heard of, in ms of the clock; `undefined` where the table was told. */
  readonly heardAt: number | undefined;
}

const NONE = -1;
const FIRST_ROOM = 16;
const GOLDEN = 0x9e37_79b1;
/** Of an entry that was told: it is in no list, and never ages. */
const FOREVER = Number.POSITIVE_INFINITY;

/** Stations by MAC address, and the port that leads to each. */
export class StationTable<P> {
  private highs: Int32Array = new Int32Array(0);
  private lows: Int32Array = new Int32Array(0);
  private heardAt: Float64Array = new Float64Array(0);
  /** The next of those with the same hash, or of those that are free. */
  private next: Int32Array = new Int32Array(0);
  /** Neighbours in the list. */
  private older: Int32Array = new Int32Array(0);
  private newer: Int32Array = new Int32Array(0);
  private heads: Int32Array = new Int32Array(0);
  private readonly ports: (P | undefined)[] = [];
  private free = NONE;
  private oldest = NONE;
  private newest = NONE;
  private learnt = 0;
  private readonly ageing: number;
  private readonly most: number;
  private readonly secret: number;

  /** @param secret 32 bits that keep others from choosing addresses with the same hash */
  constructor(ageing: number = AGEING, most: number = MOST_STATIONS, secret = 0) {
    this.ageing = ageing;
    this.most = most;
    this.secret = secret | 0;
    this.grow();
  }

  /** Stations that it has heard of. */
  get size(): number {
    return this.learnt;
  }

  /** Notes that a station sent something by `port`. */
  learn(high: number, low: number, port: P, now: number): void {
    let entry = this.entryOf(high, low);
    if (entry === NONE) {
      if (this.learnt >= this.most) this.remove(this.oldest);
      entry = this.add(high, low);
      this.append(entry);
    } else if (this.heardAt[entry] === FOREVER) return;
    else if (entry !== this.newest) {
      this.unlist(entry);
      this.append(entry);
    }
    this.ports[entry] = port;
    this.heardAt[entry] = now;
  }

  /** The port that leads to a station, or `undefined`. */
  find(high: number, low: number, now: number): P | undefined {
    const entry = this.entryOf(high, low);
    if (entry === NONE) return undefined;
    if (now - (this.heardAt[entry] ?? 0) < this.ageing) return this.ports[entry];
    this.remove(entry);
    return undefined;
  }

  /** Says where a station is, once and for all. `mac` is 48 bits. */
  pin(mac: number, port: P): void {
    this.drop(mac);
    const entry = this.add(highOf(mac), lowOf(mac));
    this.heardAt[entry] = FOREVER;
    this.ports[entry] = port;
  }

  /** The port that a station was said to be behind. */
  pinned(mac: number): P | undefined {
    const entry = this.entryOf(highOf(mac), lowOf(mac));
    return entry !== NONE && this.heardAt[entry] === FOREVER ? this.ports[entry] : undefined;
  }

  /** Undoes {@link StationTable.pin}; says whether there was something to undo. */
  unpin(mac: number): boolean {
    const entry = this.entryOf(highOf(mac), lowOf(mac));
    if (entry === NONE || this.heardAt[entry] !== FOREVER) return false;
    this.remove(entry);
    return true;
  }

  /** Forgets every station behind a port that is no more. */
  forget(port: P): void {
    for (const entry of this.entries()) if (this.ports[entry] === port) this.remove(entry);
  }

  /** What it was told, and what it has heard and not forgotten, the oldest first. */
  list(now: number): readonly StationInfo<P>[] {
    const { highs, lows, heardAt, ports, ageing } = this;
    return this.entries().flatMap((entry) => {
      const port = ports[entry];
      const at = heardAt[entry] ?? 0;
      if (port === undefined || now - at >= ageing) return [];
      const mac = (highs[entry] ?? 0) * 0x1_0000_0000 + ((lows[entry] ?? 0) >>> 0);
      return [{ mac, port, heardAt: at === FOREVER ? undefined : at }];
    });
  }

  /** All entries: those that were told, then the list. */
  private entries(): readonly number[] {
    const { heads, next, heardAt, newer } = this;
    const found: number[] = [];
    for (const head of heads) {
      for (let entry = head; entry !== NONE; entry = next[entry] ?? NONE) {
        if (heardAt[entry] === FOREVER) found.push(entry);
      }
    }
    for (let entry = this.oldest; entry !== NONE; entry = newer[entry] ?? NONE) found.push(entry);
    return found;
  }

  private drop(mac: number): void {
    const entry = this.entryOf(highOf(mac), lowOf(mac));
    if (entry !== NONE) this.remove(entry);
  }

  private entryOf(high: number, low: number): number {
    const { highs, lows, next } = this;
    let entry = this.heads[this.place(high, low)] ?? NONE;
    while (entry !== NONE && (lows[entry] !== low || highs[entry] !== high)) entry = next[entry] ?? NONE;
    return entry;
  }

  private place(high: number, low: number): number {
    const mixed = Math.imul(low ^ this.secret, GOLDEN);
    return (Math.imul(mixed ^ (mixed >>> 15) ^ high, GOLDEN) >>> 8) & (this.heads.length - 1);
  }

  /** A new entry, in no list yet. */
  private add(high: number, low: number): number {
    if (this.free === NONE) this.grow();
    const entry = this.free;
    this.free = this.next[entry] ?? NONE;
    this.highs[entry] = high;
    this.lows[entry] = low;
    this.heardAt[entry] = FOREVER;
    this.chain(entry);
    return entry;
  }

  private chain(entry: number): void {
    const place = this.place(this.highs[entry] ?? 0, this.lows[entry] ?? 0);
    this.next[entry] = this.heads[place] ?? NONE;
    this.heads[place] = entry;
  }

  private remove(entry: number): void {
    const { next, heads } = this;
    if (this.heardAt[entry] !== FOREVER) this.unlist(entry);
    const place = this.place(this.highs[entry] ?? 0, this.lows[entry] ?? 0);
    const after = next[entry] ?? NONE;
    let before = heads[place] ?? NONE;
    if (before === entry) heads[place] = after;
    else {
      while (next[before] !== entry) before = next[before] ?? NONE;
      next[before] = after;
    }
    this.ports[entry] = undefined;
    next[entry] = this.free;
    this.free = entry;
  }

  /** Puts an entry to the end of the list. */
  private append(entry: number): void {
    this.older[entry] = this.newest;
    this.newer[entry] = NONE;
    if (this.newest === NONE) this.oldest = entry;
    else this.newer[this.newest] = entry;
    this.newest = entry;
    this.learnt++;
  }

  private unlist(entry: number): void {
    const before = this.older[entry] ?? NONE;
    const after = this.newer[entry] ?? NONE;
    if (before === NONE) this.oldest = after;
    else this.newer[before] = after;
    if (after === NONE) this.newest = before;
    else this.older[after] = before;
    this.learnt--;
  }

  /** Makes room for twice as many. */
  private grow(): void {
    const had = this.highs.length;
    const room = Math.max(FIRST_ROOM, 2 * had);
    this.highs = grown(this.highs, room);
    this.lows = grown(this.lows, room);
    this.older = grown(this.older, room);
    this.newer = grown(this.newer, room);
    this.next = new Int32Array(room);
    this.heads = new Int32Array(room).fill(NONE);
    const heardAt = new Float64Array(room);
    heardAt.set(this.heardAt);
    this.heardAt = heardAt;
    for (let entry = 0; entry < had; entry++) this.chain(entry);
    for (let entry = room - 1; entry >= had; entry--) {
      this.ports[entry] = undefined;
      this.next[entry] = this.free;
      this.free = entry;
    }
  }
}

function grown(array: Int32Array, length: number): Int32Array {
  const longer = new Int32Array(length);
  longer.set(array);
  return longer;
}

function highOf(mac: number): number {
  return Math.floor(mac / 0x1_0000_0000);
}

/** Modulo 2^32, signed. */
function lowOf(mac: number): number {
  return mac | 0;
}
