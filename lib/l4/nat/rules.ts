/** What a translator is to do, as users say it, and the same checked and made ready. */

import {
  addressBits,
  type Cidr,
  Cidr as CidrClass,
  type IpAddress,
  type IpVersion,
  ipOf,
  Ipv4Address,
  Ipv6Address,
} from '../../core/address.js';
import { UsageError } from '../../core/errors.js';
import { NatProtocol } from './protocols.js';

/** Which packets that come to an external port are let in (RFC 4787 5): from anybody, or only from addresses, or ends, that something was sent to. */
export type NatFilter = 'endpoint-independent' | 'address-dependent' | 'address-and-port-dependent';

/** How sources are translated. */
export interface SourceOptions {
  /** The device that they leave by, by name. Without it packets to anywhere are translated: then `from` is needed. */
  readonly out?: string;
  /** Prefixes of the internal addresses. Default: all of packets that do not come in by a device that some rule names as its `out`. */
  readonly from?: Cidr | string | readonly (Cidr | string)[];
  /** Filter of UDP and TCP. Default `address-dependent`; `endpoint-independent` is the more transparent one (RFC 4787 REQ-8, RFC 5382 REQ-3). */
  readonly filter?: NatFilter;
  /**
   * External ports, `1024-65535` say: those below 1024 are given to internal ports below 1024 only, which have others once those are in use, and ports of UDP
   * keep their parity as long as one like it is free (RFC 4787 REQ-3, REQ-4).
   */
  readonly ports?: string;
  /**
   * Give internal hosts ports in blocks that are theirs alone, so that who it was can be told from address and port without a record of every mapping
   * (RFC 6888 4): `size` is 8 to 32,768 ports above 1023, of each host's blocks there are at most `most`, 1 to 8, default 1.
   */
  readonly blocks?: { readonly size: number; readonly most?: number };
  /** Use the internal port as the external one, too, where that is free. Default false: a random one (RFC 6056). */
  readonly preservePorts?: boolean;
}

/** Translates sources to an address of the device that packets leave by, and follows its changes. */
export interface MasqueradeRule extends SourceOptions {
  readonly kind: 'masquerade';
  readonly out: string;
  /** Default 4. */
  readonly version?: IpVersion;
}

/** Translates sources to addresses of a pool, of which each internal host has one (RFC 4787 REQ-2). */
export interface SourceRule extends SourceOptions {
  readonly kind: 'source';
  /** An address, a prefix, or a range as `192.0.2.1-192.0.2.9`; several. At most 4,096 addresses. */
  readonly to: Cidr | IpAddress | string | readonly (Cidr | IpAddress | string)[];
}

/** Forwards ports of an external address to an internal host. */
export interface ForwardRule {
  readonly kind: 'forward';
  readonly protocol: 'tcp' | 'udp' | readonly ('tcp' | 'udp')[];
  /** The external address; or by its name the device that has it. Default: that of the only masquerade rule. */
  readonly address?: IpAddress | string;
  readonly on?: string;
  /** External ports: one, or a range as `8000-8099`. */
  readonly ports: number | string;
  readonly to: IpAddress | string;
  /** The internal port that the first external one is forwarded to; the others follow. Default: the same. */
  readonly toPort?: number;
}

/** Translates addresses one to one, and nothing else, without any state. */
export interface StaticRule {
  readonly kind: 'static';
  /** Of the same version and length. */
  readonly internal: Cidr | string;
  readonly external: Cidr | string;
  /** The device that lies outside, by name. Default: any. */
  readonly out?: string;
}

export type NatRule = MasqueradeRule | SourceRule | ForwardRule | StaticRule;

/** Ports from `from` to `to`, both inclusive; none where `to` is less. */
export interface PortRange {
  readonly from: number;
  readonly to: number;
}

const LAST_PORT = 65_535;
const FIRST_UNPRIVILEGED = 1024;
const MOST_ADDRESSES = 4096;
/**
 * The address is that of a host with ports of its own: its sockets choose from 49152 up, and services are mostly found below 600 and at the ports that
 * they are known for.
 */
