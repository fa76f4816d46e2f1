/** TCP options as a list in wire order, NOPs included: what tests and dumps need, and `TcpOptions` does not keep. */

import { TcpOptionKind } from '../wire/tcp-options.js';

/** One option; an absent number in an expected packet matches any. */
export type TcpOptionItem =
  | { readonly kind: 'nop' | 'eol' | 'sackOK' }
  | { readonly kind: 'mss' | 'wscale'; readonly value: number | undefined }
  | { readonly kind: 'sack'; readonly blocks: readonly (readonly [left: number, right: number])[] }
  | { readonly kind: 'TS'; readonly value: number | undefined; readonly echo: number | undefined }
  /** Fast Open (RFC 7413), by its number or as the experiment that it was; no cookie asks for one. */
  | { readonly kind: 'FO' | 'FOEXP'; readonly cookie: Uint8Array }
  /** Accurate ECN (RFC 9768): the fields that are there, in the order of the option. */
  | { readonly kind: 'ECN'; readonly order: 0 | 1; readonly fields: readonly (number | undefined)[] }
  | { readonly kind: 'unknown'; readonly number: number; readonly data: Uint8Array };

/** Names of the fields of accurate ECN's option, by its order. */
export const ACCURATE_NAMES = [
  ['e0b', 'ceb', 'e1b'],
  ['e1b', 'ceb', 'e0b'],
] as const;
// RFC 7413 4.1.1, RFC 6994.
const FAST_OPEN_MAGIC = 0xf989;

/** The options between `from` and `to`. What follows an impossible length, and known kinds of a wrong length, are `unknown`. */
export function readTcpOptionList(view: DataView, from: number, to: number): TcpOptionItem[] {
  const items: TcpOptionItem[] = [];
  for (let at = from; at < to; ) {
    const number = view.getUint8(at);
    const single = number === TcpOptionKind.End || number === TcpOptionKind.Nop;
    const length = single ? 1 : at + 1 < to ? view.getUint8(at + 1) : 0;
    if (length === 0 || (length === 1 && !single) || at + length > to) {
      items.push({ kind: 'unknown', number, data: copy(view, at + 1, to) });
      break;
    }
    items.push(readItem(view, at, number, length));
    at += length;
  }
  return items;
}

function readItem(view: DataView, at: number, number: number, length: number): TcpOptionItem {
  if (number === TcpOptionKind.End) return { kind: 'eol' };
  if (number === TcpOptionKind.Nop) return { kind: 'nop' };
  if (number === TcpOptionKind.Mss && length === 4) return { kind: 'mss', value: view.getUint16(at + 2) };
  if (number === TcpOptionKind.WindowScale && length === 3) return { kind: 'wscale', value: view.getUint8(at + 2) };
  if (number === TcpOptionKind.SackPermitted && length === 2) return { kind: 'sackOK' };
  if (number === TcpOptionKind.Timestamps && length === 10) {
    return { kind: 'TS', value: view.getUint32(at + 2), echo: view.getUint32(at + 6) };
  }
  if (number === TcpOptionKind.Sack && length > 2 && (length - 2) % 8 === 0) {
    const blocks = Array.from({ length: (length - 2) / 8 }, (_, i) => {
      const edge = at + 2 + i * 8;
      return [view.getUint32(edge), view.getUint32(edge + 4)] as const;
    });
    return { kind: 'sack', blocks };
  }
  if (number === TcpOptionKind.FastOpen) return { kind: 'FO', cookie: copy(view, at + 2, at + length) };
  if (number === TcpOptionKind.Experiment && length >= 4 && view.getUint16(at + 2) === FAST_OPEN_MAGIC) {
    return { kind: 'FOEXP', cookie: copy(view, at + 4, at + length) };
  }
  if (number === TcpOptionKind.AccurateEcn0 && isAccurate(length))
    return { kind: 'ECN', order: 0, fields: fields(view, at, length) };
  if (number === TcpOptionKind.AccurateEcn1 && length > 2 && isAccurate(length)) {
    return { kind: 'ECN', order: 1, fields: fields(view, at, length) };
  }
  return { kind: 'unknown', number, data: copy(view, at + 2, at + length) };
}

