/** What a translator decides of a packet: its addresses, and perhaps its ports, in the other version of IP. */

import type { DropReason } from '../../core/drops.js';
import type { Frame } from '../../core/frame.js';
import { SAME_PORT } from '../../wire/rewrite.js';
import type { PacketFields } from '../../wire/packet-fields.js';

/** There is no reason to drop the packet. */
export const FINE = 0;
/** The mapper keeps a copy of the packet, and brings it again later. */
export const KEPT = -1;

/** The ends that a packet is to have; one record serves many packets. Of an IPv4 address only the last word is heeded. */
export class NewEnds {
  source0 = 0;
  source1 = 0;
  source2 = 0;
  source3 = 0;
  destination0 = 0;
  destination1 = 0;
  destination2 = 0;
  destination3 = 0;
  /** Ports, or the identifier of ICMP queries as both of them; `SAME_PORT` leaves it. */
  sourcePort: number = SAME_PORT;
  destinationPort: number = SAME_PORT;

  setSource(word0: number, word1: number, word2: number, word3: number): void {
    this.source0 = word0 | 0;
    this.source1 = word1 | 0;
    this.source2 = word2 | 0;
    this.source3 = word3 | 0;
  }

  setDestination(word0: number, word1: number, word2: number, word3: number): void {
    this.destination0 = word0 | 0;
    this.destination1 = word1 | 0;
    this.destination2 = word2 | 0;
    this.destination3 = word3 | 0;
  }

  /** Ports stay as they are. */
  keepPorts(): void {
    this.sourcePort = this.destinationPort = SAME_PORT;
  }
}

/** Finds the ends that packets are to have: by a rule alone (stateless), or by a table of flows. */
export interface EndsMapper {
  /** Whether a packet is to be translated at all: others pass by. */
  takes(fields: PacketFields): boolean;
  /** Whether an IPv4 packet that was IPv6 goes to where it came from, and is to be IPv6 again at once: hairpinning. */
  turnsBack(fields: PacketFields): boolean;
  /**
   * Sets the ends of a packet that is no ICMP error. Later fragments have no ports.
   *
   * @param turning it is on its way back
   * @returns why it cannot be translated, {@link FINE} or {@link KEPT}
   */
  map(frame: Frame, fields: PacketFields, ends: NewEnds, turning: boolean): DropReason | typeof FINE | typeof KEPT;
  /** The same for an ICMP error and the packet that it quotes. */
  mapError(
    fields: PacketFields,
    quote: PacketFields,
    ends: NewEnds,
    quotedEnds: NewEnds,
    turning: boolean,
  ): DropReason | typeof FINE;
}
