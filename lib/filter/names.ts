/** The words of rules for protocols, types of ICMP, flags, classes of service and days: those of nftables. */

import { TcpFlag } from '../wire/tcp.js';

type Words = ReadonlyMap<string, number>;

/** Protocols. */
export const PROTOCOLS: Words = new Map([
  ['icmp', 1],
  ['igmp', 2],
  ['tcp', 6],
  ['udp', 17],
  ['dccp', 33],
  ['ipv6', 41],
  ['gre', 47],
  ['esp', 50],
  ['ah', 51],
  ['icmpv6', 58],
  ['ospf', 89],
  ['sctp', 132],
  ['udplite', 136],
]);

/** Protocols whose header starts with two ports. */
export const WITH_PORTS: readonly string[] = ['tcp', 'udp', 'dccp', 'sctp', 'udplite'];

/** Types of ICMP (IANA). */
export const ICMP_TYPES: Words = new Map([
  ['echo-reply', 0],
  ['destination-unreachable', 3],
  ['source-quench', 4],
  ['redirect', 5],
  ['echo-request', 8],
  ['router-advertisement', 9],
  ['router-solicitation', 10],
  ['time-exceeded', 11],
  ['parameter-problem', 12],
  ['timestamp-request', 13],
  ['timestamp-reply', 14],
  ['info-request', 15],
  ['info-reply', 16],
  ['address-mask-request', 17],
  ['address-mask-reply', 18],
]);

/** Types of ICMPv6 (IANA). */
export const ICMPV6_TYPES: Words = new Map([
  ['destination-unreachable', 1],
  ['packet-too-big', 2],
  ['time-exceeded', 3],
  ['parameter-problem', 4],
  ['echo-request', 128],
  ['echo-reply', 129],
  ['mld-listener-query', 130],
  ['mld-listener-report', 131],
  ['mld-listener-done', 132],
  ['nd-router-solicit', 133],
  ['nd-router-advert', 134],
  ['nd-neighbor-solicit', 135],
  ['nd-neighbor-advert', 136],
  ['nd-redirect', 137],
  ['router-renumbering', 138],
  ['mld2-listener-report', 143],
]);

/** Flags of TCP, the low eight. */
export const TCP_FLAGS: Words = new Map([
  ['fin', TcpFlag.Fin],
  ['syn', TcpFlag.Syn],
  ['rst', TcpFlag.Rst],
  ['psh', TcpFlag.Psh],
  ['ack', TcpFlag.Ack],
  ['urg', TcpFlag.Urg],
  ['ecn', TcpFlag.Ece],
  ['cwr', TcpFlag.Cwr],
]);

/** Differentiated services code points (RFC 2474, 2597, 3246, 5865, 8622). */
export const DSCPS: Words = new Map([
  ['cs0', 0],
  ['cs1', 8],
  ['cs2', 16],
  ['cs3', 24],
  ['cs4', 32],
  ['cs5', 40],
  ['cs6', 48],
  ['cs7', 56],
  ['af11', 10],
  ['af12', 12],
  ['af13', 14],
  ['af21', 18],
  ['af22', 20],
  ['af23', 22],
  ['af31', 26],
  ['af32', 28],
  ['af33', 30],
  ['af41', 34],
  ['af42', 36],
  ['af43', 38],
  ['ef', 46],
  ['va', 44],
  // Lower effort (RFC 8622), as nftables writes it: `le` there is the operator.
  ['lephb', 1],
  ['le', 1],
]);

/** Days of the week. */
export const DAYS: Words = new Map([
  ['Sunday', 0],
  ['Monday', 1],
  ['Tuesday', 2],
  ['Wednesday', 3],
  ['Thursday', 4],
  ['Friday', 5],
  ['Saturday', 6],
]);

/** Versions of IP. */
export const VERSIONS: Words = new Map([
  ['ipv4', 4],
  ['ipv6', 6],
]);

/** The word for a number, if there is one. */
export function wordOf(words: Words, value: number): string | undefined {
  for (const [word, number] of words) if (number === value) return word;
  return undefined;
}
