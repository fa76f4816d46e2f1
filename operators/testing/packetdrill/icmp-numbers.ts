/** ICMP errors of scripts in the numbers of the version that a run has: what both versions know is translated. */

import type { IpVersion } from '../../../lib/core/address.js';
import { icmpCodeOf, icmpTypeOf } from '../../../lib/text/icmp-names.js';
import type { IcmpLine } from './script.js';

/** Words of packetdrill that the notation spells otherwise, and codes of one version that the other has by another name. */
const CODE_WORDS: Readonly<Record<IpVersion, Readonly<Record<string, number>>>> = {
  4: {
    address_unreachable: 1,
    no_route: 0,
    reject_route: 0,
    admin_prohibited: 13,
    communication_prohibited: 13,
    policy_fail: 13,
    net_unreachable_for_tos: 11,
    host_unreachable_for_tos: 12,
    host_precedence_violation: 14,
    ttl_exceeded: 0,
    hop_limit: 0,
    reassembly_time_exceeded: 1,
  },
  6: {
    net_unreachable: 0,
    no_route_to_destination: 0,
    net_unknown: 0,
    host_unreachable: 3,
    host_unknown: 3,
    communication_prohibited: 1,
    net_prohibited: 1,
    host_prohibited: 1,
    packet_filtered: 1,
    not_neighbour: 2,
    protocol_unreachable: 3,
    policy_fail: 5,
    ttl: 0,
    ttl_exceeded: 0,
    hop_limit: 0,
    reassembly_time_exceeded: 1,
  },
};

/** Type and code of a message, or what word is not known. */
export function icmpNumbers(
  { type, code, mtu }: IcmpLine,
  version: IpVersion,
): { readonly type: number; readonly code: number } | { readonly unknown: string } {
  const tooBig = code === 'frag_needed' || type === 'packet_too_big';
  if (tooBig && (version === 6 || typeof type === 'string'))
    return version === 6 ? { type: 2, code: 0 } : { type: 3, code: 4 };
  const number = typeof type === 'number' ? type : icmpTypeOf(type, version);
  if (number === undefined) return { unknown: `ICMP type ${type}` };
  if (code === undefined) return { type: number, code: mtu !== undefined && version === 4 ? 4 : 0 };
  if (typeof code === 'number') return { type: number, code };
  const words = CODE_WORDS[version];
  const value = icmpCodeOf(number, code, version) ?? (Object.hasOwn(words, code) ? words[code] : undefined);
  return value === undefined ? { unknown: `ICMP code ${code}` } : { type: number, code: value };
}
