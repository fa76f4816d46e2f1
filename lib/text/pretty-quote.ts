/** Names of protocols, and the packets that ICMP errors of both versions quote, in the words of `pretty`. */

import type { IpAddress } from '../core/address.js';
import type { Icmpv4Quote } from '../wire/icmpv4.js';
import type { Icmpv6Quote } from '../wire/icmpv6.js';
import { IpProtocol } from '../wire/ip.js';

const PROTOCOLS: ReadonlyMap<number, string> = new Map([
  [IpProtocol.Icmp, 'icmp'],
  [IpProtocol.Tcp, 'tcp'],
  [IpProtocol.Udp, 'udp'],
  [IpProtocol.Igmp, 'igmp'],
  [IpProtocol.Icmpv6, 'icmp6'],
  [IpProtocol.Esp, 'esp'],
  [IpProtocol.Gre, 'gre'],
  [IpProtocol.NoNext, 'no next header'],
]);

/** What IP carries, by its protocol number. */
export function protocolName(protocol: number): string {
  return PROTOCOLS.get(protocol) ?? `proto ${protocol}`;
}

/** The packet that an error is about. */
export function quote(quoted: Icmpv4Quote | Icmpv6Quote): string {
  const { packet, ports } = quoted;
  const protocol = protocolName(packet.protocol);
  const end = (address: IpAddress, port: number | undefined) =>
    address.toString() + (port === undefined ? '' : `.${port}`);
  const start = packet.version === 6 ? 'IP6' : 'IP';
  return `${start} ${end(packet.sourceAddress, ports?.source)} > ${end(packet.destinationAddress, ports?.destination)}: ${protocol}`;
}
