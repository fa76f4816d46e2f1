/**
 * Lists of domain names as DNS writes them, without compression (RFC 1035 3.1): what DNSSL (RFC 8106 5.2) and DHCPv6 (RFC 8415 10) carry.
 * Names are text without the final dot; bytes other than letters, digits, `-` and `_` are written `\DDD` (RFC 4343 2.1).
 */

import { UsageError } from '../core/errors.js';

const MAX_LABEL = 63;
const MAX_NAME = 255;

/** The names between `from` and `to`, zeros behind the last one aside; `undefined` where one is cut, too long or compressed. */
export function readDomainNames(view: DataView, from: number, to: number): string[] | undefined {
  const names: string[] = [];
  let labels: string[] = [];
  let start = from;
  for (let at = from; at < to; ) {
    const length = view.getUint8(at);
    if (length > MAX_LABEL || at + 1 + length > to) return undefined;
    if (length === 0) {
      if (labels.length > 0) names.push(labels.join('.'));
      labels = [];
      start = at + 1;
    } else {
      labels.push(labelText(view, at + 1, length));
    }
    at += 1 + length;
    if (at - start > MAX_NAME) return undefined;
  }
  return labels.length === 0 ? names : undefined;
}

function labelText(view: DataView, from: number, length: number): string {
  let text = '';
  for (let at = from; at < from + length; at++) {
    const byte = view.getUint8(at);
    const letter = String.fromCharCode(byte);
    text += /[\w-]/.test(letter) ? letter : `\\${String(byte).padStart(3, '0')}`;
  }
  return text;
}

/** The bytes of names, each with its final zero. @throws UsageError `ERR_INVALID_OPTION` for an empty or over-long label or name */
export function writeDomainNames(names: readonly string[]): Uint8Array {
  return Uint8Array.from(names.flatMap(nameBytes));
}

function nameBytes(name: string): number[] {
  const bytes = name.replace(/\.$/, '').split('.').flatMap(labelBytes);
  if (bytes.length + 1 > MAX_NAME) throw invalid(name);
  return [...bytes, 0];
}

function labelBytes(label: string): number[] {
  const bytes: number[] = [];
  for (let at = 0; at < label.length; at++) {
    const escaped = /^\\(\d{3})/.exec(label.slice(at));
    const byte = escaped === null ? label.charCodeAt(at) : Number(escaped[1]);
    if (byte > 0xff) throw invalid(label);
    bytes.push(byte);
    if (escaped !== null) at += 3;
  }
  if (bytes.length === 0 || bytes.length > MAX_LABEL) throw invalid(label);
  return [bytes.length, ...bytes];
}

function invalid(text: string): UsageError {
  return new UsageError('ERR_INVALID_OPTION', `not a domain name: ${JSON.stringify(text)}`);
}
