/** ICMP errors in the words, and the marks, that people know from ping and traceroute. */

import type { IcmpErrorKind } from '../lib/l3/icmp-report.js';

const WORDS: Readonly<Record<IcmpErrorKind, readonly [words: string, mark: string]>> = {
  'net-unreachable': ['Destination Net Unreachable', '!N'],
  'host-unreachable': ['Destination Host Unreachable', '!H'],
  'protocol-unreachable': ['Destination Protocol Unreachable', '!P'],
  'port-unreachable': ['Destination Port Unreachable', '!p'],
  'packet-too-big': ['Packet too big', '!F'],
  'source-route-failed': ['Source Route Failed', '!S'],
  prohibited: ['Packet filtered', '!X'],
  'beyond-scope': ['Beyond scope of source address', '!S'],
  'time-exceeded': ['Time to live exceeded', ''],
  'reassembly-timeout': ['Frag reassembly time exceeded', '!T'],
  'parameter-problem': ['Parameter problem', '!B'],
  'unknown-error': ['Unknown error', '!?'],
};

/** What ping says. */
export function errorText(kind: IcmpErrorKind, mtu: number): string {
  const [words] = WORDS[kind];
  return kind === 'packet-too-big' && mtu > 0 ? `${words}, mtu=${mtu}` : words;
}

/** What traceroute puts behind a time. */
export function errorMark(kind: IcmpErrorKind): string {
  return WORDS[kind][1];
}
