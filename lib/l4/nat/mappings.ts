/**
 * Mappings: which internal address and port stand behind which external ones, whoever they talk to (endpoint-independent mapping, RFC 4787
 * 4.1). A mapping lives as long as it has sessions.
 */

import type { Frame } from '../../core/frame.js';
import type { Random } from '../../core/random.js';
import type { PacketFields } from '../../wire/packet-fields.js';
import { rewriteDestination, rewriteQuotedSource, SAME_PORT } from '../../wire/rewrite.js';
import { Chains, FreeSlots, HashKey, isAddress, putAddress } from './chains.js';
import type { NatProtocol } from './protocols.js';

// Places in a record.
const WORDS = 12;
const ENDS = 4;
const EXTERNAL = 5;
const OWNER = 6;
const HOST = 7;
const SESSIONS = 8;
const KIND = 9;
const CREATED = 10;
/** Protocol and port in one word. */
const PROTOCOL_SHIFT = 16;

/** What made a mapping. */
export const MappingKind = {
  /** A packet that went out by a rule that translates sources. */
  Dynamic: 0,
  /** A packet that came in to a port that is forwarded. */
  Forward: 1,
  /** A packet of the translator's own host, whose address is the external one. */
  Local: 2,
} as const;
export type MappingKind = (typeof MappingKind)[keyof typeof MappingKind];

/** The mappings. */
export class Mappings {
  private readonly records: Int32Array;
  private readonly internals: Chains;
  private readonly externals: Chains;
  private readonly slots: FreeSlots;
  private readonly key: HashKey;

  constructor(capacity: number, random: Random) {
    this.records = new Int32Array((capacity + 1) * WORDS);
    this.internals = new Chains(capacity);
    this.externals = new Chains(capacity);
    this.slots = new FreeSlots(capacity);
    this.key = new HashKey(random);
  }

  get size(): number {
    return this.slots.used;
  }

  /** Bytes of memory when full. */
  get bytes(): number {
    return this.records.byteLength + this.internals.bytes + this.externals.bytes + this.slots.bytes;
  }

  /** The first mapping of an internal end, or 0; {@link Mappings.nextInternal} has the others. */
  findInternal(
    protocol: NatProtocol,
    word0: number,
    word1: number,
    word2: number,
    word3: number,
    port: number,
  ): number {
    this.key.address(word0, word1, word2, word3);
    const ends = (protocol << PROTOCOL_SHIFT) | port;
    this.key.words[4] = ends;
    return this.match(this.internals.first(this.key.hash(1)), word0, word1, word2, word3, ends);
  }

  /** The next mapping of the same internal end as `slot`'s, or 0. */
  nextInternal(slot: number): number {
    const { records } = this;
    const at = slot * WORDS;
    const ends = (this.protocol(slot) << PROTOCOL_SHIFT) | this.internalPort(slot);
    const [word0, word1, word2] = [records[at] ?? 0, records[at + 1] ?? 0, records[at + 2] ?? 0];
    return this.match(this.internals.after(slot), word0, word1, word2, records[at + 3] ?? 0, ends);
  }

  /** The mapping of a port of the external address with that number, or 0. */
  findExternal(protocol: NatProtocol, external: number, port: number): number {
    const { records, externals } = this;
    for (
      let slot = externals.first(this.hashExternal(protocol, external, port));
      slot !== 0;
      slot = externals.after(slot)
    ) {
      const at = slot * WORDS;
      if (records[at + EXTERNAL] !== external || this.externalPort(slot) !== port) continue;
      if (this.protocol(slot) === protocol) return slot;
    }
    return 0;
  }

  /** Adds a mapping without sessions, and returns its slot; 0 where there is no room. */
  add(
    protocol: NatProtocol,
    word0: number,
    word1: number,
    word2: number,
    word3: number,
    port: number,
    external: number,
    externalPort: number,
  ): number {
    const slot = this.slots.take();
    if (slot === 0) return 0;
    const { records } = this;
    const at = slot * WORDS;
    putAddress(records, at, word0, word1, word2, word3);
    records[at + ENDS] = (port << 16) | externalPort;
    records[at + EXTERNAL] = external;
    records[at + OWNER] = records[at + HOST] = records[at + SESSIONS] = records[at + CREATED] = 0;
    records[at + KIND] = protocol;
    this.internals.add(slot, this.hashInternal(slot));
    this.externals.add(slot, this.hashExternal(protocol, external, externalPort));
    return slot;
  }

  /** Says what made it: of a dynamic one `owner` is the number of the rule, and `host` that of the internal host's record. */
  setOrigin(slot: number, kind: MappingKind, owner: number, host: number, created: number): void {
    const at = slot * WORDS;
    this.records[at + KIND] = this.protocol(slot) | (kind << 8);
    this.records[at + OWNER] = owner;
    this.records[at + HOST] = host;
    this.records[at + CREATED] = created;
  }

