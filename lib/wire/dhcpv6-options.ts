/** Options of DHCPv6 (RFC 8415 21, RFC 3646), as values and back. Options of other types, or of an impossible length, are kept as they are. */

import type { Ipv6Address } from '../core/address.js';
import { UsageError } from '../core/errors.js';
import { readDomainNames, writeDomainNames } from './domain-names.js';
import { readIpv6 } from './ipv6.js';

/** Option codes (IANA). */
export const Dhcpv6OptionCode = {
  ClientId: 1,
  ServerId: 2,
  IaNa: 3,
  IaTa: 4,
  IaAddress: 5,
  OptionRequest: 6,
  Preference: 7,
  ElapsedTime: 8,
  StatusCode: 13,
  RapidCommit: 14,
  DnsServers: 23,
  DomainList: 24,
  IaPd: 25,
  IaPrefix: 26,
  InformationRefreshTime: 32,
  SolMaxRt: 82,
  InfMaxRt: 83,
} as const;

/** Status codes (RFC 8415 21.13). */
export const Dhcpv6Status = {
  Success: 0,
  UnspecFail: 1,
  NoAddrsAvail: 2,
  NoBinding: 3,
  NotOnLink: 4,
  UseMulticast: 5,
  NoPrefixAvail: 6,
} as const;

/** One option. Times are in seconds, but for `elapsed-time` in milliseconds; 0xffffffff stands for "for ever". */
export type Dhcpv6Option =
  | { readonly kind: 'client-id' | 'server-id'; readonly duid: Uint8Array }
  | Dhcpv6Association
  | { readonly kind: 'ia-ta'; readonly iaid: number; readonly options: readonly Dhcpv6Option[] }
  | Dhcpv6Address
  | Dhcpv6Prefix
  | { readonly kind: 'option-request'; readonly codes: readonly number[] }
  | { readonly kind: 'preference'; readonly value: number }
  | { readonly kind: 'elapsed-time'; readonly milliseconds: number }
  | { readonly kind: 'status'; readonly code: number; readonly message: string }
  | { readonly kind: 'rapid-commit' }
  | { readonly kind: 'dns-servers'; readonly servers: readonly Ipv6Address[] }
  | { readonly kind: 'domain-list'; readonly domains: readonly string[] }
  | { readonly kind: 'information-refresh-time' | 'sol-max-rt' | 'inf-max-rt'; readonly seconds: number }
  | { readonly kind: 'unknown'; readonly code: number; readonly data: Uint8Array };

/** An identity association for addresses or for delegated prefixes. */
export interface Dhcpv6Association {
  readonly kind: 'ia-na' | 'ia-pd';
  readonly iaid: number;
  readonly t1: number;
  readonly t2: number;
  readonly options: readonly Dhcpv6Option[];
}

/** An address of an association. */
export interface Dhcpv6Address {
  readonly kind: 'ia-address';
  readonly address: Ipv6Address;
  readonly preferredLifetime: number;
  readonly validLifetime: number;
  readonly options: readonly Dhcpv6Option[];
}

/** A delegated prefix of an association. */
export interface Dhcpv6Prefix {
  readonly kind: 'ia-prefix';
  readonly prefix: Ipv6Address;
  readonly length: number;
  readonly preferredLifetime: number;
  readonly validLifetime: number;
  readonly options: readonly Dhcpv6Option[];
}

const HEADER = 4;
// An association holds addresses, which hold a status: what is nested deeper is not read.
const MAX_DEPTH = 2;

/** Whether the options between `from` and `to` are all whole. */
export function checkDhcpv6Options(view: DataView, from: number, to: number): boolean {
  let at = from;
  while (to - at >= HEADER) at += HEADER + view.getUint16(at + 2);
  return at === to;
}

/** Checked options as values, in order. */
export function readDhcpv6Options(view: DataView, from: number, to: number, depth = 0): Dhcpv6Option[] {
  const options: Dhcpv6Option[] = [];
  for (let at = from; to - at >= HEADER; ) {
    const code = view.getUint16(at);
    const start = at + HEADER;
    const end = start + view.getUint16(at + 2);
    if (end > to) break;
    options.push(readOption(view, code, start, end, depth) ?? { kind: 'unknown', code, data: copy(view, start, end) });
    at = end;
  }
  return options;
}

