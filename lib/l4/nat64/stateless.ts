/** Ends of stateless translation (RFC 7915 6): each address by itself, by explicit mappings (RFC 7757 3) first and then by a prefix (RFC 6052). */

import { Cidr, Ipv4Address } from '../../core/address.js';
import { DropReason } from '../../core/drops.js';
import { UsageError } from '../../core/errors.js';
import type { Frame } from '../../core/frame.js';
import type { PacketFields } from '../../wire/packet-fields.js';
import { AddressMap, type AddressMapping } from './address-map.js';
import { type EndsMapper, FINE, type NewEnds } from './ends.js';
import { isNotGlobal, Nat64Prefix } from './prefix.js';

/** Options of {@link StatelessMapper}. */
export interface StatelessOptions {
  /** Stands for IPv4 addresses that no mapping names. Default: only mappings count. */
  readonly prefix?: Cidr | string;
  /** Networks that are each other's. */
  readonly mappings?: readonly AddressMapping[];
  /** IPv4 networks whose hosts are reached by IPv6, by addresses behind the prefix; those of mappings need not be named. Default: none. */
  readonly translatable?: readonly (Cidr | string)[];
  /** Where ICMP errors are from whose sender, a router, has no IPv4 address (RFC 6791). Default: the host that the packet in question was for. */
  readonly errorsFrom?: Ipv4Address | string;
  /** Let the well-known prefix stand for private addresses, too, against RFC 6052 3.1. Default false. */
  readonly allowPrivate?: boolean;
}

/** IPv4 network and mask. */
interface Network {
  readonly value: number;
  readonly mask: number;
}

/** Maps addresses without state. */
export class StatelessMapper implements EndsMapper {
  private readonly prefix: Nat64Prefix | undefined;
  private readonly map6: AddressMap;
  private readonly networks: readonly Network[];
  private readonly errorsFrom: number;
  private readonly onlyGlobal: boolean;
  private readonly words = new Int32Array(4);
  private ipv4 = 0;
  /** What turns back is from, or was sent to, an address behind the prefix: so that its answer comes this way, too (RFC 7757 4.2.1). */
  private mapsSource = true;
  private mapsDestination = true;

  /** @throws UsageError `ERR_INVALID_OPTION`, `ERR_INVALID_ADDRESS` */
  constructor(options: StatelessOptions) {
    const { prefix, mappings = [], translatable = [], errorsFrom } = options;
    if (prefix === undefined && mappings.length === 0) throw invalid('a translator needs a prefix or mappings');
    if (prefix === undefined && translatable.length > 0)
      throw invalid('without a prefix no network is translatable by it');
    this.prefix = prefix === undefined ? undefined : new Nat64Prefix(prefix);
    this.onlyGlobal = this.prefix?.isWellKnown === true && options.allowPrivate !== true;
    this.map6 = new AddressMap(mappings);
    this.networks = translatable.map((network) => networkOf(Cidr.of(network)));
    this.errorsFrom = errorsFrom === undefined ? 0 : addressOf(errorsFrom) | 0;
  }

  takes(fields: PacketFields): boolean {
    if (fields.version === 4) {
      const { destination3 } = fields;
      if (this.map6.find4(destination3)) return true;
      return this.networks.some(({ value, mask }) => (destination3 & mask) === value);
    }
    return this.find4(fields.destination0, fields.destination1, fields.destination2, fields.destination3);
  }

  /** Between hosts of explicit mappings (RFC 7757 4). */
  turnsBack({ destination3 }: PacketFields): boolean {
    return this.prefix !== undefined && this.map6.find4(destination3);
  }

  map(_frame: Frame, fields: PacketFields, ends: NewEnds, turning: boolean): DropReason | typeof FINE {
    this.mapsSource = !turning;
    return this.mapBoth(fields, ends) ? FINE : DropReason.TranslateImpossible;
  }