const SHARED: PortRange = { from: 600, to: 49_151 };
const OWN: PortRange = { from: 1, to: LAST_PORT };

/** @throws UsageError `ERR_INVALID_OPTION` */
export function invalid(index: number, message: string): UsageError {
  return new UsageError('ERR_INVALID_OPTION', `NAT rule ${index + 1}: ${message}`);
}

/** Reads `80` or `8000-8099`. @throws UsageError `ERR_INVALID_OPTION` */
export function portRange(ports: number | string, index: number): PortRange {
  const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(String(ports));
  const from = Number(match?.[1]);
  const to = Number(match?.[2] ?? match?.[1]);
  if (match !== null && from >= 1 && from <= to && to <= LAST_PORT) return { from, to };
  throw invalid(index, `ports are written as 80 or 8000-8099, from 1 to 65535, not ${JSON.stringify(ports)}`);
}

/** The external ports of a rule for internal ones below 1024, and for the others. */
export function portClasses(
  rule: MasqueradeRule | SourceRule,
  index: number,
): { readonly low: PortRange; readonly high: PortRange } {
  const all = rule.ports === undefined ? (rule.kind === 'masquerade' ? SHARED : OWN) : portRange(rule.ports, index);
  const low = { from: all.from, to: Math.min(all.to, FIRST_UNPRIVILEGED - 1) };
  const high = { from: Math.max(all.from, FIRST_UNPRIVILEGED), to: all.to };
  return { low: low.from > low.to ? high : low, high: high.from > high.to ? low : high };
}

/** Blocks of ports, made ready. */
export interface PortBlocks {
  readonly size: number;
  readonly most: number;
  /** Of one address. */
  readonly count: number;
}

/** The blocks of a rule whose ports from 1024 on are these. @throws UsageError `ERR_INVALID_OPTION` */
export function blocksOf(
  { blocks, preservePorts }: SourceOptions,
  { from, to }: PortRange,
  index: number,
): PortBlocks | undefined {
  if (blocks === undefined) return undefined;
  const { size, most = 1 } = blocks;
  if (preservePorts === true) throw invalid(index, 'ports of blocks cannot be those that hosts chose');
  if (!(Number.isInteger(size) && size >= 8 && size <= 32_768))
    throw invalid(index, `blocks of ${size} ports: 8 to 32768`);
  if (!(Number.isInteger(most) && most >= 1 && most <= 8)) throw invalid(index, `${most} blocks for a host: 1 to 8`);
  const count = Math.floor((to - from + 1) / size);
  if (count < 1) throw invalid(index, `no block of ${size} ports fits into ${from} to ${to}`);
  return { size, most, count };
}

/** The addresses of a pool. @throws UsageError `ERR_INVALID_OPTION`, `ERR_INVALID_ADDRESS` */
export function poolOf(rule: SourceRule, index: number): readonly IpAddress[] {
  const parts: readonly (Cidr | IpAddress | string)[] = isList(rule.to) ? rule.to : [rule.to];
  const addresses = parts.flatMap((part) => partOf(part, index));
  if (addresses.length === 0) throw invalid(index, 'a pool without addresses');
  if (addresses.length > MOST_ADDRESSES) throw invalid(index, `a pool has at most ${MOST_ADDRESSES} addresses`);
  if (addresses.some(({ version }) => version !== addresses[0]?.version)) {
    throw invalid(index, 'a pool is of one IP version');
  }
  return addresses;
}

function isList<T>(value: T | readonly T[]): value is readonly T[] {
  return Array.isArray(value);
}

