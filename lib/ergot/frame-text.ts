/** An ergot frame as one line for people. */

import type { Frame } from '../core/frame.js';
import { describeErgot, type ErgotDescription, type ErgotTextOptions } from './frame-description.js';

/**
 * One line for a frame that begins at its header, in the style of `pretty`. Never throws, whatever the bytes, and changes nothing.
 *
 * @example
 * ergotText(frame); // ergot 0.2:1 > 0.1:0: request ergot/.well-known/ping (42), seq 0, ttl 15, length 1
 */
export function ergotText(frame: Frame, options: ErgotTextOptions = {}): string {
  return ergotLine(describeErgot(frame, options));
}

/** The line of a description. */
export function ergotLine(description: ErgotDescription): string {
  const { source, destination, kind, sequence, ttl, length, malformed, because } = description;
  const wrong = malformed === undefined ? '' : ` [${malformed}${because === undefined ? '' : `: ${because}`}]`;
  if (kind === undefined) return `ergot, length ${length}${wrong}`;
  const name = description.name === undefined ? '' : `, name ${description.name}`;
  const what = `${/^\d/.test(kind) ? `kind ${kind}` : kind}${subject(description)}`;
  return `ergot ${source} > ${destination}: ${what}${name}, seq ${sequence}, ttl ${ttl}, length ${length}${wrong}`;
}

/** Which error, or under which path or key, and what it says. */
function subject({ error, mtu, path, key, value }: ErgotDescription): string {
  if (error !== undefined) return ` ${error}${mtu === undefined ? '' : ` ${mtu}`}`;
  const about = path ?? (key === undefined ? '' : `key ${key}`);
  return `${about === '' ? '' : ` ${about}`}${value === undefined ? '' : ` (${value})`}`;
}
