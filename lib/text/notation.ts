/**
 * The packet notation: one line of text for one packet, both ways. TCP lines are those of packetdrill.
 *
 *     < S 0:0(0) win 65535 <mss 1460,sackOK,TS val 1 ecr 0,nop,wscale 7>
 *     > S. 0:0(0) ack 1 <...>
 *     < P. 1:6(5 "hello") ack 1 win 100
 *     < icmp echo_request id 7 seq 1 (56)
 *     > icmp unreachable port [udp 40000 > 53 (12)]
 *     > icmp unreachable port [udp 40000 > 53 (12) from 10.0.0.2 to 192.0.2.1]
 *     < udp 53 > 1024 (12) bad-checksum
 *     < udp 53 > 1024 (12) no-checksum
 *     < udp 53 > 1024 (12) vlan 5 vlan 9 p 7 dei
 *     > arp who-has 10.0.0.1 tell 10.0.0.2
 *     > arp who-has 10.0.0.1 tell 10.0.0.2 op 8 sender-mac 02:00:00:00:00:09 target-mac 02:00:00:00:00:02
 *     < arp reply 10.0.0.1 is-at 02:00:00:00:00:02
 *     < icmp echo_request id 7 seq 1 (2000) frag 0:1480+ ipid 9
 *     > icmpv6 unreachable port [udp 40000 > 53 (12)]
 *     < icmpv6 neighbor_solicitation target fe80::1 lladdr 02:00:00:00:00:02
 *     > icmpv6 neighbor_advertisement target fe80::1 flags SO lladdr 02:00:00:00:00:01
 *     < udp 53 > 1024 (12) hopopts 0x05020000 frag 0:8+ ipid 9
 *
 * `<` is what the remote side sends, `>` what we send. Sequence numbers are relative to each side's first, ours to that of the SYN that begins
 * a connection: one that is sent again must have the same. Data are zeros unless they are given. What a packet to be built leaves out is
 * filled in; what an expected packet leaves out matches anything, except addresses, ports, TCP options, fragmentation, extension headers, tags
 * and checksums, which then must be the context's, the context's, none, none, none, none, and there and right. The addresses are also those of
 * a packet that is quoted, and the link addresses that ARP tells: the frame's, and in a request no target's. The addresses say which version a
 * packet is of; unsaid, a neighbour solicitation goes to the group of its target. VLAN tags are said outermost first, each with its priority
 * (`p`) and whether it may be dropped first (`dei`).
 */

import type { Frame, FramePool } from '../core/frame.js';
import { endsOf, PacketBuilder, reversed } from './notation-builder.js';
import { type Ends, NotationContext, type NotationOptions, opposite, SequenceMap } from './notation-context.js';
import { formatPacket } from './notation-format.js';
import { matchPacket } from './notation-match.js';
import { parsePacket } from './notation-parser.js';
import { PacketReader } from './notation-reader.js';
import type { Direction, PacketSpec } from './packet-spec.js';

/** Two canonical lines, reduced to what was expected; the packets match when they are equal. */
export interface Comparison {
  readonly equal: boolean;
  readonly expected: string;
  readonly actual: string;
}

/** Packets as text and back, for one pair of hosts. It remembers where connections' sequence numbers begin. */
export class PacketNotation {
  readonly context: NotationContext;
  readonly sequences: SequenceMap;
  private readonly builder: PacketBuilder;
  private readonly reader: PacketReader;

  /** @throws UsageError `ERR_INVALID_ADDRESS` */
  constructor(options: NotationOptions = {}) {
    this.context = new NotationContext(options);
    this.sequences = new SequenceMap(this.context.remoteIsn);
    this.builder = new PacketBuilder(this.context, this.sequences);
    this.reader = new PacketReader(this.context, this.sequences);
  }

  /** @throws NotationError `ERR_BAD_PACKET_TEXT`, with line and column */
  parse(text: string): PacketSpec {
    return parsePacket(text);
  }

  /**
   * The frame of a packet. A line that does not say which way it goes, goes in `direction`.
   *
   * @param pool where the frame comes from; without one it has memory of its own
   * @throws NotationError `ERR_BAD_PACKET_TEXT`, UsageError `ERR_INVALID_OPTION` for what no packet of its kind and version can say,
   *   `ERR_INVALID_ADDRESS`
   */
  build(packet: string | PacketSpec, direction: Direction = '<', pool?: FramePool): Frame {
    const spec = typeof packet === 'string' ? parsePacket(packet) : packet;
    return this.builder.build(spec, spec.direction ?? direction, pool);
  }

  /** What a frame says. Never throws, whatever the bytes. */
  read(frame: Frame, direction: Direction = '>'): PacketSpec {
    return this.reader.read(frame, direction);
  }

  /** The canonical line of a packet. */
  format(packet: PacketSpec | Frame, direction: Direction = '>'): string {
    return formatPacket('kind' in packet ? packet : this.read(packet, direction));
  }

  /** Holds a frame, or what was read from one, against an expected packet. @throws NotationError `ERR_BAD_PACKET_TEXT` */
  compare(expected: string | PacketSpec, actual: Frame | PacketSpec, direction: Direction = '>'): Comparison {
    const wanted = typeof expected === 'string' ? parsePacket(expected) : expected;
    const way = wanted.direction ?? direction;
    const found = 'kind' in actual ? actual : this.read(actual, way);
    // An expected fragment is what its bytes are, since no header of its transport may be in it.
    const whole = wanted.fragment === undefined || wanted.kind === 'ip';
    const spec = whole ? wanted : onlySaid(this.read(this.build(wanted, way), way), wanted);
    const lines = matchPacket({ ...spec, direction: way }, this.likewise(spec, found, way), this.context);
    return { equal: lines.expected === lines.actual, ...lines };
  }

  /** Says absolute numbers where the expected segment does. */
  private likewise(wanted: PacketSpec, found: PacketSpec, direction: Direction): PacketSpec {
    if (wanted.kind !== 'tcp' || found.kind !== 'tcp') return found;
    const ends = endsOf(found, this.context.ends(direction));
    const { sequence, ack } = found;
    const live = (relative: number, way: Direction, of: Ends): number =>
      (relative + this.sequences.offset(way, of)) >>> 0;
    return {
      ...found,
      ...(wanted.absoluteSequence === true && sequence !== undefined
        ? { sequence: live(sequence, direction, ends), absoluteSequence: true }
        : {}),
      ...(wanted.absoluteAck === true && ack !== undefined
        ? { ack: live(ack, opposite(direction), reversed(ends)), absoluteAck: true }
        : {}),
    };
  }
}

/** Of the values that an IP header always has, only those that were said. */
function onlySaid(built: PacketSpec, wanted: PacketSpec): PacketSpec {
  const out = { ...built };
  for (const key of ['ttl', 'tos', 'ecn', 'ipId', 'dontFragment', 'flowLabel'] as const) {
    Object.assign(out, { [key]: wanted[key] });
  }
  return out;
}
