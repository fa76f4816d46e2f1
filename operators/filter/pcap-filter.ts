import { PcapFilter, type PcapFilterOptions } from '../../lib/filter/pcap-filter/pcap-filter.js';
import { mediumAt, packetEnd, packetStart } from '../../lib/wire/whole-packet.js';
import { frameOf, type Packet } from '../flow/packet.js';

/**
 * A condition in the pcap filter language (pcap-filter(7), as of tcpdump), compiled for any place where packets are chosen: `where`,
 * `capture`, `logPackets`, a rule of a firewall.
 *
 * It looks at the whole packet, whatever layers have narrowed it to: from the link header on where there is one, else from the IP header. Of a
 * bare frame it looks at the range, which starts at an IP header if the frame's device is of that medium or a layer has found it there. Bytes are
 * judged as they are in the frame: a super-segment is one packet. Frames of ergot match the empty filter only.
 *
 * Hosts are addresses and services those of a small table: nothing is looked up. Not in it: `gateway`, `protochain`, `inbound`, `outbound`,
 * `mpls`, `pppoes`, `geneve` and what is of wireless links.
 *
 * @example
 * tap.frames$.pipe(where(pcapFilter('not (udp port 53 and net 192.0.2.0/24)')), host).subscribe(tap.sink);
 *
 * @throws PcapFilterError `ERR_BAD_FILTER`, with the column and what was expected there
 */
// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- it is what `where` infers the packets that it passes on from
export function pcapFilter<T extends Packet>(
  filter: string | PcapFilter,
  options: PcapFilterOptions = {},
): (packet: T) => boolean {
  const compiled = typeof filter === 'string' ? new PcapFilter(filter, options) : filter;
  const all = String(compiled) === '';
  return (packet) => {
    const frame = frameOf(packet);
    const isView = frame !== packet;
    const start = packetStart(frame, isView);
    const medium = mediumAt(frame, start);
    return medium === 'ergot' ? all : compiled.matches(frame.slab.view, start, packetEnd(frame, isView), medium);
  };
}

/** What an option that chooses packets may be: a text in the pcap filter language, or a condition. */
export type PacketFilter<T extends Packet> = string | ((packet: T) => boolean);

/** The condition of such an option; all packets where it is not given. @throws PcapFilterError `ERR_BAD_FILTER` */
export function conditionOf<T extends Packet>(filter: PacketFilter<T> | undefined): (packet: T) => boolean {
  if (filter === undefined) return () => true;
  return typeof filter === 'string' ? pcapFilter(filter) : filter;
}
