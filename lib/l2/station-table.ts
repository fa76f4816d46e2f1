/**
 * Where stations are, as a bridge has learnt it from the frames that they sent (IEEE 802.1Q 8.8). Entries age; a full table forgets the one
 * that it heard of longest ago, so that made-up addresses cost no memory.
 */

interface Station<P> {
  port: P;
  heardAt: number;
}

/** Default ageing time in ms (IEEE 802.1Q table 8-11). */
export const AGEING = 300_000;
/** Default for the number of stations. */
export const MOST_STATIONS = 8192;

/** Stations by MAC address, and the port that leads to each. */
export class StationTable<P> {
  /** Oldest first: whoever is heard of is put to the end. */
  private readonly stations = new Map<number, Station<P>>();
  private readonly ageing: number;
  private readonly most: number;

  constructor(ageing: number = AGEING, most: number = MOST_STATIONS) {
    this.ageing = ageing;
    this.most = most;
  }

  get size(): number {
    return this.stations.size;
  }

  /** Notes that a station sent something by `port`. */
  learn(mac: number, port: P, now: number): void {
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
    const station = this.stations.get(mac);
    if (station === undefined) return undefined;
    if (now - station.heardAt < this.ageing) return station.port;
    this.stations.delete(mac);
    return undefined;
  }

  private forgetOldest(): void {
    const { value } = this.stations.keys().next();
    if (value !== undefined) this.stations.delete(value);
  }
}
