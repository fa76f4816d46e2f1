/**
 * Where stations are, as a bridge has learnt it from the frames that they sent (IEEE 802.1Q 8.8), or was told. Entries age; a full table forgets
 * the one that it heard of longest ago, so that made-up addresses cost no memory. What it was told stays, wherever such a station is heard.
 */

interface Station<P> {
  port: P;
  heardAt: number;
}

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

/** Stations by MAC address, and the port that leads to each. */
export class StationTable<P> {
  /** Oldest first: whoever is heard of is put to the end. */
  private readonly stations = new Map<number, Station<P>>();
  private readonly pinned = new Map<number, P>();
  private readonly ageing: number;
  private readonly most: number;

  constructor(ageing: number = AGEING, most: number = MOST_STATIONS) {
    this.ageing = ageing;
    this.most = most;
  }

  /** Stations that it has heard of. */
  get size(): number {
    return this.stations.size;
  }

  /** Notes that a station sent something by `port`. */
  learn(mac: number, port: P, now: number): void {
    if (this.pinned.size > 0 && this.pinned.has(mac)) return;
    const known = this.stations.get(mac);
    if (known === undefined && this.stations.size >= this.most) this.forgetOldest();
    const station = known ?? { port, heardAt: now };
    station.port = port;
    station.heardAt = now;
    if (known !== undefined) this.stations.delete(mac);
    this.stations.set(mac, station);
  }

  /** The port that leads to a station, or `undefined`. */
  find(mac: number, now: number): P | undefined {
    if (this.pinned.size > 0) {
      const port = this.pinned.get(mac);
      if (port !== undefined) return port;
    }
    const station = this.stations.get(mac);
    if (station === undefined) return undefined;
    if (now - station.heardAt < this.ageing) return station.port;
    this.stations.delete(mac);
    return undefined;
  }

  /** Says where a station is, once and for all. */
  pin(mac: number, port: P): void {
    this.stations.delete(mac);
    this.pinned.set(mac, port);
  }

  /** Undoes {@link StationTable.pin}; says whether there was something to undo. */
  unpin(mac: number): boolean {
    return this.pinned.delete(mac);
  }

  /** Forgets every station behind a port that is no more. */
  forget(port: P): void {
    for (const [mac, station] of this.stations) if (station.port === port) this.stations.delete(mac);
    for (const [mac, its] of this.pinned) if (its === port) this.pinned.delete(mac);
  }

  /** What it was told, and what it has heard and not forgotten. */
  list(now: number): readonly StationInfo<P>[] {
    const told = [...this.pinned].map(([mac, port]) => ({ mac, port, heardAt: undefined }));
    const heard = [...this.stations]
      .filter(([, { heardAt }]) => now - heardAt < this.ageing)
      .map(([mac, { port, heardAt }]) => ({ mac, port, heardAt }));
    return [...told, ...heard];
  }

  private forgetOldest(): void {
    const { value } = this.stations.keys().next();
    if (value !== undefined) this.stations.delete(value);
  }
}
