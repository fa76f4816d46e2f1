/**
 * The hash by which flows share equally good routes: of the addresses, the protocol and the ports, the same in both directions (RFC 2991,
 * RFC 2992). All fragments of packets go by their addresses alone, since the later ones have no ports; errors of ICMP go by the packet that they
 * quote, so that they come to where the flow's packets come (RFC 7690 has what happens otherwise).
 */

import type { Frame } from '../core/frame.js';
import { ICMPV4_HEADER } from '../wire/icmpv4.js';
import { IpProtocol } from '../wire/ip.js';
import { PacketFields } from '../wire/packet-fields.js';
import { mixed } from './fib-group.js';

/** Hashes flows under a seed, so that routers one behind another do not all choose alike. */
export class FlowHash {
  private readonly seed: number;
  private readonly quoted = new PacketFields();

  /** @param seed 32 bits; from one seed follow the same hashes, always and everywhere */
  constructor(seed: number) {
    this.seed = mixed(seed);
  }

  /** The hash, signed, of the flow that a packet belongs to; `fields` are those of the packet. */
  of(fields: PacketFields, frame: Frame): number {
    if (!isIcmpError(fields)) return this.hash(fields);
    const { quoted } = this;
    return this.hash(quoted.readQuoted(frame, fields.transport + ICMPV4_HEADER, fields.end) ? quoted : fields);
  }

  private hash(fields: PacketFields): number {
    const isWhole = !fields.isFragment;
    const { source0, source1, source2, source3 } = fields;
    const { destination0, destination1, destination2, destination3 } = fields;
    const one = this.end(source0, source1, source2, source3, isWhole ? fields.sourcePort : 0);
    const other = this.end(
      destination0,
      destination1,
      destination2,
      destination3,
      isWhole ? fields.destinationPort : 0,
    );
    // The sum is the same either way.
    return mixed((one + other + (isWhole ? fields.protocol : 0)) | 0);
  }

  private end(a: number, b: number, c: number, d: number, port: number): number {
    return mixed(mixed(mixed(mixed(this.seed ^ a) ^ b) ^ c) ^ d ^ (port << 16) ^ port);
  }
}

/** Errors quote a packet: of ICMP those of RFC 792 and RFC 1812, of ICMPv6 all types below 128 (RFC 4443 2.1). */
function isIcmpError({ protocol, icmpType }: PacketFields): boolean {
  if (icmpType < 0) return false;
  if (protocol === IpProtocol.Icmpv6) return icmpType < 128;
  return icmpType === 3 || icmpType === 4 || icmpType === 5 || icmpType === 11 || icmpType === 12;
}