  mapError(
    fields: PacketFields,
    quote: PacketFields,
    ends: NewEnds,
    quotedEnds: NewEnds,
    turning: boolean,
  ): DropReason | typeof FINE {
    this.mapsDestination = !turning;
    const isQuoted = this.mapBoth(quote, quotedEnds);
    this.mapsDestination = true;
    if (!isQuoted) return DropReason.NatBadQuote;
    this.mapsSource = !turning;
    if (this.mapBoth(fields, ends)) return FINE;
    if (fields.version !== 6 || !this.mapDestination(fields, ends)) return DropReason.TranslateImpossible;
    ends.setSource(0, 0, 0xffff, this.errorsFrom === 0 ? quotedEnds.destination3 : this.errorsFrom);
    return FINE;
  }

  private mapBoth(fields: PacketFields, ends: NewEnds): boolean {
    const done = this.mapDestination(fields, ends) && this.mapSource(fields, ends);
    this.mapsSource = true;
    return done;
  }

  private mapSource(fields: PacketFields, ends: NewEnds): boolean {
    if (fields.version === 4) {
      if (!this.find6(fields.source3, this.mapsSource)) return false;
      const [a = 0, b = 0, c = 0, d = 0] = this.words;
      ends.setSource(a, b, c, d);
    } else {
      if (!this.find4(fields.source0, fields.source1, fields.source2, fields.source3)) return false;
      ends.setSource(0, 0, 0xffff, this.ipv4);
    }
    return true;
  }

  private mapDestination(fields: PacketFields, ends: NewEnds): boolean {
    ends.keepPorts();
    if (fields.version === 4) {
      if (!this.find6(fields.destination3, this.mapsDestination)) return false;
      const [a = 0, b = 0, c = 0, d = 0] = this.words;
      ends.setDestination(a, b, c, d);
    } else {
      if (!this.find4(fields.destination0, fields.destination1, fields.destination2, fields.destination3)) return false;
      ends.setDestination(0, 0, 0xffff, this.ipv4);
    }
    return true;
  }

  /** Sets `words` to the IPv6 address of an IPv4 one, if there is one. */
  private find6(ipv4: number, byMappings: boolean): boolean {
    const { map6, prefix, words } = this;
    if (!isHost(ipv4)) return false;
    if (byMappings && map6.find4(ipv4)) {
      for (let i = 0; i < 4; i++) words[i] = map6.word(i, ipv4);
      return true;
    }
    if (prefix === undefined || (this.onlyGlobal && isNotGlobal(ipv4))) return false;
    words[0] = prefix.word0;
    words[1] = prefix.word1(ipv4);
    words[2] = prefix.word2(ipv4);
    words[3] = prefix.word3(ipv4);
    return true;
  }

  /** Sets `ipv4` to the IPv4 address of an IPv6 one, if there is one. */
  private find4(a: number, b: number, c: number, d: number): boolean {
    const { map6, prefix } = this;
    if (map6.find6(a, b, c, d)) this.ipv4 = map6.ipv4;
    else if (prefix?.has(a, b, c) === true) {
      this.ipv4 = prefix.ipv4(b, c, d);
      if (this.onlyGlobal && isNotGlobal(this.ipv4)) return false;
    } else return false;
    return isHost(this.ipv4);
  }
}

/** Whether an IPv4 address may be that of one host beyond this one: not 0/8, 127/8, a group or 240/4 (RFC 1122 3.2.1.3). */
export function isHost(ipv4: number): boolean {
  const first = ipv4 >>> 24;
  return first !== 0 && first !== 127 && first < 224;
}

function networkOf(cidr: Cidr): Network {
  if (cidr.version !== 4) throw invalid(`not an IPv4 network: ${cidr.toString()}`);
  return { value: cidr.network.word(3) | 0, mask: cidr.length === 0 ? 0 : -1 << (32 - cidr.length) };
}

function addressOf(address: Ipv4Address | string): number {
  return typeof address === 'string' ? Ipv4Address.parse(address).value : address.value;
}

function invalid(message: string): UsageError {
  return new UsageError('ERR_INVALID_OPTION', message);
}
