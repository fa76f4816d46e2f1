/**
 * Interface identifiers: the lower 64 bits of autoconfigured IPv6 addresses. Stable and opaque ones (RFC 7217) by default, random ones
 * for temporary addresses (RFC 8981 3.3.1), and those made of the MAC address (RFC 4291 appendix A) for who wants them.
 */

import { Ipv6Address } from '../core/address.js';
import { SipHash } from '../core/hash.js';
import type { Random } from '../core/random.js';

/** What a stable identifier depends on, besides the prefix. */
export interface IdentifierSeed {
  /** secret_key of RFC 7217 5: four words. Keep it, and the host keeps its addresses; nobody else may know it. */
  readonly secret: Uint32Array;
  /** Net_Iface: a name of the interface that stays. */
  readonly interfaceName: string;
  /** Network_ID, where something tells one network from another, such as the name of a wireless one. */
  readonly networkId?: string;
}

/** Makes the stable opaque identifiers of one interface (RFC 7217 5). */
export class StableIdentifiers {
  private readonly hash: SipHash;
  private readonly names: Uint32Array;

  constructor(seed: IdentifierSeed) {
    this.hash = new SipHash(seed.secret);
    const interfaceName = wordsOf(seed.interfaceName);
    const networkId = wordsOf(seed.networkId ?? '');
    // The lengths keep different pairs of names apart.
    this.names = Uint32Array.from([interfaceName.length, ...interfaceName, networkId.length, ...networkId]);
  }

  /** The address in the /64 `prefix`; another one for each number of conflicts (DAD_Counter). */
  address(prefix: Ipv6Address, conflicts: number): Ipv6Address {
    const words = Uint32Array.from([prefix.a, prefix.b, conflicts, 0, ...this.names]);
    // A reserved identifier counts as a conflict (RFC 7217 5); the fourth word keeps both kinds of retries apart.
    for (let attempt = 0; ; attempt++) {
      words[3] = attempt;
      const high = this.hash.high(words, words.length);
      const low = this.hash.low(words, words.length);
      if (!isReservedIdentifier(high, low)) return new Ipv6Address(prefix.a, prefix.b, high, low, prefix.zone);
    }
  }
}

/** An address in the /64 `prefix` that nobody can foresee (RFC 8981 3.3.1). */
export function randomAddress(prefix: Ipv6Address, random: Random): Ipv6Address {
  for (;;) {
    const high = random.uint32();
    const low = random.uint32();
    if (!isReservedIdentifier(high, low)) return new Ipv6Address(prefix.a, prefix.b, high, low, prefix.zone);
  }
}

/** The address in the /64 `prefix` that the MAC address, a 48-bit number, makes (RFC 4291 appendix A). */
export function eui64Address(prefix: Ipv6Address, mac: number): Ipv6Address {
  const high = Math.floor(mac / 0x100_0000);
  const low = mac % 0x100_0000;
  return new Ipv6Address(prefix.a, prefix.b, ((high ^ 0x2_0000) << 8) | 0xff, 0xfe00_0000 | low, prefix.zone);
}

/** Whether an identifier has a meaning of its own: anycast addresses and IANA's block (RFC 5453). */
export function isReservedIdentifier(high: number, low: number): boolean {
  if (high === 0 && low === 0) return true;
  if (high === 0x0200_5eff && low >>> 24 === 0xfe) return true;
  return high === 0xfdff_ffff && low >= 0xffff_ff80;
}

/** The characters of a name, one a word: names are short, and nothing is to be lost. */
function wordsOf(name: string): number[] {
  return Array.from(name, (character) => character.codePointAt(0) ?? 0);
}