  remove(slot: number): void {
    this.internals.remove(slot, this.hashInternal(slot));
    this.externals.remove(slot, this.hashExternal(this.protocol(slot), this.external(slot), this.externalPort(slot)));
    this.records.fill(0, slot * WORDS, (slot + 1) * WORDS);
    this.slots.give(slot);
  }

  /** Word 0 to 3 of the internal address. */
  word(slot: number, index: 0 | 1 | 2 | 3): number {
    return this.records[slot * WORDS + index] ?? 0;
  }
  internalPort(slot: number): number {
    return (this.records[slot * WORDS + ENDS] ?? 0) >>> 16;
  }
  externalPort(slot: number): number {
    return (this.records[slot * WORDS + ENDS] ?? 0) & 0xffff;
  }
  /** The number of the external address. */
  external(slot: number): number {
    return this.records[slot * WORDS + EXTERNAL] ?? 0;
  }
  owner(slot: number): number {
    return this.records[slot * WORDS + OWNER] ?? 0;
  }
  host(slot: number): number {
    return this.records[slot * WORDS + HOST] ?? 0;
  }
  /** When it was made, in seconds of the clock. */
  created(slot: number): number {
    return this.records[slot * WORDS + CREATED] ?? 0;
  }
  protocol(slot: number): NatProtocol {
    return ((this.records[slot * WORDS + KIND] ?? 0) & 0xff) as NatProtocol;
  }
  kind(slot: number): MappingKind {
    return ((this.records[slot * WORDS + KIND] ?? 0) >>> 8) as MappingKind;
  }
  sessions(slot: number): number {
    return this.records[slot * WORDS + SESSIONS] ?? 0;
  }

  /** Counts a session more or less, and returns how many there are. */
  count(slot: number, change: 1 | -1): number {
    const at = slot * WORDS + SESSIONS;
    const count = (this.records[at] ?? 0) + change;
    this.records[at] = count;
    return count;
  }

  /** Whether it is that of this internal end. */
  isInternal(
    slot: number,
    protocol: NatProtocol,
    word0: number,
    word1: number,
    word2: number,
    word3: number,
    port: number,
  ): boolean {
    const ends = (protocol << PROTOCOL_SHIFT) | port;
    return this.sessions(slot) > 0 && this.has(slot, word0, word1, word2, word3, ends);
  }

  /** Sends a packet to the internal end. */
  rewriteDestination(slot: number, frame: Frame, fields: PacketFields): void {
    const { records } = this;
    const at = slot * WORDS;
    const word3 = records[at + 3] ?? 0;
    const port = this.internalPort(slot);
    rewriteDestination(frame, fields, records[at] ?? 0, records[at + 1] ?? 0, records[at + 2] ?? 0, word3, port);
  }

  /** Makes an error one about a packet of the internal end, and sends it there. */
  rewriteError(slot: number, frame: Frame, fields: PacketFields, quote: PacketFields): void {
    const { records } = this;
    const at = slot * WORDS;
    const word0 = records[at] ?? 0;
    const word1 = records[at + 1] ?? 0;
    const word2 = records[at + 2] ?? 0;
    const word3 = records[at + 3] ?? 0;
    rewriteQuotedSource(frame, fields, quote, word0, word1, word2, word3, this.internalPort(slot));
    rewriteDestination(frame, fields, word0, word1, word2, word3, SAME_PORT);
  }

  /** Calls `each` with the slot of every mapping; mappings may be removed meanwhile. For the control plane. */
  forEach(each: (slot: number) => void): void {
    for (let slot = 1; slot <= this.slots.highest; slot++) if (this.sessions(slot) > 0) each(slot);
  }

  private match(first: number, word0: number, word1: number, word2: number, word3: number, ends: number): number {
    let slot = first;
    while (slot !== 0 && !this.has(slot, word0, word1, word2, word3, ends)) slot = this.internals.after(slot);
    return slot;
  }

  private has(slot: number, word0: number, word1: number, word2: number, word3: number, ends: number): boolean {
    const { records } = this;
    const at = slot * WORDS;
    const own = (this.protocol(slot) << PROTOCOL_SHIFT) | this.internalPort(slot);
    return own === ends && isAddress(records, at, word0, word1, word2, word3);
  }

  private hashInternal(slot: number): number {
    const { key } = this;
    key.addressAt(this.records, slot * WORDS);
    key.words[4] = (this.protocol(slot) << PROTOCOL_SHIFT) | this.internalPort(slot);
    return key.hash(1);
  }

  private hashExternal(protocol: NatProtocol, external: number, port: number): number {
    // As if the number were an IPv4 address.
    this.key.address(0, 0, 0xffff, external);
    this.key.words[4] = (protocol << PROTOCOL_SHIFT) | port;
    return this.key.hash(1);
  }
}