/** The option of `code` with its data between `from` and `to`; `undefined` if it is not known, or cannot be. */
function readOption(view: DataView, code: number, from: number, to: number, depth: number): Dhcpv6Option | undefined {
  const length = to - from;
  switch (code) {
    case Dhcpv6OptionCode.ClientId:
    case Dhcpv6OptionCode.ServerId:
      return { kind: code === Dhcpv6OptionCode.ClientId ? 'client-id' : 'server-id', duid: copy(view, from, to) };
    case Dhcpv6OptionCode.OptionRequest:
      if (length % 2 !== 0) return undefined;
      return { kind: 'option-request', codes: list(length / 2, (i) => view.getUint16(from + i * 2)) };
    case Dhcpv6OptionCode.Preference:
      return length === 1 ? { kind: 'preference', value: view.getUint8(from) } : undefined;
    case Dhcpv6OptionCode.ElapsedTime:
      return length === 2 ? { kind: 'elapsed-time', milliseconds: view.getUint16(from) * 10 } : undefined;
    case Dhcpv6OptionCode.StatusCode:
      if (length < 2) return undefined;
      return { kind: 'status', code: view.getUint16(from), message: text(copy(view, from + 2, to)) };
    case Dhcpv6OptionCode.RapidCommit:
      return length === 0 ? { kind: 'rapid-commit' } : undefined;
    case Dhcpv6OptionCode.DnsServers:
      if (length % 16 !== 0) return undefined;
      return { kind: 'dns-servers', servers: list(length / 16, (i) => readIpv6(view, from + i * 16)) };
    case Dhcpv6OptionCode.DomainList: {
      const domains = readDomainNames(view, from, to);
      return domains === undefined ? undefined : { kind: 'domain-list', domains };
    }
    case Dhcpv6OptionCode.InformationRefreshTime:
      return length === 4 ? { kind: 'information-refresh-time', seconds: view.getUint32(from) } : undefined;
    case Dhcpv6OptionCode.SolMaxRt:
      return length === 4 ? { kind: 'sol-max-rt', seconds: view.getUint32(from) } : undefined;
    case Dhcpv6OptionCode.InfMaxRt:
      return length === 4 ? { kind: 'inf-max-rt', seconds: view.getUint32(from) } : undefined;
    default:
      return depth < MAX_DEPTH ? readContainer(view, code, from, to, depth + 1) : undefined;
  }
}

/** Options that hold options. */
function readContainer(
  view: DataView,
  code: number,
  from: number,
  to: number,
  depth: number,
): Dhcpv6Option | undefined {
  const fixed = fixedLength(code);
  if (fixed === 0 || to - from < fixed || !checkDhcpv6Options(view, from + fixed, to)) return undefined;
  const options = readDhcpv6Options(view, from + fixed, to, depth);
  const word = (index: number) => view.getUint32(from + index * 4);
  switch (code) {
    case Dhcpv6OptionCode.IaNa:
    case Dhcpv6OptionCode.IaPd: {
      const kind = code === Dhcpv6OptionCode.IaNa ? 'ia-na' : 'ia-pd';
      return { kind, iaid: word(0), t1: word(1), t2: word(2), options };
    }
    case Dhcpv6OptionCode.IaTa:
      return { kind: 'ia-ta', iaid: word(0), options };
    case Dhcpv6OptionCode.IaAddress: {
      const address = readIpv6(view, from);
      return { kind: 'ia-address', address, preferredLifetime: word(4), validLifetime: word(5), options };
    }
    default: {
      const length = view.getUint8(from + 8);
      if (length > 128) return undefined;
      const prefix = readIpv6(view, from + 9);
      return { kind: 'ia-prefix', prefix, length, preferredLifetime: word(0), validLifetime: word(1), options };
    }
  }
}

/** Bytes in front of the nested options; 0 for options that hold none. */
function fixedLength(code: number): number {
  switch (code) {
    case Dhcpv6OptionCode.IaNa:
    case Dhcpv6OptionCode.IaPd:
      return 12;
    case Dhcpv6OptionCode.IaTa:
      return 4;
    case Dhcpv6OptionCode.IaAddress:
      return 24;
    case Dhcpv6OptionCode.IaPrefix:
      return 25;
    default:
      return 0;
  }
}

