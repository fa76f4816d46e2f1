/**
 * Domain names on the wire and as text (RFC 1035 3.1, 4.1.4, 5.1). A name is text without a final dot, `.` is the root; bytes that
 * would be misread are escaped (`\.`, `\\`, `\032`), so that every name on the wire has one text and that text gives it back.
 */

import { UsageError } from '../core/errors.js';

// RFC 1035 2.3.4.
const MAX_LABEL = 63;
const MAX_NAME = 255;
const POINTER = 0xc0;
const MAX_POINTER = 0x3fff;

/** The error of bytes that are no message of their protocol. */
export function badMessage(what: string): UsageError {
  return new UsageError('ERR_BAD_MESSAGE', what);
}

/** A name that was read, and where what follows it starts. */
export interface ReadName {
  readonly name: string;
  readonly next: number;
}

/**
 * Reads the name at `at`. Pointers are offsets from the start of `bytes`; each must lead further back than the last, so that they end.
 *
 * @throws UsageError `ERR_BAD_MESSAGE`
 */
export function readName(bytes: Uint8Array, at: number): ReadName {
  const labels: string[] = [];
  let next = -1;
  let earliest = at;
  let position = at;
  let length = 1;
  for (;;) {
    const size = bytes[position];
    if (size === undefined) throw badMessage('a name that ends early');
    if (size >= POINTER) {
      const low = bytes[position + 1];
      if (low === undefined) throw badMessage('a name that ends early');
      const target = ((size & 0x3f) << 8) | low;
      if (target >= earliest) throw badMessage('a name that points forward, or at itself');
      if (next < 0) next = position + 2;
      position = earliest = target;
      continue;
    }
    if (size > MAX_LABEL) throw badMessage('a label of an unknown type');
    if (size === 0) break;
    const end = position + 1 + size;
    length += size + 1;
    if (end > bytes.length || length > MAX_NAME) throw badMessage('a name that is too long');
    labels.push(labelText(bytes, position + 1, end));
    position = end;
  }
  return { name: labels.length === 0 ? '.' : labels.join('.'), next: next < 0 ? position + 1 : next };
}

function labelText(bytes: Uint8Array, from: number, to: number): string {
  let text = '';
  for (let i = from; i < to; i++) {
    const byte = bytes[i] ?? 0;
    if (byte === 0x2e || byte === 0x5c) text += `\\${String.fromCharCode(byte)}`;
    else if (byte > 0x20 && byte < 0x7f) text += String.fromCharCode(byte);
    else text += `\\${String(byte).padStart(3, '0')}`;
  }
  return text;
}

/**
 * The labels of a name, as bytes. A final dot is allowed.
 *
 * @throws UsageError `ERR_INVALID_OPTION` for an empty or overlong label, an overlong name, or characters that are not ASCII
 */
export function nameLabels(name: string): Uint8Array[] {
  if (name === '.' || name === '') return [];
  const labels: number[][] = [[]];
  let label = labels[0] ?? [];
  for (let i = 0; i < name.length; i++) {
    const code = name.charCodeAt(i);
    if (code > 0x7e) throw badName(name);
    if (code === 0x2e) {
      if (i < name.length - 1) labels.push((label = []));
      else break;
    } else if (code !== 0x5c) label.push(code);
    else {
      const digits = /^\d{3}/.exec(name.slice(i + 1, i + 4))?.[0];
      const escaped = digits === undefined ? name.charCodeAt(i + 1) : Number(digits);
      if (!(escaped <= 0xff)) throw badName(name);
      label.push(escaped);
      i += digits === undefined ? 1 : 3;
    }
  }
  const total = labels.reduce((sum, { length }) => sum + length + 1, 1);
  if (total > MAX_NAME || labels.some(({ length }) => length === 0 || length > MAX_LABEL)) throw badName(name);
  return labels.map((one) => Uint8Array.from(one));
}

function badName(name: string): UsageError {
  return new UsageError('ERR_INVALID_OPTION', `not a domain name: ${JSON.stringify(name)}`);
}

/** The form of a name under which names that mean the same are equal: RFC 4343 compares without regard to ASCII case. */
export function canonicalName(name: string): string {
  return name.length > 1 && name.endsWith('.') && !name.endsWith('\\.')
    ? name.slice(0, -1).toLowerCase()
    : name.toLowerCase();
}

/** Whether two names mean the same. */
export function sameName(one: string, other: string): boolean {
  return canonicalName(one) === canonicalName(other);
}

/** Writes names, and remembers where, so that later ones can point at their common ends. */
export class NameWriter {
  private readonly seen = new Map<string, number>();

  /** Appends `name` to `out`, whose start is what pointers count from. */
  write(out: number[], name: string, compress: boolean): void {
    const labels = nameLabels(name);
    for (let i = 0; i < labels.length; i++) {
      // Labels may hold any byte, so a key separates them by their lengths.
      const key = labels
        .slice(i)
        .map((label) => `${label.length}:${String.fromCharCode(...label)}`)
        .join('');
      const at = this.seen.get(key);
      if (at !== undefined && compress) {
        out.push(POINTER | (at >> 8), at & 0xff);
        return;
      }
      if (at === undefined && out.length <= MAX_POINTER) this.seen.set(key, out.length);
      const label = labels[i] ?? new Uint8Array();
      out.push(label.length, ...label);
    }
    out.push(0);
  }
}
