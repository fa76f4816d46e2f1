/** Privileges of the calling thread (capabilities(7)). */

import { createRequire } from 'node:module';
import type * as Koffi from 'koffi';
import { systemError } from './errno.js';

// linux/capability.h, version 3: a header of version and thread (0: this one), and two sets of three words.
const VERSION = 0x2008_0522;
const HEADER_WORDS = 2;
const SET_WORDS = 6;

/**
 * Gives up every capability of the calling thread, for good; other threads keep theirs. What it has opened stays open.
 *
 * @throws NetError `EPERM`
 */
export function dropCapabilities(): void {
  const koffi = createRequire(import.meta.url)('koffi') as typeof Koffi;
  const capset = koffi.load(null).func('int capset(void *header, void *sets)');
  const header = new Uint32Array(HEADER_WORDS);
  header[0] = VERSION;
  if (capset(header, new Uint32Array(SET_WORDS)) < 0) {
    throw systemError(koffi.errno(), 'capset', 'cannot give up capabilities');
  }
}