function list<T>(length: number, read: (index: number) => T): T[] {
  return Array.from({ length }, (_, index) => read(index));
}

function copy(view: DataView, from: number, to: number): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength).slice(from, to);
}

function text(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

/** The bytes of options in this order. @throws UsageError `ERR_INVALID_OPTION` for one of more than 65,535 bytes, or a bad domain name */
export function dhcpv6OptionBytes(options: readonly Dhcpv6Option[]): Uint8Array {
  return Uint8Array.from(options.flatMap(optionBytes));
}

function optionBytes(option: Dhcpv6Option): number[] {
  const [code, data] = codeAndData(option);
  if (data.length > 0xffff) throw new UsageError('ERR_INVALID_OPTION', 'a DHCPv6 option holds at most 65,535 bytes');
  return [...half(code), ...half(data.length), ...data];
}

function codeAndData(option: Dhcpv6Option): readonly [code: number, data: readonly number[]] {
  switch (option.kind) {
    case 'client-id':
      return [Dhcpv6OptionCode.ClientId, [...option.duid]];
    case 'server-id':
      return [Dhcpv6OptionCode.ServerId, [...option.duid]];
    case 'ia-na':
    case 'ia-pd': {
      const code = option.kind === 'ia-na' ? Dhcpv6OptionCode.IaNa : Dhcpv6OptionCode.IaPd;
      return [code, [...word(option.iaid), ...word(option.t1), ...word(option.t2), ...nested(option.options)]];
    }
    case 'ia-ta':
      return [Dhcpv6OptionCode.IaTa, [...word(option.iaid), ...nested(option.options)]];
    case 'ia-address':
      return [
        Dhcpv6OptionCode.IaAddress,
        [...address(option.address), ...lifetimes(option), ...nested(option.options)],
      ];
    case 'ia-prefix':
      return [
        Dhcpv6OptionCode.IaPrefix,
        [...lifetimes(option), option.length, ...address(option.prefix), ...nested(option.options)],
      ];
    case 'option-request':
      return [Dhcpv6OptionCode.OptionRequest, option.codes.flatMap(half)];
    case 'preference':
      return [Dhcpv6OptionCode.Preference, [option.value & 0xff]];
    case 'elapsed-time':
      // RFC 8415 21.9: what does not fit is said as the largest.
      return [Dhcpv6OptionCode.ElapsedTime, half(Math.min(Math.floor(option.milliseconds / 10), 0xffff))];
    case 'status':
      return [Dhcpv6OptionCode.StatusCode, [...half(option.code), ...new TextEncoder().encode(option.message)]];
    case 'rapid-commit':
      return [Dhcpv6OptionCode.RapidCommit, []];
    case 'dns-servers':
      return [Dhcpv6OptionCode.DnsServers, option.servers.flatMap(address)];
    case 'domain-list':
      return [Dhcpv6OptionCode.DomainList, [...writeDomainNames(option.domains)]];
    case 'information-refresh-time':
      return [Dhcpv6OptionCode.InformationRefreshTime, word(option.seconds)];
    case 'sol-max-rt':
      return [Dhcpv6OptionCode.SolMaxRt, word(option.seconds)];
    case 'inf-max-rt':
      return [Dhcpv6OptionCode.InfMaxRt, word(option.seconds)];
    case 'unknown':
      return [option.code, [...option.data]];
  }
}

function nested(options: readonly Dhcpv6Option[]): number[] {
  return options.flatMap(optionBytes);
}

function lifetimes(option: { readonly preferredLifetime: number; readonly validLifetime: number }): number[] {
  return [...word(option.preferredLifetime), ...word(option.validLifetime)];
}

function address(value: Ipv6Address): number[] {
  return ([0, 1, 2, 3] as const).flatMap((index) => word(value.word(index)));
}

function half(value: number): number[] {
  return [(value >>> 8) & 0xff, value & 0xff];
}

function word(value: number): number[] {
  return [(value >>> 24) & 0xff, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff];
}
