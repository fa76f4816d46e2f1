/** When to try again: soon at first, then less and less often, and never all at the same moment. */

import { UsageError } from '../../lib/core/errors.js';
import type { Random } from '../../lib/core/random.js';

/** How a client goes on when it has no connection. */
export interface ErgotRetryOptions {
  /** Milliseconds before the second attempt. Each further wait is twice as long. Default 100. */
  readonly first?: number;
  /** Milliseconds of the longest wait. Default 5,000. */
  readonly most?: number;
  /** Attempts in a row that may fail before the device does. Default: any number. */
  readonly attempts?: number;
}

const FIRST = 100;
const MOST = 5000;

/** The waits between attempts: each is drawn from the upper half of what it may be at most. */
export class Retries {
  private readonly first: number;
  private readonly most: number;
  private readonly attempts: number;
  private readonly random: Random;
  private failed = 0;

  /** @throws UsageError `ERR_INVALID_OPTION` */
  constructor({ first = FIRST, most = MOST, attempts = Number.POSITIVE_INFINITY }: ErgotRetryOptions, random: Random) {
    if (!(first > 0 && most >= first && most < Number.POSITIVE_INFINITY && attempts >= 1)) {
      throw new UsageError('ERR_INVALID_OPTION', `no way to try again: from ${first} to ${most} ms, ${attempts} times`);
    }
    this.first = first;
    this.most = most;
    this.attempts = attempts;
    this.random = random;
  }

  /** Milliseconds until the next attempt, or `undefined` where there is to be none. */
  next(): number | undefined {
    if (++this.failed >= this.attempts) return undefined;
    const longest = Math.min(this.most, this.first * 2 ** Math.min(this.failed - 1, 30));
    return (longest * (1 + this.random.float())) / 2;
  }

  /** One went well. */
  reset(): void {
    this.failed = 0;
  }
}
