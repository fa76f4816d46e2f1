/** IPv4 addresses that stand for hosts of IPv6, and the free ports of each. */

import { Cidr, Ipv4Address } from '../../core/address.js';
import { UsageError } from '../../core/errors.js';
import type { Random } from '../../core/random.js';
import { PortSet } from '../nat/port-set.js';
import { NatProtocol } from '../nat/protocols.js';

/** More addresses than this are no pool but a network of one-to-one translation. */
const MOST = 4096;
const WELL_KNOWN = 1024;
const LAST = 65_535;
const PROTOCOLS = 3;

/** What was taken: {@link Pool.take}. */
export class Taken {
  /** Number of the address in the pool. */
  external = 0;
  port = 0;
}

/** The addresses, in order, and their ports. */
export class Pool {
  readonly addresses: readonly Ipv4Address[];
  private readonly values: Int32Array;
  private readonly numbers = new Map<number, number>();
  private readonly ports: (PortSet | undefined)[] = [];
  private readonly random: Random;
  private readonly least: number;
  private readonly most: number;

  /**
   * @param addresses single ones and networks, of which every address counts
   * @param ports the first and last port that may be used
   * @throws UsageError `ERR_INVALID_OPTION`, `ERR_INVALID_ADDRESS`
   */
  constructor(addresses: readonly (Ipv4Address | Cidr | string)[], ports: readonly [number, number], random: Random) {
    this.addresses = addresses.flatMap(addressesOf);
    if (this.addresses.length === 0) throw invalid('a translator needs an IPv4 address at least');
    this.values = Int32Array.from(this.addresses, ({ value }) => value);
    this.values.forEach((value, number) => this.numbers.set(value, number));
    if (this.numbers.size < this.values.length) throw invalid('an address of the pool is there twice');
    [this.least, this.most] = ports;
    this.random = random;
    const isRange = Number.isInteger(this.least) && Number.isInteger(this.most) && this.least <= this.most;
    if (!isRange || this.least < 1 || this.most > LAST) {
      throw invalid(`not a range of ports from 1 to 65535: ${ports.join(' to ')}`);
    }
  }

  /** The number of an address (signed), or -1. */
  number(ipv4: number): number {
    return this.numbers.get(ipv4 | 0) ?? -1;
  }

  /** The address of that number, signed. */
  address(number: number): number {
    return this.values[number] ?? 0;
  }

  /**
   * Takes a port (RFC 6146 3.5.1.1): of the address that the host always gets, if there is one left; the same as the host's own if that is free; else one
   * on the same side of 1024, and of UDP of the same parity.
   *
   * @param host any number that is the same for all ports of the host
   * @returns whether there was one
   */
  take(protocol: NatProtocol, host: number, port: number, taken: Taken): boolean {
    const count = this.values.length;
    const first = (host >>> 0) % count;
    for (let i = 0; i < count; i++) {
      const external = (first + i) % count;
      taken.external = external;
      taken.port = this.takePort(this.set(protocol, external), protocol, port);
      if (taken.port !== 0) return true;
    }
    return false;
  }

  /** Takes this very port; false where it is in use. */
  reserve(protocol: NatProtocol, external: number, port: number): boolean {
    return this.set(protocol, external).take(port);
  }

  give(protocol: NatProtocol, external: number, port: number): void {
    this.set(protocol, external).give(port);
  }

  private takePort(set: PortSet, protocol: NatProtocol, port: number): number {
    const { least, most } = this;
    if (port >= least && port <= most && set.take(port)) return port;
    if (protocol === NatProtocol.Icmp) return set.takeAny(least, most, -1, this.random);
    const isWellKnown = port < WELL_KNOWN;
    const from = isWellKnown ? least : Math.max(least, WELL_KNOWN);
    const to = isWellKnown ? Math.min(most, WELL_KNOWN - 1) : most;
    const like = protocol === NatProtocol.Udp ? port : -1;
    const found = set.takeAny(from, to, like, this.random);
    // Rather another port than none.
    return found === 0 ? set.takeAny(Math.max(least, WELL_KNOWN), most, -1, this.random) : found;
  }

  private set(protocol: NatProtocol, external: number): PortSet {
    return (this.ports[external * PROTOCOLS + protocol] ??= new PortSet());
  }
}

function addressesOf(address: Ipv4Address | Cidr | string): readonly Ipv4Address[] {
  if (address instanceof Ipv4Address) return [address];
  const cidr = Cidr.of(address);
  if (cidr.version !== 4) throw invalid(`not IPv4 addresses: ${address.toString()}`);
  const count = 2 ** (32 - cidr.length);
  if (count > MOST) throw invalid(`a pool of more than ${MOST} addresses: ${address.toString()}`);
  const first = cidr.network.word(3);
  return Array.from({ length: count }, (_, index) => new Ipv4Address(first + index));
}

function invalid(message: string): UsageError {
  return new UsageError('ERR_INVALID_OPTION', message);
}
