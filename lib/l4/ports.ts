/** Choice of local ports: random ones of the dynamic range, so that they cannot be guessed (RFC 6056 3.3.1). */

import type { Random } from '../core/random.js';
import { FIRST_DYNAMIC_PORT as FIRST } from './share.js';

const COUNT = 65536 - FIRST;

/** A dynamic port for which `isFree`, starting the search at a random one; `undefined` if all are in use. */
export function ephemeralPort(random: Random, isFree: (port: number) => boolean): number | undefined {
  const start = random.below(COUNT);
  for (let i = 0; i < COUNT; i++) {
    const port = FIRST + ((start + i) % COUNT);
    if (isFree(port)) return port;
  }
  return undefined;
}
