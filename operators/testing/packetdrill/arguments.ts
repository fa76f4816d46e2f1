/** What the arguments of system calls say: a word that is not known is never taken for nothing. */

import { NetError } from '../../../lib/core/errors.js';
import { isAsked, nameOf, numberOf } from './constants.js';
import type { Expression } from './expression.js';

/** The script asks for what is not supported. */
export class Unsupported extends Error {}

const MOST_BYTES = 0x7fff_ffff;

/** A number. @throws Unsupported if it is none that is known */
export function known(expression: Expression | undefined, what: string): number {
  const value = numberOf(expression);
  if (value === undefined) throw new Unsupported(`${what} is no number that is known`);
  return value;
}

/** A number that a script may leave out, or write as `...`. @throws Unsupported */
export function knownOr(fallback: number, expression: Expression | undefined, what: string): number {
  return isAsked(expression) ? known(expression, what) : fallback;
}

/** An argument that has to be there. @throws Unsupported */
export function required(args: readonly Expression[], index: number): number {
  return known(args[index], `argument ${index + 1}`);
}

/** An argument that may be left out. @throws Unsupported */
export function optional(args: readonly Expression[], index: number, fallback = 0): number {
  return knownOr(fallback, args[index], `argument ${index + 1}`);
}

/** Bytes of a buffer; of those of an `iovec`, or of a `msghdr`'s. @throws Unsupported, NetError `EINVAL` for less than none */
export function bufferLength(expression: Expression | undefined, vectored: boolean): number {
  const bytes = vectored ? vectorLength(expression) : known(expression, 'the length of the buffer');
  if (!Number.isInteger(bytes) || bytes > MOST_BYTES) throw new Unsupported(`a buffer of ${bytes} bytes`);
  if (bytes < 0) throw new NetError('EINVAL', `a buffer of ${bytes} bytes`);
  return bytes;
}

function vectorLength(expression: Expression | undefined): number {
  if (expression?.kind === 'struct') return vectorLength(expression.fields.get('msg_iov'));
  if (expression?.kind !== 'list') throw new Unsupported('buffers that are not a list');
  return expression.items.reduce((sum, item) => {
    const length = item.kind === 'struct' ? (item.items[1] ?? item.fields.get('iov_len')) : undefined;
    return sum + bufferLength(length, false);
  }, 0);
}

/** The port of a literal address, if it has one. @throws Unsupported */
export function portIn(expression: Expression | undefined): number | undefined {
  if (expression?.kind !== 'struct') return undefined;
  const field = expression.fields.get('sin_port') ?? expression.fields.get('sin6_port');
  if (!isAsked(field)) return undefined;
  const port = known(field, 'the port');
  if (port < 0 || port > 0xffff) throw new Unsupported(`port ${port}`);
  return port;
}

/** The family of a literal address, or an empty text. */
export function familyIn(expression: Expression | undefined): string {
  if (expression?.kind !== 'struct') return '';
  return nameOf(expression.fields.get('sa_family') ?? expression.fields.get('sin_family'));
}
