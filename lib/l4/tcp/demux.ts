/**
 * Which connection a segment belongs to: open-addressing tables, one a version, keyed by both addresses and ports and hashed straight from the
 * packet's bytes under a secret, so that nobody can choose collisions. The keys stand in the table, in words side by side: until a
 * connection is found none is looked at. That hash is most of what a search costs, so that each table has hints besides: where what has these ports was
 * last. Whoever chooses collisions of hints makes them worthless, and no more.
 */

import type { IpAddress, IpVersion } from '../../core/address.js';
import { halfSipHash } from '../../core/hash.js';
import type { Random } from '../../core/random.js';
import type { IpPacket } from '../../wire/ip.js';
import type { Connection } from './connection.js';

// Words of a key of either version, signed: remote address, ports (local in the high half), local address.
const WORDS = { 4: 3, 6: 9 } as const;
const PORTS = { 4: 1, 6: 4 } as const;
const LOCAL = { 4: 2, 6: 5 } as const;
const MAPPED = 0xffff;
const MIN_CAPACITY = 16;
/** Tables up to this size do not shrink: where connections are short, many come together again and again. */
const KEPT_CAPACITY = 1024;
/** Of four places so many are taken at most: with the secret hash a search ends after two or three. */
const MOST_OF_FOUR = 3;
// Fibonacci hashing: ports that follow each other, by whatever step, are spread evenly.
const GOLDEN = 0x9e3779b1 | 0;

/** Connections of one version. Linear probing. */
class Places {
  size = 0;
  /** The key at hand. */
  readonly key: Int32Array;
  entries: (Connection | undefined)[] = Array.from({ length: MIN_CAPACITY });
  private readonly words: number;
  private readonly portsAt: number;
  private capacity: number = MIN_CAPACITY;
  private hashes: Int32Array = new Int32Array(MIN_CAPACITY);
  private keys: Int32Array;
  /** Places, which may be free by now or another's. */
  private hints: Int32Array = new Int32Array(MIN_CAPACITY);
  private hintShift: number = Math.clz32(MIN_CAPACITY) + 1;

  constructor(version: IpVersion) {
    const words = WORDS[version];
    this.words = words;
    this.portsAt = PORTS[version];
    this.key = new Int32Array(words);
    this.keys = new Int32Array(MIN_CAPACITY * words);
  }

  /** The connection of the key at hand, if the hint for it is good. */
  hinted(): Connection | undefined {
    const at = this.hints[this.hint()] ?? 0;
    return this.matches(at) ? this.entries[at] : undefined;
  }

  /** The same of IPv4, whose key need not be at hand. */
  hinted4(remote: number, ports: number, local: number): Connection | undefined {
    const { keys } = this;
    const at = this.hints[this.hintOf(remote, ports)] ?? 0;
    const from = at * WORDS[4];
    if (keys[from] !== remote || keys[from + PORTS[4]] !== ports || keys[from + LOCAL[4]] !== local) return undefined;
    return this.entries[at];
  }

  /** The connection of the key at hand. There is a hint for it from now on. */
  find(hash: number): Connection | undefined {
    const at = this.probe(hash);
    this.hints[this.hint()] = at;
    return this.entries[at];
  }

  /** Which hint is that for the key at hand. */
  private hint(): number {
    const { key, portsAt } = this;
    // Before the ports stands the last word of the remote address.
    return this.hintOf(key[portsAt - 1] ?? 0, key[portsAt] ?? 0);
  }

  private hintOf(remote: number, ports: number): number {
    return Math.imul(remote ^ ports, GOLDEN) >>> this.hintShift;
  }

  /** Enters a connection under the key at hand, which is not there yet. */
  insert(connection: Connection, hash: number): void {
    if (4 * (this.size + 1) > MOST_OF_FOUR * this.capacity) this.resize(this.capacity * 2);
    this.put(connection, hash, this.key, 0);
    this.size++;
  }

  /** Removes a connection, which is there under this hash or not at all. */
  remove(connection: Connection, hash: number): void {
    const { entries } = this;
    const mask = this.capacity - 1;
    let at = hash & mask;
    while (entries[at] !== connection) {
      if (entries[at] === undefined) return;
      at = (at + 1) & mask;
    }
    this.erase(at);
    this.size--;
    if (this.capacity > KEPT_CAPACITY && this.size * 8 < this.capacity) this.resize(this.capacity / 2);
  }

  some(most: number, test: (connection: Connection) => boolean): boolean {
    let left = most;
    for (const connection of this.entries) {
      if (connection === undefined) continue;
      if (left-- === 0) return false;
      if (test(connection)) return true;
    }
    return false;
  }

  /** Index of the entry for the key at hand, or of the free place where the search ends. */
  private probe(hash: number): number {
    const mask = this.capacity - 1;
    let at = hash & mask;
    while (this.entries[at] !== undefined && (this.hashes[at] !== hash || !this.matches(at))) at = (at + 1) & mask;
    return at;
  }

  private matches(at: number): boolean {
    const { key, keys, words } = this;
    const from = at * words;
    for (let i = 0; i < words; i++) if (keys[from + i] !== key[i]) return false;
    return true;
  }

  private put(connection: Connection, hash: number, keys: Int32Array, from: number): void {
    const mask = this.capacity - 1;
    let at = hash & mask;
    while (this.entries[at] !== undefined) at = (at + 1) & mask;
    this.entries[at] = connection;
    this.hashes[at] = hash;
    for (let i = 0; i < this.words; i++) this.keys[at * this.words + i] = keys[from + i] ?? 0;
  }