/** Whether an option of this length has whole fields only. */
function isAccurate(length: number): boolean {
  return length <= 11 && (length - 2) % 3 === 0;
}

function fields(view: DataView, at: number, length: number): number[] {
  return Array.from({ length: (length - 2) / 3 }, (_, i) => {
    const field = at + 2 + 3 * i;
    return (view.getUint16(field) << 8) | view.getUint8(field + 2);
  });
}

function copy(view: DataView, from: number, to: number): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength).slice(from, to);
}

/** The bytes of the options in this order, padded with zeros to a multiple of 4. Absent numbers become 0. */
export function tcpOptionBytes(items: readonly TcpOptionItem[]): Uint8Array {
  const bytes = items.flatMap(itemBytes);
  while (bytes.length % 4 !== 0) bytes.push(TcpOptionKind.End);
  return Uint8Array.from(bytes);
}

function itemBytes(item: TcpOptionItem): number[] {
  switch (item.kind) {
    case 'eol':
      return [TcpOptionKind.End];
    case 'nop':
      return [TcpOptionKind.Nop];
    case 'sackOK':
      return [TcpOptionKind.SackPermitted, 2];
    case 'mss':
      return [TcpOptionKind.Mss, 4, ...word(item.value ?? 0).slice(2)];
    case 'wscale':
      return [TcpOptionKind.WindowScale, 3, item.value ?? 0];
    case 'TS':
      return [TcpOptionKind.Timestamps, 10, ...word(item.value ?? 0), ...word(item.echo ?? 0)];
    case 'sack':
      return [TcpOptionKind.Sack, 2 + item.blocks.length * 8, ...item.blocks.flatMap((edges) => edges.flatMap(word))];
    case 'FO':
      return [TcpOptionKind.FastOpen, 2 + item.cookie.length, ...item.cookie];
    case 'FOEXP':
      return [TcpOptionKind.Experiment, 4 + item.cookie.length, ...word(FAST_OPEN_MAGIC).slice(2), ...item.cookie];
    case 'ECN': {
      const kind = item.order === 0 ? TcpOptionKind.AccurateEcn0 : TcpOptionKind.AccurateEcn1;
      return [kind, 2 + 3 * item.fields.length, ...item.fields.flatMap((value) => word(value ?? 0).slice(1))];
    }
    case 'unknown':
      return [item.number, 2 + item.data.length, ...item.data];
  }
}

function word(value: number): number[] {
  return [(value >>> 24) & 0xff, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff];
}

/** The options as tcpdump and packetdrill write them: `mss 1460,sackOK,TS val 1 ecr 0,nop,wscale 7`. */
export function formatTcpOptions(items: readonly TcpOptionItem[]): string {
  return items.map(formatItem).join(',');
}

function formatItem(item: TcpOptionItem): string {
  const number = (value: number | undefined) => (value === undefined ? '...' : String(value));
  switch (item.kind) {
    case 'mss':
    case 'wscale':
      return `${item.kind} ${number(item.value)}`;
    case 'TS':
      return `TS val ${number(item.value)} ecr ${number(item.echo)}`;
    case 'sack':
      return `sack ${item.blocks.map(([left, right]) => `${left}:${right}`).join(' ')}`;
    case 'ECN': {
      const named = item.fields.map((value, i) => ` ${ACCURATE_NAMES[item.order][i] ?? ''} ${number(value)}`);
      return `ECN${named.join('')}`;
    }
    case 'unknown':
      return `unknown ${item.number} 0x${hex(item.data)}`;
    case 'FO':
    case 'FOEXP':
      return item.cookie.length === 0 ? item.kind : `${item.kind} ${hex(item.cookie)}`;
    default:
      return item.kind;
  }
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
