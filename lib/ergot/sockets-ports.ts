/**
 * Which ports are taken. They are given out as ergot 0.12 does it: the lowest that is free in a window of 32; when that is full, in the lowest window
 * that has a free one. So a port that was given back is not given out again at once, unless it is of the window in use.
 */

import { ErgotError } from './error.js';

const WINDOW = 32;
/** No more ports are given out, however many a profile has. */
const MOST_PORTS = 65_535;

/** The ports of one node. */
export class Ports {
  /** The largest there is. */
  readonly last: number;
  /** A window each; set bits are taken. */
  private readonly windows: Int32Array;
  private current = 0;

  /** @param last the largest port; the least is 1 */
  constructor(last: number) {
    this.last = Math.min(last, MOST_PORTS);
    this.windows = new Int32Array((this.last >>> 5) + 1);
    this.windows[0] = 1;
    // What is behind the last is taken for good.
    const rest = (this.last + 1) % WINDOW;
    if (rest > 0) this.windows[this.windows.length - 1] = (this.windows.at(-1) ?? 0) | (-1 << rest);
  }

  /** Gives out the next one. @throws ErgotError `ERR_ERGOT_NO_PORT` */
  allocate(): number {
    if (this.windows[this.current] === -1) this.current = this.windows.findIndex((bits) => bits !== -1);
    const bits = this.windows[this.current];
    if (bits === undefined) {
      this.current = 0;
      throw new ErgotError('ERR_ERGOT_NO_PORT', `all ${this.last} ports are taken`);
    }
    // The lowest bit that is 0: the trailing ones are the leading zeros of what they leave.
    const bit = 31 - Math.clz32(~bits & -~bits);
    this.windows[this.current] = bits | (1 << bit);
    return this.current * WINDOW + bit;
  }

  /** Takes a port; false if it is taken, or none. */
  take(port: number): boolean {
    if (!Number.isInteger(port) || port < 1 || port > this.last || this.taken(port)) return false;
    this.windows[port >>> 5] = (this.windows[port >>> 5] ?? 0) | (1 << (port & 31));
    return true;
  }

  /** Gives a port back. */
  free(port: number): void {
    this.windows[port >>> 5] = (this.windows[port >>> 5] ?? 0) & ~(1 << (port & 31));
  }

  private taken(port: number): boolean {
    return ((this.windows[port >>> 5] ?? 0) & (1 << (port & 31))) !== 0;
  }
}
