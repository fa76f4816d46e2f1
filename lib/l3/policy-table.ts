/**
 * The policy table of RFC 6724 2.1: which kinds of addresses belong together (labels), and which kind of destination is preferred
 * (precedence). The default is the RFC's; users may have another. IPv4 addresses stand in it as ::ffff:0:0/96.
 */

import { Cidr, type IpAddress } from '../core/address.js';
import { UsageError } from '../core/errors.js';

/** One row, as users write it. */
export interface Policy {
  /** An IPv6 prefix, e.g. `2002::/16`; IPv4 networks as `::ffff:10.0.0.0/104`. */
  readonly prefix: Cidr | string;
  /** Destinations of a higher one are tried first. */
  readonly precedence: number;
  /** Sources and destinations of the same label go together. */
  readonly label: number;
}

/** RFC 6724 2.1, in its order. */
const DEFAULT: readonly Policy[] = [
  { prefix: '::1/128', precedence: 50, label: 0 },
  { prefix: '::/0', precedence: 40, label: 1 },
  { prefix: '::ffff:0:0/96', precedence: 35, label: 4 },
  { prefix: '2002::/16', precedence: 30, label: 2 },
  { prefix: '2001::/32', precedence: 5, label: 5 },
  { prefix: 'fc00::/7', precedence: 3, label: 13 },
  { prefix: '::/96', precedence: 1, label: 3 },
  { prefix: 'fec0::/10', precedence: 1, label: 11 },
  { prefix: '3ffe::/16', precedence: 1, label: 12 },
];

interface Row {
  readonly policy: Policy;
  readonly words: readonly [number, number, number, number];
  readonly length: number;
}

/** Policies by the longest prefix that contains an address. */
export class PolicyTable {
  /** That of RFC 6724 2.1. */
  static readonly DEFAULT: PolicyTable = new PolicyTable(DEFAULT);
  private readonly rows: readonly Row[];

  /** @throws UsageError `ERR_INVALID_ADDRESS`; `ERR_INVALID_OPTION` for an IPv4 prefix, or without one that contains every address */
  constructor(policies: readonly Policy[]) {
    const rows = policies.map(rowOf);
    if (!rows.some(({ length }) => length === 0)) {
      throw new UsageError('ERR_INVALID_OPTION', 'a policy table needs a row for ::/0');
    }
    this.rows = rows.sort((one, other) => other.length - one.length);
  }

  precedence(address: IpAddress): number {
    return this.find(address)?.precedence ?? 0;
  }

  label(address: IpAddress): number {
    return this.find(address)?.label ?? 0;
  }

  private find(address: IpAddress): Policy | undefined {
    return this.rows.find(({ words, length }) => commonPrefix(address, words) >= length)?.policy;
  }
}

function rowOf(policy: Policy): Row {
  const { address, length } = Cidr.of(policy.prefix);
  if (address.version === 4) {
    throw new UsageError('ERR_INVALID_OPTION', `${address.toString()}: write IPv4 policies as ::ffff:0:0/96`);
  }
  return { policy, words: [address.a, address.b, address.c, address.d], length };
}

/** How many leading bits an address, in its 128-bit form, has in common with four words. */
export function commonPrefix(address: IpAddress, words: readonly [number, number, number, number]): number {
  for (const index of [0, 1, 2, 3] as const) {
    const differ = Math.clz32(address.word(index) ^ words[index]);
    if (differ < 32) return index * 32 + differ;
  }
  return 128;
}

/** How many leading bits two addresses have in common, in their 128-bit form. */
export function commonBits(one: IpAddress, other: IpAddress): number {
  return commonPrefix(one, [other.word(0), other.word(1), other.word(2), other.word(3)]);
}
