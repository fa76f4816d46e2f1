/**
 * Which connection a segment belongs to: an open-addressing table keyed by both addresses (in 128-bit form, one table for both
 * versions) and ports, hashed straight from the packet's bytes under a secret, so that nobody can choose collisions.
 */

import type { IpAddress } from '../../core/address.js';
import { halfSipHash } from '../../core/hash.js';
import type { Random } from '../../core/random.js';
import type { IpPacket } from '../../wire/ip.js';
import type { Connection } from './connection.js';

// Words of a key: local address, remote address, ports (local in the high half).
const KEY_WORDS = 9;
const LOCAL = 0;
const REMOTE = 4;
const PORTS = 8;
const MAPPED = 0xffff;
const MIN_CAPACITY = 16;

/** Connections by their four-tuple. Linear probing, at most half full. */
export class ConnectionTable {
  private capacity: number = MIN_CAPACITY;
  private hashes: Int32Array = new Int32Array(MIN_CAPACITY);
  private entries: (Connection | undefined)[] = Array.from({ length: MIN_CAPACITY });
  private readonly key: Uint32Array = new Uint32Array(KEY_WORDS);
  private readonly k0: number;
  private readonly k1: number;
  size = 0;

  constructor(random: Random) {
    this.k0 = random.uint32() | 0;
    this.k1 = random.uint32() | 0;
  }

  /** The connection that the packet, with these ports in its segment, belongs to. */
  find(packet: IpPacket, localPort: number, remotePort: number): Connection | undefined {
    const { key } = this;
    const { view } = packet.frame.slab;
    const local = packet.destinationOffset;
    const remote = packet.sourceOffset;
    if (packet.version === 4) {
      key[LOCAL] = key[LOCAL + 1] = key[REMOTE] = key[REMOTE + 1] = 0;
      key[LOCAL + 2] = key[REMOTE + 2] = MAPPED;
      key[LOCAL + 3] = view.getUint32(local);
      key[REMOTE + 3] = view.getUint32(remote);
    } else {
      for (let i = 0; i < 4; i++) {
        key[LOCAL + i] = view.getUint32(local + 4 * i);
        key[REMOTE + i] = view.getUint32(remote + 4 * i);
      }
    }
    key[PORTS] = (localPort << 16) | remotePort;
    return this.entries[this.probe(this.hashKey())];
  }

  /** The connection between these ends. */
  get(local: IpAddress, localPort: number, remote: IpAddress, remotePort: number): Connection | undefined {
    this.load(local, localPort, remote, remotePort);
    return this.entries[this.probe(this.hashKey())];
  }

  /** Enters a connection whose four-tuple is not there yet. */
  insert(connection: Connection): void {
    if (2 * (this.size + 1) > this.capacity) this.resize(this.capacity * 2);
    const { local, remote } = connection;
    this.load(local.address, local.port, remote.address, remote.port);
    this.put(connection, this.hashKey());
    this.size++;
  }

  /** Removes a connection; nothing happens if it is not the one that is there. */
  remove(connection: Connection): void {
    const { local, remote } = connection;
    this.load(local.address, local.port, remote.address, remote.port);
    const at = this.probe(this.hashKey());
    if (this.entries[at] !== connection) return;
    this.erase(at);
    this.size--;
    if (this.capacity > MIN_CAPACITY && this.size * 8 < this.capacity) this.resize(this.capacity / 2);
  }

  *[Symbol.iterator](): IterableIterator<Connection> {
    // A copy: connections may come and go meanwhile.
    for (const connection of this.entries.slice()) if (connection !== undefined) yield connection;
  }

  private load(local: IpAddress, localPort: number, remote: IpAddress, remotePort: number): void {
    const { key } = this;
    for (const i of [0, 1, 2, 3] as const) {
      key[LOCAL + i] = local.word(i);
      key[REMOTE + i] = remote.word(i);
    }
    key[PORTS] = (localPort << 16) | remotePort;
  }

  /** Hash of the key at hand; of an IPv4-mapped one only the words that differ count. */
  private hashKey(): number {
    const { key, k0, k1 } = this;
    if (key[LOCAL + 2] !== MAPPED || key[REMOTE + 2] !== MAPPED) return halfSipHash(k0, k1, key, 0, KEY_WORDS);
    // The remote address and the ports, which lie side by side; the local address, of which there are few, goes into the key.
    return halfSipHash(k0 ^ (key[LOCAL + 3] ?? 0), k1, key, REMOTE + 3, 2);
  }

  /** Index of the entry for the key at hand, or of the free place where the search ends. */
  private probe(hash: number): number {
    const mask = this.capacity - 1;
    let at = hash & mask;
    while (this.entries[at] !== undefined && (this.hashes[at] !== hash || !this.matches(at))) at = (at + 1) & mask;
    return at;
  }

  private matches(at: number): boolean {
    const connection = this.entries[at];
    if (connection === undefined) return false;
    const { key } = this;
    const { local, remote } = connection;
    return (
      key[PORTS] === ((local.port << 16) | remote.port) >>> 0 &&
      isAt(key, REMOTE, remote.address) &&
      isAt(key, LOCAL, local.address)
    );
  }

  private put(connection: Connection, hash: number): void {
    const mask = this.capacity - 1;
    let at = hash & mask;
    while (this.entries[at] !== undefined) at = (at + 1) & mask;
    this.entries[at] = connection;
    this.hashes[at] = hash;
  }

  /** Frees a place and moves back what probing put behind it. */
  private erase(place: number): void {
    const mask = this.capacity - 1;
    let hole = place;
    for (let at = (hole + 1) & mask; this.entries[at] !== undefined; at = (at + 1) & mask) {
      const home = (this.hashes[at] ?? 0) & mask;
      if (((at - home) & mask) < ((at - hole) & mask)) continue;
      this.entries[hole] = this.entries[at];
      this.hashes[hole] = this.hashes[at] ?? 0;
      hole = at;
    }
    this.entries[hole] = undefined;
  }

  private resize(capacity: number): void {
    const { entries, hashes } = this;
    this.capacity = capacity;
    this.hashes = new Int32Array(capacity);
    this.entries = Array.from({ length: capacity });
    entries.forEach((connection, at) => {
      if (connection !== undefined) this.put(connection, hashes[at] ?? 0);
    });
  }
}

/** Whether the four words of the key from `from` on are that address. From the back: the last words differ most often. */
function isAt(key: Uint32Array, from: number, address: IpAddress): boolean {
  return (
    key[from + 3] === address.word(3) &&
    key[from + 2] === address.word(2) &&
    key[from + 1] === address.word(1) &&
    key[from] === address.word(0)
  );
}
