/**
 * Rules of policy routing: which packets are routed by which table. What they say and how is that of `ip rule` (Linux, fib_rules) and of the
 * route rules of netstack3: by priority, and on to the next rule where a table has no route.
 */

import { type Address, anyAddress, Cidr, type IpVersion } from '../core/address.js';
import type { Device } from '../core/device.js';
import { UsageError } from '../core/errors.js';
import { NOWHERE } from './fib.js';
import type { RouteQuery } from './routing-query.js';
import type { Route, RouteType } from './routes.js';

/** The number of a routing table, or its name. */
export type TableId = number | string;

/** What a rule asks of packets: all that is given. */
export interface RoutingSelector {
  readonly from?: Cidr | string;
  readonly to?: Cidr | string;
  /** The device that they came in by; what is sent from here came by none. */
  readonly device?: Device;
  /** The mark of the frame, of which only the bits of `mask` are looked at, by default all. */
  readonly mark?: number;
  readonly mask?: number;
  /** Differentiated services code point, 0 to 63. */
  readonly dscp?: number;
  /** Sent from here, or received to be forwarded. */
  readonly origin?: 'local' | 'forwarded';
  /** Ask for the contrary of all the above. Default false. */
  readonly invert?: boolean;
}

/** A rule: a table to look into, or the end. */
export interface RoutingRule extends RoutingSelector {
  /** 0 to 2^32 - 1: lower ones come first, of equal ones those that were added first. */
  readonly priority: number;
  /** The table that routes the packets. A rule has this or `action`. */
  readonly table?: TableId;
  /** Routes of that table to prefixes of so many bits or less do not count: with 0 its default route. */
  readonly suppressPrefixLength?: number;
  /** What becomes of them instead. */
  readonly action?: Exclude<RouteType, 'unicast'>;
}

const MAX_PRIORITY = 0xffff_ffff;
const MAX_MARK = 0xffff_ffff;
const MAX_DSCP = 63;

/** A prefix as words to compare. */
class Prefix {
  private readonly network: Int32Array;
  private readonly mask: Int32Array;

  constructor({ address, length, version }: Cidr) {
    const bits = version === 4 ? length + 96 : length;
    this.mask = Int32Array.from([0, 1, 2, 3], (index) => maskWord(bits - index * 32));
    this.network = Int32Array.from([0, 1, 2, 3] as const, (index) => address.word(index) & (this.mask[index] ?? 0));
  }

  has(a: number, b: number, c: number, d: number): boolean {
    const { network, mask } = this;
    return (
      (d & (mask[3] ?? 0)) === network[3] &&
      (c & (mask[2] ?? 0)) === network[2] &&
      (b & (mask[1] ?? 0)) === network[1] &&
      (a & (mask[0] ?? 0)) === network[0]
    );
  }
}

/** A rule that was found sound, ready to be asked. */
export class CheckedRule<V extends IpVersion> {
  readonly rule: RoutingRule;
  /** The answer of rules that have no table. */
  readonly end: Route<V> | undefined;
  /** Prefixes of a table must be longer than that. */
  readonly suppressed: number;
  private readonly from: Prefix | undefined;
  private readonly to: Prefix | undefined;
  private readonly mark: number;
  private readonly mask: number;
  private readonly dscp: number;
  private readonly invert: boolean;

  /** @throws UsageError `ERR_INVALID_ADDRESS`, `ERR_INVALID_OPTION` */
  constructor(rule: RoutingRule, version: V) {
    const { action, mark, mask = MAX_MARK, dscp, suppressPrefixLength = -1 } = rule;
    check(rule);
    this.rule = rule;
    this.end = action && { destination: new Cidr(anyAddress(version) as Address<V>, 0), type: action, device: NOWHERE };
    this.suppressed = suppressPrefixLength;
    this.from = prefix(rule.from, version);
    this.to = prefix(rule.to, version);
    this.mask = mark === undefined ? 0 : mask | 0;
    this.mark = (mark ?? 0) & this.mask;
    this.dscp = dscp ?? -1;
    this.invert = rule.invert ?? false;
  }

  /** Whether the answer is the same for all packets to a destination. */
  get isByDestination(): boolean {
    const { from, device, origin } = this.rule;
    return (from ?? device ?? origin) === undefined && this.mask === 0 && this.dscp < 0;
  }

  /** Whether it asks nothing. */
  get isForAll(): boolean {
    return this.isByDestination && this.to === undefined && !this.invert && this.suppressed < 0;
  }

  matches(query: RouteQuery): boolean {
    return this.selects(query) !== this.invert;
  }

  private selects(query: RouteQuery): boolean {
    const { device, origin } = this.rule;
    const { from, to } = this;
    if (((query.mark ^ this.mark) & this.mask) !== 0) return false;
    if (this.dscp >= 0 && query.dscp !== this.dscp) return false;
    if (device !== undefined && query.device !== device) return false;
    if (origin !== undefined && (origin === 'local') !== (query.device === undefined)) return false;
    if (to !== undefined && !to.has(query.a, query.b, query.c, query.d)) return false;
    return from === undefined || from.has(query.source0, query.source1, query.source2, query.source3);
  }
}

function check({ priority, table, action, mark = 0, mask, dscp = 0, suppressPrefixLength }: RoutingRule): void {
  inRange('priority', priority, MAX_PRIORITY);
  inRange('mark', mark, MAX_MARK);
  inRange('dscp', dscp, MAX_DSCP);
  if (mask !== undefined) inRange('mask', mask, MAX_MARK);
  if ((table === undefined) === (action === undefined)) throw wrong('a rule has either a table or an action');
  if (suppressPrefixLength === undefined) return;
  inRange('suppressPrefixLength', suppressPrefixLength, 128);
  if (table === undefined) throw wrong('only routes of a table can be suppressed');
}

function inRange(name: string, value: number, most: number): void {
  if (!Number.isInteger(value) || value < 0 || value > most) throw wrong(`${name} ${value} is not within 0..${most}`);
}

function prefix(text: Cidr | string | undefined, version: IpVersion): Prefix | undefined {
  if (text === undefined) return undefined;
  const cidr = Cidr.of(text);
  if (cidr.version !== version) throw wrong(`${cidr.toString()} is not of IPv${version}`);
  return new Prefix(cidr);
}

function maskWord(bits: number): number {
  return bits <= 0 ? 0 : bits >= 32 ? -1 : -1 << (32 - bits);
}

function wrong(message: string): UsageError {
  return new UsageError('ERR_INVALID_OPTION', message);
}
