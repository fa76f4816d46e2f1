/** What Linux's socket options may be set to, and what they are told as. */

/** Values that Linux refuses are outside; 0 or -1 may stand for the default. */
const RANGES: Readonly<Record<string, { readonly from: number; readonly to: number; readonly unset?: number }>> = {
  TCP_MAXSEG: { from: 88, to: 32_767, unset: 0 },
  TCP_KEEPIDLE: { from: 1, to: 32_767 },
  TCP_KEEPINTVL: { from: 1, to: 32_767 },
  TCP_KEEPCNT: { from: 1, to: 127 },
  TCP_SYNCNT: { from: 1, to: 127 },
  TCP_USER_TIMEOUT: { from: 0, to: 0x7fff_ffff },
  IP_TTL: { from: 1, to: 255, unset: -1 },
  IPV6_UNICAST_HOPS: { from: 0, to: 255, unset: -1 },
  IPV6_TCLASS: { from: 0, to: 255, unset: -1 },
};

/** Whether an option can have that value. */
export function isAllowed(name: string, value: number): boolean {
  const range = Object.hasOwn(RANGES, name) ? RANGES[name] : undefined;
  return range === undefined || value === range.unset || (value >= range.from && value <= range.to);
}

/** What options have that nobody set. Times in seconds. */
const DEFAULTS: Readonly<Record<string, number>> = {
  TCP_KEEPIDLE: 7200,
  TCP_KEEPINTVL: 75,
  TCP_KEEPCNT: 9,
  SO_REUSEADDR: 0,
  IP_TOS: 0,
  IP_TTL: 64,
  IPV6_TCLASS: 0,
  IPV6_UNICAST_HOPS: 64,
};

/** Room for bookkeeping is added to what was asked for, and there is a least size. */
const LEAST_BUFFERS: Readonly<Record<string, number>> = { SO_RCVBUF: 2304, SO_SNDBUF: 4608 };

/** The value that Linux tells of an option that was set to `set`, or never; `undefined` if that is not known. */
export function toldValue(name: string, set: number | string | undefined): number | undefined {
  if (set === undefined) return Object.hasOwn(DEFAULTS, name) ? DEFAULTS[name] : undefined;
  if (typeof set !== 'number') return undefined;
  const least = Object.hasOwn(LEAST_BUFFERS, name) ? LEAST_BUFFERS[name] : undefined;
  if (least !== undefined) return Math.max(2 * set, least);
  return Object.hasOwn(DEFAULTS, name) || Object.hasOwn(RANGES, name) ? set : undefined;
}
