/**
 * A number that all packets of a flow have and those of others are unlikely to: what tunnels choose source ports by, so that routers which
 * balance load by ports spread their flows (RFC 7348 5, RFC 6438).
 */

import type { Frame } from '../core/frame.js';
import { PacketFields } from './packet-fields.js';

const GOLDEN = 0x9e37_79b1;

function mix(hash: number, word: number): number {
  const mixed = Math.imul(hash ^ word, GOLDEN);
  return mixed ^ (mixed >>> 15);
}

/** Hashes packets; one serves many. */
export class Entropy {
  private readonly fields: PacketFields = new PacketFields();

  /**
   * A hash, signed, of the flow of an Ethernet frame: of its MAC addresses and type and, where there is IP, of addresses, protocol and ports.
   * Fragments of one packet have one: their ports do not count.
   *
   * @param network offset of its IP header, negative where there is none
   */
  of(frame: Frame, network: number): number {
    const { view } = frame.slab;
    const { start } = frame;
    let hash = mix(
      mix(mix(view.getInt32(start), view.getInt32(start + 4)), view.getInt32(start + 8)),
      view.getUint16(start + 12),
    );
    const { fields } = this;
    if (network < 0 || !fields.read(frame, network)) return hash;
    hash = mix(hash, fields.protocol);
    hash = mix(mix(hash, fields.source3), fields.destination3);
    if (fields.version === 6) {
      hash = mix(mix(mix(hash, fields.source0), fields.source1), fields.source2);
      hash = mix(mix(mix(hash, fields.destination0), fields.destination1), fields.destination2);
    }
    if (fields.isFragment) return hash;
    return mix(hash, (fields.sourcePort << 16) | fields.destinationPort);
  }
}
