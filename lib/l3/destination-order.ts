/**
 * In which order to try the addresses of a host that has several (RFC 6724 6), rules 1 to 10 without home addresses (rule 4) and without
 * transition mechanisms (rule 7). IPv4 addresses take part in their mapped form.
 */

import type { IpAddress } from '../core/address.js';
import { commonBits, PolicyTable } from './policy-table.js';
import { scopeOfIp } from './scope.js';

/** What the order depends on besides the addresses. Implemented by `IpTables`. */
export interface SourceChoice {
  /** The address that packets to `destination` would be sent from; `undefined` where there is no way. */
  path(destination: IpAddress): { readonly source: IpAddress } | undefined;
}

interface Candidate {
  readonly address: IpAddress;
  readonly source: IpAddress | undefined;
  readonly scope: number;
  readonly matchesScope: boolean;
  readonly deprecated: boolean;
  readonly matchesLabel: boolean;
  readonly precedence: number;
  readonly common: number;
}

/** Interface identifiers say nothing about nearness (RFC 6724 2.2). */
const PREFIX_BITS = 64;

/**
 * The addresses, the best first; equals stay in their order, which is the server's.
 *
 * @param isDeprecated whether a source address of ours is no longer to be used for new conversations
 * @param policies the user's preferences, e.g. `tables.addresses6.policies`
 */
export function orderDestinations(
  addresses: readonly IpAddress[],
  ways: SourceChoice,
  isDeprecated: (source: IpAddress) => boolean = () => false,
  policies: PolicyTable = PolicyTable.DEFAULT,
): IpAddress[] {
  const candidates = addresses.map((address): Candidate => {
    const source = ways.path(address)?.source;
    const scope = scopeOfIp(address);
    return {
      address,
      source,
      scope,
      matchesScope: source !== undefined && scopeOfIp(source) === scope,
      deprecated: source !== undefined && isDeprecated(source),
      matchesLabel: source !== undefined && policies.label(source) === policies.label(address),
      precedence: policies.precedence(address),
      common: source === undefined ? 0 : Math.min(commonBits(address, source), PREFIX_BITS),
    };
  });
  return candidates.sort(compare).map(({ address }) => address);
}

/** Negative where `a` is to be tried before `b`. */
function compare(a: Candidate, b: Candidate): number {
  return (
    // Rule 1: what cannot be reached comes last.
    first(a.source !== undefined, b.source !== undefined) ||
    // Rules 2, 3, 5 and 6.
    first(a.matchesScope, b.matchesScope) ||
    first(!a.deprecated, !b.deprecated) ||
    first(a.matchesLabel, b.matchesLabel) ||
    b.precedence - a.precedence ||
    // Rule 8: the smaller scope.
    a.scope - b.scope ||
    // Rule 9: the longer common prefix with the source. Not of IPv4, whose prefixes say little of nearness: it would undo the server's
    // distribution of load.
    (a.address.version === 6 && b.address.version === 6 ? b.common - a.common : 0)
  );
}

function first(a: boolean, b: boolean): number {
  return Number(b) - Number(a);
}