  /** Frees a place and moves back what probing put behind it. */
  private erase(place: number): void {
    const { words, keys } = this;
    const mask = this.capacity - 1;
    let hole = place;
    for (let at = (hole + 1) & mask; this.entries[at] !== undefined; at = (at + 1) & mask) {
      const home = (this.hashes[at] ?? 0) & mask;
      if (((at - home) & mask) < ((at - hole) & mask)) continue;
      this.entries[hole] = this.entries[at];
      this.hashes[hole] = this.hashes[at] ?? 0;
      keys.copyWithin(hole * words, at * words, (at + 1) * words);
      hole = at;
    }
    this.entries[hole] = undefined;
  }

  private resize(capacity: number): void {
    const { entries, hashes, keys, words } = this;
    this.capacity = capacity;
    this.hashes = new Int32Array(capacity);
    this.keys = new Int32Array(capacity * words);
    this.hints = new Int32Array(capacity);
    this.hintShift = Math.clz32(capacity) + 1;
    this.entries = Array.from({ length: capacity });
    entries.forEach((connection, at) => {
      if (connection !== undefined) this.put(connection, hashes[at] ?? 0, keys, at * words);
    });
  }
}

/** Connections by their four-tuple. */
export class ConnectionTable {
  private readonly places4: Places = new Places(4);
  private readonly places6: Places = new Places(6);
  private readonly k0: number;
  private readonly k1: number;

  constructor(random: Random) {
    this.k0 = random.uint32() | 0;
    this.k1 = random.uint32() | 0;
  }

  get size(): number {
    return this.places4.size + this.places6.size;
  }

  /** The connection that the packet, with these ports in its segment, belongs to. */
  find(packet: IpPacket, localPort: number, remotePort: number): Connection | undefined {
    const { view } = packet.frame.slab;
    const { version, sourceOffset: remote, destinationOffset: local } = packet;
    const ports = (localPort << 16) | remotePort;
    return version === 4
      ? this.find4(view.getInt32(remote), ports, view.getInt32(local))
      : this.find6(view, remote, ports, local);
  }

  /** The connection between these ends. */
  get(local: IpAddress, localPort: number, remote: IpAddress, remotePort: number): Connection | undefined {
    const places = this.load(local, localPort, remote, remotePort);
    return places.find(this.hash(places));
  }

  /** Enters a connection whose four-tuple is not there yet. */
  insert(connection: Connection): void {
    const { local, remote } = connection;
    const places = this.load(local.address, local.port, remote.address, remote.port);
    connection.hash = this.hash(places);
    places.insert(connection, connection.hash);
  }

  /** Removes a connection; nothing happens if it is not the one that is there. */
  remove(connection: Connection): void {
    const isFour = isIpv4(connection.local.address) && isIpv4(connection.remote.address);
    (isFour ? this.places4 : this.places6).remove(connection, connection.hash);
  }

  *[Symbol.iterator](): IterableIterator<Connection> {
    // Copies: connections may come and go meanwhile.
    const all = [this.places4.entries.slice(), this.places6.entries.slice()];
    for (const entries of all) for (const connection of entries) if (connection !== undefined) yield connection;
  }

  /** Whether `test` holds for one of the first `most` of each version, by their hashes: whichever. None may come or go meanwhile. */
  some(most: number, test: (connection: Connection) => boolean): boolean {
    return this.places4.some(most, test) || this.places6.some(most, test);
  }

  private find4(remote: number, ports: number, local: number): Connection | undefined {
    const { places4 } = this;
    const hinted = places4.hinted4(remote, ports, local);
    if (hinted !== undefined) return hinted;
    const { key } = places4;
    key[0] = remote;
    key[PORTS[4]] = ports;
    key[LOCAL[4]] = local;
    return places4.find(this.hash(places4));
  }

  private find6(view: DataView, remote: number, ports: number, local: number): Connection | undefined {
    const { places6 } = this;
    const { key } = places6;
    for (let i = 0; i < 4; i++) {
      key[i] = view.getInt32(remote + 4 * i);
      key[LOCAL[6] + i] = view.getInt32(local + 4 * i);
    }
    key[PORTS[6]] = ports;
    return places6.hinted() ?? places6.find(this.hash(places6));
  }

  /** Makes the key of these ends the one at hand. IPv4-mapped addresses are those that they stand for. */
  private load(local: IpAddress, localPort: number, remote: IpAddress, remotePort: number): Places {
    const ports = (localPort << 16) | remotePort;
    if (isIpv4(local) && isIpv4(remote)) {
      const { key } = this.places4;
      key[0] = remote.word(3);
      key[PORTS[4]] = ports;
      key[LOCAL[4]] = local.word(3);
      return this.places4;
    }
    const { key } = this.places6;
    for (const i of [0, 1, 2, 3] as const) {
      key[i] = remote.word(i);
      key[LOCAL[6] + i] = local.word(i);
    }
    key[PORTS[6]] = ports;
    return this.places6;
  }

  /** Hash of the key at hand. */
  private hash({ key }: Places): number {
    const { k0, k1 } = this;
    // Of the local address of IPv4 there are few: it goes into the secret, which costs less.
    return key.length === WORDS[4]
      ? halfSipHash(k0 ^ (key[LOCAL[4]] ?? 0), k1, key, 0, 2)
      : halfSipHash(k0, k1, key, 0, WORDS[6]);
  }
}

function isIpv4(address: IpAddress): boolean {
  return address.word(2) === MAPPED && (address.word(0) | address.word(1)) === 0;
}
