/** What a line of the notation leaves unsaid: whose addresses and ports, and where each connection's sequence numbers begin. */

import { ipOf, type IpVersion, MacAddress, parseIp } from '../core/address.js';
import { UsageError } from '../core/errors.js';
import type { Frame } from '../core/frame.js';
import { Icmpv6Type } from '../wire/icmpv6.js';
import { groupMac, solicitedNode } from '../wire/ipv6.js';
import { startsAtIp } from '../wire/whole-packet.js';
import { Opening } from './opening.js';
import type { Direction, PacketSpec } from './packet-spec.js';

/** Options of a notation; the default addresses are those of packetdrill. */
export interface NotationOptions {
  /** Default: that of the addresses, or 4. */
  readonly version?: IpVersion;
  /** Our address, default 192.168.0.1 or fd3d:a0b:17d6::1. */
  readonly local?: string;
  /** The other side's, default 192.0.2.1 or fd3d:fa7b:d17d::1. */
  readonly remote?: string;
  /** Default 8080. */
  readonly localPort?: number;
  /** Default 40000. */
  readonly remotePort?: number;
  /** Default 02:00:00:00:00:01 and 02:00:00:00:00:02. */
  readonly macs?: { readonly local: string; readonly remote: string };
  /** What frames start with, default `ethernet`. A frame that is known to be an IP packet without link header is read as one all the same. */
  readonly linkType?: 'ethernet' | 'ip';
  /** Live sequence number that the remote side's 0 stands for, default 0. */
  readonly remoteIsn?: number;
}

/** The ends of one direction. */
export interface Ends {
  readonly source: string;
  readonly destination: string;
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly macFrom: number;
  readonly macTo: number;
}

/** A checked set of options: who the two sides are. */
export class NotationContext {
  /** Of the two addresses; a line that has others may be of the other version. */
  readonly version: IpVersion;
  readonly linkType: 'ethernet' | 'ip';
  readonly remoteIsn: number;
  private readonly outbound: Ends;
  private readonly inbound: Ends;

  /** @throws UsageError `ERR_INVALID_ADDRESS` */
  constructor(options: NotationOptions = {}) {
    this.linkType = options.linkType ?? 'ethernet';
    this.remoteIsn = options.remoteIsn ?? 0;
    const given = options.local ?? options.remote;
    this.version = options.version ?? (given === undefined ? 4 : ipOf(given).version);
    const own = ipOf(options.local ?? (this.version === 6 ? 'fd3d:a0b:17d6::1' : '192.168.0.1'));
    const other = ipOf(options.remote ?? (this.version === 6 ? 'fd3d:fa7b:d17d::1' : '192.0.2.1'));
    if (own.version !== this.version || other.version !== this.version) {
      throw new UsageError(
        'ERR_INVALID_ADDRESS',
        `${own.toString()} and ${other.toString()} are not both IPv${this.version}`,
      );
    }
    const local = own.toString();
    const remote = other.toString();
    const macFrom = MacAddress.parse(options.macs?.local ?? '02:00:00:00:00:01').value;
    const macTo = MacAddress.parse(options.macs?.remote ?? '02:00:00:00:00:02').value;
    const { localPort = 8080, remotePort = 40000 } = options;
    this.outbound = {
      source: local,
      destination: remote,
      sourcePort: localPort,
      destinationPort: remotePort,
      macFrom,
      macTo,
    };
    this.inbound = {
      source: remote,
      destination: local,
      sourcePort: remotePort,
      destinationPort: localPort,
      macFrom: macTo,
      macTo: macFrom,
    };
  }

  /** What a frame starts with: what the link has, unless the frame is known to be a packet that has no link header yet. */
  mediumOf(frame: Frame): 'ethernet' | 'ip' {
    return this.linkType === 'ip' || startsAtIp(frame, frame.start) ? 'ip' : 'ethernet';
  }

  ends(direction: Direction): Ends {
    return direction === '>' ? this.outbound : this.inbound;
  }

  /** Where a packet goes unless it says so itself: a neighbour solicitation to the group of its target. */
  destination(spec: PacketSpec, direction: Direction): string {
    if (spec.kind === 'icmpv6' && spec.type === Icmpv6Type.NeighbourSolicitation && spec.target !== undefined) {
      const target = parseIp(spec.target);
      if (target.version === 6) return solicitedNode(target).toString();
    }
    return this.ends(direction).destination;
  }

  /** Where a packet goes on the link unless it says so itself: an ARP request to everybody, an IPv6 group's to the group's address. */
  macTo(spec: PacketSpec, direction: Direction): number {
    if (spec.kind === 'arp') return spec.operation === 1 ? MacAddress.BROADCAST.value : this.ends(direction).macTo;
    const address = parseIp(spec.to ?? this.destination(spec, direction));
    return address.version === 6 && address.isMulticast ? groupMac(address) : this.ends(direction).macTo;
  }
}

interface Offsets {
  local: number;
  remote: number;
  readonly opening: Opening;
}

/**
 * Per connection, the live sequence numbers that the 0 of each side stands for. Ours is learnt from the first SYN or SYN-ACK
 * that we send, not from one that is sent again; the remote side's is what the context says.
 */
export class SequenceMap {
  private readonly offsets = new Map<string, Offsets>();
  private readonly remoteIsn: number;

  constructor(remoteIsn = 0) {
    this.remoteIsn = remoteIsn;
  }

  /** The live number for 0 of the side that sends in `direction`. */
  offset(direction: Direction, connection: Ends): number {
    const known = this.offsets.get(keyOf(direction, connection));
    return direction === '>' ? (known?.local ?? 0) : (known?.remote ?? this.remoteIsn);
  }

  /** Notes that the live number `isn` is 0 of the side that sends in `direction`. */
  learn(direction: Direction, connection: Ends, isn: number): void {
    const offsets = this.of(direction, connection);
    if (direction === '>') offsets.local = isn;
    else offsets.remote = isn;
  }

  /** A segment passes, with its live number: one of ours that begins a connection tells where ours begin. */
  pass(direction: Direction, connection: Ends, flags: number, sequence: number): void {
    const { opening } = this.of(direction, connection);
    if (direction === '<') opening.received(flags, sequence);
    else if (opening.sent(flags)) this.learn('>', connection, sequence);
  }

  private of(direction: Direction, connection: Ends): Offsets {
    const key = keyOf(direction, connection);
    const known = this.offsets.get(key);
    if (known !== undefined) return known;
    const offsets = { local: 0, remote: this.remoteIsn, opening: new Opening() };
    this.offsets.set(key, offsets);
    return offsets;
  }
}

function keyOf(direction: Direction, ends: Ends): string {
  const source = `${ends.source} ${ends.sourcePort}`;
  const destination = `${ends.destination} ${ends.destinationPort}`;
  return direction === '>' ? `${source} ${destination}` : `${destination} ${source}`;
}

export function opposite(direction: Direction): Direction {
  return direction === '<' ? '>' : '<';
}
