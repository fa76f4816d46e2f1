/** Words of the pcap filter language that stand for numbers: protocols, fields, services. Nothing is looked up anywhere else. */

import { EtherType } from '../../wire/ethernet.js';
import { IpProtocol } from '../../wire/ip.js';

/** What a protocol's number is the number in: an EtherType (or SAP, RFC 1042), the protocol of either version of IP, or of one. */
export type ProtocolLayer = 'ether' | 'any' | 'ip' | 'ip6';

/** Where a keyword's protocol is found. */
export interface ProtocolKeyword {
  readonly layer: ProtocolLayer;
  readonly number: number;
}

const VRRP = 112;

/** The protocols that are keywords, and what each means alone. */
export const PROTOCOL_KEYWORDS: ReadonlyMap<string, ProtocolKeyword> = new Map([
  ['ip', { layer: 'ether', number: EtherType.Ipv4 }],
  ['ip6', { layer: 'ether', number: EtherType.Ipv6 }],
  ['arp', { layer: 'ether', number: EtherType.Arp }],
  ['rarp', { layer: 'ether', number: 0x8035 }],
  ['atalk', { layer: 'ether', number: 0x809b }],
  ['aarp', { layer: 'ether', number: 0x80f3 }],
  ['decnet', { layer: 'ether', number: 0x6003 }],
  ['lat', { layer: 'ether', number: 0x6004 }],
  ['sca', { layer: 'ether', number: 0x6007 }],
  ['moprc', { layer: 'ether', number: 0x6002 }],
  ['mopdl', { layer: 'ether', number: 0x6001 }],
  ['stp', { layer: 'ether', number: 0x42 }],
  ['ipx', { layer: 'ether', number: 0xe0 }],
  ['netbeui', { layer: 'ether', number: 0xf0 }],
  ['iso', { layer: 'ether', number: 0xfe }],
  ['tcp', { layer: 'any', number: IpProtocol.Tcp }],
  ['udp', { layer: 'any', number: IpProtocol.Udp }],
  ['sctp', { layer: 'any', number: 132 }],
  ['pim', { layer: 'any', number: 103 }],
  ['ah', { layer: 'any', number: IpProtocol.Ah }],
  ['esp', { layer: 'any', number: 50 }],
  ['icmp', { layer: 'ip', number: IpProtocol.Icmp }],
  ['igmp', { layer: 'ip', number: 2 }],
  ['igrp', { layer: 'ip', number: 9 }],
  ['vrrp', { layer: 'ip', number: VRRP }],
  ['carp', { layer: 'ip', number: VRRP }],
  ['icmp6', { layer: 'ip6', number: IpProtocol.Icmpv6 }],
] satisfies [string, ProtocolKeyword][]);

/** Names of the link layer, all of which mean Ethernet here. */
export const LINK_KEYWORDS: readonly string[] = ['ether', 'link', 'fddi', 'tr', 'wlan'];

/** Names of IP protocols (IANA), beside the keywords. */
export const IP_PROTOCOLS: ReadonlyMap<string, number> = new Map([
  ['icmp', 1],
  ['igmp', 2],
  ['ipencap', 4],
  ['tcp', 6],
  ['egp', 8],
  ['igrp', 9],
  ['udp', 17],
  ['dccp', 33],
  ['ipv6', 41],
  ['rsvp', 46],
  ['gre', 47],
  ['esp', 50],
  ['ah', 51],
  ['icmp6', 58],
  ['ipv6-icmp', 58],
  ['eigrp', 88],
  ['ospf', 89],
  ['pim', 103],
  ['vrrp', VRRP],
  ['carp', VRRP],
  ['l2tp', 115],
  ['sctp', 132],
  ['udplite', 136],
]);

/** Names of EtherTypes and SAPs. */
export const ETHER_TYPES: ReadonlyMap<string, number> = new Map([
  ...[...PROTOCOL_KEYWORDS]
    .filter(([, { layer }]) => layer === 'ether')
    .map(([name, { number }]) => [name, number] as const),
  ['loopback', 0x9000],
]);

/** Services with the same port in all transports (IANA). */
export const SERVICES: ReadonlyMap<string, number> = new Map([
  ['echo', 7],
  ['discard', 9],
  ['daytime', 13],
  ['chargen', 19],
  ['ftp-data', 20],
  ['ftp', 21],
  ['ssh', 22],
  ['telnet', 23],
  ['smtp', 25],
  ['time', 37],
  ['domain', 53],
  ['bootps', 67],
  ['bootpc', 68],
  ['tftp', 69],
  ['http', 80],
  ['www', 80],
  ['kerberos', 88],
  ['pop3', 110],
  ['sunrpc', 111],
  ['ntp', 123],
  ['imap', 143],
  ['imap2', 143],
  ['snmp', 161],
  ['snmp-trap', 162],
  ['bgp', 179],
  ['ldap', 389],
  ['https', 443],
  ['isakmp', 500],
  ['syslog', 514],
  ['dhcpv6-client', 546],
  ['dhcpv6-server', 547],
  ['ldaps', 636],
  ['imaps', 993],
  ['pop3s', 995],
  ['mdns', 5353],
  ['vxlan', 4789],
]);

/** Offsets of fields and values of them, for use in byte accesses. */
export const CONSTANTS: ReadonlyMap<string, number> = new Map([
  ['tcpflags', 13],
  ['tcp-fin', 0x01],
  ['tcp-syn', 0x02],
  ['tcp-rst', 0x04],
  ['tcp-push', 0x08],
  ['tcp-ack', 0x10],
  ['tcp-urg', 0x20],
  ['tcp-ece', 0x40],
  ['tcp-cwr', 0x80],
  ['icmptype', 0],
  ['icmpcode', 1],
  ['icmp-echoreply', 0],
  ['icmp-unreach', 3],
  ['icmp-sourcequench', 4],
  ['icmp-redirect', 5],
  ['icmp-echo', 8],
  ['icmp-routeradvert', 9],
  ['icmp-routersolicit', 10],
  ['icmp-timxceed', 11],
  ['icmp-paramprob', 12],
  ['icmp-tstamp', 13],
  ['icmp-tstampreply', 14],
  ['icmp-ireq', 15],
  ['icmp-ireqreply', 16],
  ['icmp-maskreq', 17],
  ['icmp-maskreply', 18],
  ['icmp6type', 0],
  ['icmp6code', 1],
  ['icmp6-destinationunreach', 1],
  ['icmp6-packettoobig', 2],
  ['icmp6-timeexceeded', 3],
  ['icmp6-parameterproblem', 4],
  ['icmp6-echo', 128],
  ['icmp6-echoreply', 129],
  ['icmp6-multicastlistenerquery', 130],
  ['icmp6-multicastlistenerreportv1', 131],
  ['icmp6-multicastlistenerdone', 132],
  ['icmp6-routersolicit', 133],
  ['icmp6-routeradvert', 134],
  ['icmp6-neighborsolicit', 135],
  ['icmp6-neighboradvert', 136],
  ['icmp6-redirect', 137],
  ['icmp6-multicastlistenerreportv2', 143],
]);
