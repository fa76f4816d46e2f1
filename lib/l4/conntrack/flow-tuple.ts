/**
 * What tells the packets of one direction of a flow from all others: addresses, ports or identifier, protocol. A flow has two, and the second
 * need not mirror the first: where an address is translated, replies come to the translated one.
 */

import { type IpAddress, Ipv4Address, Ipv6Address } from '../../core/address.js';
import { halfSipHash } from '../../core/hash.js';
import { IpProtocol } from '../../wire/ip.js';
import type { PacketFields } from '../../wire/packet-fields.js';
import { answeredBy } from './icmp-queries.js';

/** Words of an address pair and ports, in the order of {@link FlowTuple.words}. */
export const TUPLE_WORDS = 9;
// What differs between flows of IPv4 stands side by side at the end, so that a hash of few words covers it.
const SOURCE_HIGH = 0;
const DESTINATION_HIGH = 3;
const SOURCE_LOW = 6;
const DESTINATION_LOW = 7;
const PORTS = 8;
/** Version and protocol, behind the words that a flow has two of. */
const KIND = TUPLE_WORDS;
const VERSION_SHIFT = 8;
const V4_WORDS = KIND + 1 - SOURCE_LOW;

/** What {@link FlowTuple.of} takes. */
export interface FlowEnds {
  /** Number of the protocol above IP. */
  readonly protocol: number;
  readonly source: IpAddress;
  readonly destination: IpAddress;
  /** Default 0. */
  readonly sourcePort?: number;
  readonly destinationPort?: number;
}

/**
 * One direction of a flow, as integers. Addresses are four signed words each, of IPv4 the mapped ones, as in {@link PacketFields}. Queries of
 * ICMP have their identifier for a source port and their type for a destination port. One object serves many flows.
 */
export class FlowTuple {
  /** High three words of the source, then of the destination; their low words; both ports; version and protocol. */
  readonly words: Int32Array = new Int32Array(KIND + 1);

  /** The tuple of these ends; for the control plane and tests. */
  static of(ends: FlowEnds): FlowTuple {
    const { source, destination } = ends;
    const tuple = new FlowTuple();
    tuple.setKind(source.version, ends.protocol);
    tuple.setSource(source.word(0), source.word(1), source.word(2), source.word(3));
    tuple.setDestination(destination.word(0), destination.word(1), destination.word(2), destination.word(3));
    tuple.setPorts(ends.sourcePort ?? 0, ends.destinationPort ?? 0);
    return tuple;
  }

  get version(): 4 | 6 {
    return (this.words[KIND] ?? 0) >>> VERSION_SHIFT === 4 ? 4 : 6;
  }

  get protocol(): number {
    return (this.words[KIND] ?? 0) & 0xff;
  }

  get sourcePort(): number {
    return (this.words[PORTS] ?? 0) >>> 16;
  }

  get destinationPort(): number {
    return (this.words[PORTS] ?? 0) & 0xffff;
  }

  get isIcmp(): boolean {
    return this.protocol === (this.version === 4 ? IpProtocol.Icmp : IpProtocol.Icmpv6);
  }

  /** A word of the source address, signed. */
  source(index: 0 | 1 | 2 | 3): number {
    return this.words[index === 3 ? SOURCE_LOW : SOURCE_HIGH + index] ?? 0;
  }

  destination(index: 0 | 1 | 2 | 3): number {
    return this.words[index === 3 ? DESTINATION_LOW : DESTINATION_HIGH + index] ?? 0;
  }

  /** The source as an object; for the control plane. */
  get sourceAddress(): IpAddress {
    return addressOf(this.version, this.source(0), this.source(1), this.source(2), this.source(3));
  }

  get destinationAddress(): IpAddress {
    const { version } = this;
    return addressOf(version, this.destination(0), this.destination(1), this.destination(2), this.destination(3));
  }

  setKind(version: 4 | 6, protocol: number): void {
    this.words[KIND] = (version << VERSION_SHIFT) | protocol;
  }