function partOf(part: Cidr | IpAddress | string, index: number): IpAddress[] {
  if (part instanceof CidrClass || (typeof part === 'string' && part.includes('/'))) {
    const cidr = CidrClass.of(part);
    const bits = addressBits(cidr.version) - cidr.length;
    if (bits > 12) throw invalid(index, `a pool has at most ${MOST_ADDRESSES} addresses`);
    return Array.from({ length: 2 ** bits }, (_, i) => plus(cidr.network, i));
  }
  if (typeof part !== 'string' || !part.includes('-')) return [ipOf(part)];
  const [first, last, more] = part.split('-').map((text) => ipOf(text.trim()));
  const count = first === undefined || last === undefined ? 0 : last.word(3) - first.word(3) + 1;
  const isRange =
    more === undefined &&
    first?.version === last?.version &&
    ([0, 1, 2] as const).every((i) => first?.word(i) === last?.word(i));
  if (first === undefined || !isRange || count < 1 || count > MOST_ADDRESSES) {
    throw invalid(index, `not a range of at most ${MOST_ADDRESSES} addresses: ${part}`);
  }
  return Array.from({ length: count }, (_, i) => plus(first, i));
}

function plus(address: IpAddress, offset: number): IpAddress {
  if (address.version === 4) return new Ipv4Address(address.value + offset);
  return new Ipv6Address(address.a, address.b, address.c, address.d + offset);
}

/** Addresses behind a prefix, asked for by the words of packets. */
export class Prefix {
  private readonly masks: readonly [number, number, number, number];
  private readonly words: readonly [number, number, number, number];

  constructor(prefix: Cidr) {
    const { network } = prefix;
    const length = prefix.length + (prefix.version === 4 ? 96 : 0);
    const mask = (index: number): number => {
      const bits = length - index * 32;
      return bits <= 0 ? 0 : bits >= 32 ? -1 : -1 << (32 - bits);
    };
    this.masks = [mask(0), mask(1), mask(2), mask(3)];
    this.words = [network.word(0) | 0, network.word(1) | 0, network.word(2) | 0, network.word(3) | 0];
  }

  has(word0: number, word1: number, word2: number, word3: number): boolean {
    const { masks, words } = this;
    return (
      (word3 & masks[3]) === words[3] &&
      (word2 & masks[2]) === words[2] &&
      (word1 & masks[1]) === words[1] &&
      (word0 & masks[0]) === words[0]
    );
  }

  /** Word `index` of the address that is behind this prefix what one with `word` is behind its own, of the same length. */
  take(index: 0 | 1 | 2 | 3, word: number): number {
    return (word & ~this.masks[index]) | this.words[index];
  }
}

/** The prefixes that sources are translated from; empty for all. */
export function prefixesOf(from: SourceOptions['from']): readonly Prefix[] {
  if (from === undefined) return [];
  const list: readonly (Cidr | string)[] = isList(from) ? from : [from];
  return list.map((prefix) => new Prefix(CidrClass.of(prefix)));
}

/** A static rule, made ready. */
export class StaticPrefixes {
  readonly internal: Prefix;
  readonly external: Prefix;
  readonly out: string | undefined;

  /** @throws UsageError `ERR_INVALID_OPTION`, `ERR_INVALID_ADDRESS` */
  constructor(rule: StaticRule, index: number) {
    const internal = CidrClass.of(rule.internal);
    const external = CidrClass.of(rule.external);
    if (internal.version !== external.version || internal.length !== external.length) {
      throw invalid(index, `${internal.toString()} and ${external.toString()} are not of one version and length`);
    }
    this.internal = new Prefix(internal);
    this.external = new Prefix(external);
    this.out = rule.out;
  }
}

/** The protocols of a forward rule. */
export function forwardProtocols(rule: ForwardRule, index: number): readonly (0 | 1)[] {
  const names: readonly string[] = isList(rule.protocol) ? rule.protocol : [rule.protocol];
  return names.map((name) => {
    if (name === 'tcp') return NatProtocol.Tcp;
    if (name === 'udp') return NatProtocol.Udp;
    throw invalid(index, `ports are forwarded of tcp and udp, not of ${name}`);
  });
}
