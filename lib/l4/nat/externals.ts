/** External addresses: those that packets are translated to, each with the ports of its own. */

import type { IpAddress } from '../../core/address.js';
import { UsageError } from '../../core/errors.js';
import type { Random } from '../../core/random.js';
import { Chains, FreeSlots, HashKey } from './chains.js';
import { PortSet } from './port-set.js';
import type { NatProtocol } from './protocols.js';

const MOST = 16_384;
const PORTS = 65_536;

/** Where a forwarded port leads to. */
export interface ForwardTarget {
  readonly address: IpAddress;
  /** Internal port less the external one. */
  readonly shift: number;
}

/** One external address. */
export class ExternalAddress {
  readonly address: IpAddress;
  readonly number: number;
  /** Whether the translator's own host has it, too: what nobody translates is for that host. */
  isLocal = false;
  /** The words of the address, signed. */
  readonly word0: number;
  readonly word1: number;
  readonly word2: number;
  readonly word3: number;
  private identification = 0;
  private readonly ports: (PortSet | undefined)[] = [undefined, undefined, undefined];
  private readonly forwards: (Int32Array | undefined)[] = [undefined, undefined];
  private readonly targets: ForwardTarget[] = [];

  constructor(address: IpAddress, number: number) {
    this.address = address;
    this.number = number;
    this.word0 = address.word(0) | 0;
    this.word1 = address.word(1) | 0;
    this.word2 = address.word(2) | 0;
    this.word3 = address.word(3) | 0;
  }

  /**
   * The identification of the next packet of IPv4 that is sent from it, of `count` that follow each other: what internal hosts chose may be the same,
   * and their fragments must not be mixed up (RFC 7857 10, RFC 6864 5.3.1).
   */
  identify(count: number): number {
    const first = this.identification;
    this.identification = (first + count) & 0xffff;
    return first;
  }

  /** Its free ports of a protocol. */
  free(protocol: NatProtocol): PortSet {
    return (this.ports[protocol] ??= new PortSet());
  }

  /** Whether a protocol has free ports at all. */
  hasFree(protocol: NatProtocol): boolean {
    return (this.ports[protocol]?.free ?? 1) > 0;
  }

  /** Forwards ports, which are not free then; false where one of them is forwarded elsewhere or in use, and is left as it is. */
  forward(protocol: 0 | 1, from: number, to: number, target: ForwardTarget): boolean {
    const table = (this.forwards[protocol] ??= new Int32Array(PORTS));
    const number = this.numberOf(target);
    let all = true;
    for (let port = from; port <= to; port++) {
      if (table[port] === number) continue;
      if (this.free(protocol).take(port)) table[port] = number;
      else all = false;
    }
    return all;
  }

  /** Where a port is forwarded to, or `undefined`. */
  target(protocol: NatProtocol, port: number): ForwardTarget | undefined {
    const at = this.forwards[protocol]?.[port] ?? 0;
    return at === 0 ? undefined : this.targets[at - 1];
  }

  is(word0: number, word1: number, word2: number, word3: number): boolean {
    return this.word3 === word3 && this.word2 === word2 && this.word1 === word1 && this.word0 === word0;
  }

  /** The place of a target among all, counted from 1. */
  private numberOf({ address, shift }: ForwardTarget): number {
    const known = this.targets.findIndex((one) => one.shift === shift && one.address.equals(address));
    return known < 0 ? this.targets.push({ address, shift }) : known + 1;
  }
}

/** The external addresses. */
export class ExternalAddresses {
  private readonly addresses: (ExternalAddress | undefined)[] = [];
  private readonly chains: Chains = new Chains(MOST);
  private readonly numbers: FreeSlots = new FreeSlots(MOST);
  private readonly key: HashKey;

  constructor(random: Random) {
    this.key = new HashKey(random);
  }

  /** The one of that number. */
  at(number: number): ExternalAddress | undefined {
    return this.addresses[number];
  }

  /** The one with that address, or `undefined`. */
  find(word0: number, word1: number, word2: number, word3: number): ExternalAddress | undefined {
    for (let at = this.chains.first(this.hash(word0, word1, word2, word3)); at !== 0; at = this.chains.after(at)) {
      const one = this.addresses[at];
      if (one?.is(word0, word1, word2, word3) === true) return one;
    }
    return undefined;
  }

  /** That of an address, made if it is new. @throws UsageError `ERR_INVALID_OPTION` for more than 16,384 */
  add(address: IpAddress): ExternalAddress {
    const [a, b, c, d] = [address.word(0) | 0, address.word(1) | 0, address.word(2) | 0, address.word(3) | 0];
    const known = this.find(a, b, c, d);
    if (known !== undefined) return known;
    const number = this.numbers.take();
    if (number === 0) throw new UsageError('ERR_INVALID_OPTION', `more than ${MOST} external addresses`);
    const made = new ExternalAddress(address, number);
    this.addresses[number] = made;
    this.chains.add(number, this.hash(a, b, c, d));
    return made;
  }

  /** Says which of them are addresses of the translator's own host. */
  setLocal(addresses: readonly IpAddress[]): void {
    for (const external of this.addresses) if (external !== undefined) external.isLocal = false;
    for (const address of addresses) {
      const own = this.find(address.word(0) | 0, address.word(1) | 0, address.word(2) | 0, address.word(3) | 0);
      if (own !== undefined) own.isLocal = true;
    }
  }

  remove(external: ExternalAddress): void {
    const { number, word0, word1, word2, word3 } = external;
    this.chains.remove(number, this.hash(word0, word1, word2, word3));
    this.addresses[number] = undefined;
    this.numbers.give(number);
  }

  private hash(word0: number, word1: number, word2: number, word3: number): number {
    this.key.address(word0, word1, word2, word3);
    return this.key.hash(0);
  }
}
