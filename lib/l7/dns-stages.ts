/**
 * Both families of a name asked for at once, and told as they come (RFC 8305 3): IPv6 addresses at once, IPv4 addresses after a short
 * while in which those of IPv6 may still come, so that nobody waits long for an answer that was lost.
 */

import type { IpAddress } from '../core/address.js';
import type { Timers } from '../core/timers.js';
import { DnsType } from '../wire/dns.js';
import { type DnsCode, DnsError } from './dns-error.js';

// RFC 8305 3 and 8, in milliseconds.
const RESOLUTION_DELAY = 50;

/** Who is told of the addresses of a name. */
export interface StagesHandler {
  /** Addresses, the best first: all at once, or those of one family after the other. */
  found(addresses: readonly IpAddress[]): void;
  /** No more will come; where there were none, why. Called once. */
  done(error: Error | undefined): void;
}

/** One name of the search list. */
export class FamilyStages {
  private readonly told: (addresses: readonly IpAddress[]) => void;
  private readonly timers: Timers;
  private readonly codes: DnsCode[] = [];
  private waiting: IpAddress[] = [];
  private any = false;

  /** @param told is given addresses, not in any order of ours yet */
  constructor(told: (addresses: readonly IpAddress[]) => void, timers: Timers) {
    this.told = told;
    this.timers = timers;
  }

  /**
   * Asks for all types; resolves when all have been answered, to `undefined` where there were addresses, else to why there were none.
   *
   * @param ask finds the addresses of a type @throws what `ask` fails with that is no {@link DnsError}
   */
  async ask(types: readonly number[], ask: (type: number) => Promise<IpAddress[]>): Promise<DnsCode | undefined> {
    const timer = this.timers.timer(() => this.flush());
    let open = types.length;
    const one = async (type: number): Promise<void> => {
      try {
        const addresses = await ask(type);
        this.waiting.push(...addresses);
        if (addresses.length === 0) this.codes.push('ENODATA');
      } catch (error) {
        if (!(error instanceof DnsError)) throw error;
        this.codes.push(error.code);
      } finally {
        open--;
        if (open === 0 || type === DnsType.AAAA || this.any) this.flush();
        else if (this.waiting.length > 0) timer.arm(this.timers.now() + RESOLUTION_DELAY);
        if (open === 0) timer.cancel();
      }
    };
    await Promise.all(types.map(one));
    return this.any ? undefined : outcomeOf(this.codes);
  }

  private flush(): void {
    const addresses = this.waiting;
    this.waiting = [];
    if (addresses.length === 0) return;
    this.any = true;
    this.told(addresses);
  }
}

/** One family that could not be asked for leaves the question open; one that exists without addresses settles it. */
export function outcomeOf(codes: readonly DnsCode[]): DnsCode {
  const isNoData = (code: DnsCode) => code === 'ENODATA';
  return codes.find((code) => code !== 'ENOTFOUND' && code !== 'ENODATA') ?? codes.find(isNoData) ?? 'ENOTFOUND';
}