  setSource(word0: number, word1: number, word2: number, word3: number): void {
    const { words } = this;
    words[SOURCE_HIGH] = word0;
    words[SOURCE_HIGH + 1] = word1;
    words[SOURCE_HIGH + 2] = word2;
    words[SOURCE_LOW] = word3;
  }

  setDestination(word0: number, word1: number, word2: number, word3: number): void {
    const { words } = this;
    words[DESTINATION_HIGH] = word0;
    words[DESTINATION_HIGH + 1] = word1;
    words[DESTINATION_HIGH + 2] = word2;
    words[DESTINATION_LOW] = word3;
  }

  setPorts(source: number, destination: number): void {
    this.words[PORTS] = (source << 16) | destination;
  }

  /** Reads the tuple of a packet, whose header of the transport is there. Of ICMP it must be a query or an answer. */
  read(fields: PacketFields): void {
    const version = fields.version === 4 ? 4 : 6;
    this.setKind(version, fields.protocol);
    this.setSource(fields.source0, fields.source1, fields.source2, fields.source3);
    this.setDestination(fields.destination0, fields.destination1, fields.destination2, fields.destination3);
    if (fields.icmpType >= 0) this.setPorts(fields.icmpIdentifier, fields.icmpType);
    else this.setPorts(fields.sourcePort, fields.destinationPort);
  }

  copy(other: FlowTuple): void {
    const { words } = this;
    for (let i = 0; i <= KIND; i++) words[i] = other.words[i] ?? 0;
  }

  /** Becomes the tuple of what answers `other`. */
  invert(other: FlowTuple): void {
    const { words } = other;
    const [s0 = 0, s1 = 0, s2 = 0] = [words[SOURCE_HIGH], words[SOURCE_HIGH + 1], words[SOURCE_HIGH + 2]];
    const s3 = words[SOURCE_LOW] ?? 0;
    const { sourcePort, destinationPort } = other;
    this.setSource(other.destination(0), other.destination(1), other.destination(2), other.destination(3));
    this.setDestination(s0, s1, s2, s3);
    this.words[KIND] = words[KIND] ?? 0;
    if (other.isIcmp) this.setPorts(sourcePort, answeredBy(this.version, destinationPort));
    else this.setPorts(destinationPort, sourcePort);
  }

  equals(other: FlowTuple): boolean {
    for (let i = 0; i <= KIND; i++) if (this.words[i] !== other.words[i]) return false;
    return true;
  }

  /** A signed hash under the secret `k0`, `k1`. */
  hash(k0: number, k1: number): number {
    // The version is told apart by the kind, so that the words that are the same for all of IPv4 can be left out.
    return this.version === 4
      ? halfSipHash(k0, k1, this.words, SOURCE_LOW, V4_WORDS)
      : halfSipHash(k0, k1, this.words, SOURCE_HIGH, KIND + 1);
  }

  /** For people: `tcp 10.0.0.1:1024 > 10.0.0.2:80`. */
  toString(): string {
    const { protocol, sourcePort, destinationPort } = this;
    if (this.isIcmp) {
      const [from, to] = [this.sourceAddress.toString(), this.destinationAddress.toString()];
      return `icmp ${from} > ${to} type ${destinationPort} id ${sourcePort}`;
    }
    const name = protocol === IpProtocol.Tcp ? 'tcp' : protocol === IpProtocol.Udp ? 'udp' : `protocol ${protocol}`;
    return `${name} ${endText(this.sourceAddress, sourcePort)} > ${endText(this.destinationAddress, destinationPort)}`;
  }
}

function endText(address: IpAddress, port: number): string {
  const text = address.toString();
  if (port === 0) return text;
  return address.version === 4 ? `${text}:${port}` : `[${text}]:${port}`;
}

function addressOf(version: 4 | 6, word0: number, word1: number, word2: number, word3: number): IpAddress {
  if (version === 4) return new Ipv4Address(word3 >>> 0);
  return new Ipv6Address(word0 >>> 0, word1 >>> 0, word2 >>> 0, word3 >>> 0);
}
