/**
 * A network of subnets as a map: which subnet lies where in which other's scope. Devices do not need it, since each knows its own uplink only;
 * tools, tests and configurations do. It answers the queries of ergot proposal 0145: what an address is in a wider scope, and what the
 * smallest scope is that two addresses share, for unaligned subnets too.
 */

import { UsageError } from '../core/errors.js';
import { PhoneAddress } from './address.js';
import { PhoneRange } from './address-range.js';
import { badAddress, isScope, scopeSize } from './address-text.js';
import { offsetAdd, type Translation, Uplink } from './translation.js';

/** A subnet, and what is attached to it. Moving it keeps all addresses inside it. */
export class Subnet {
  readonly name: string;
  /** Its scope: it has 2^`bits` addresses. */
  readonly bits: number;
  private above: Subnet | undefined = undefined;
  private link: Uplink | undefined = undefined;
  private readonly below = new Set<Subnet>();

  /** @throws UsageError `ERR_INVALID_ADDRESS` for a scope other than 1..32 */
  constructor(name: string, bits: number) {
    if (!isScope(bits)) badAddress(`^${bits} is no scope: it must be within ^1..^32`);
    this.name = name;
    this.bits = bits;
  }

  /** The subnet that this one is attached to; none for an apex. */
  get parent(): Subnet | undefined {
    return this.above;
  }

  /** Where it is attached. */
  get uplink(): Uplink | undefined {
    return this.link;
  }

  get children(): ReadonlySet<Subnet> {
    return this.below;
  }

  /**
   * Attaches, or moves, this subnet to the range of `parent` that begins at `first`.
   *
   * @throws UsageError `ERR_INVALID_ADDRESS` if the range is outside the parent's scope, or all of it; `ERR_INVALID_STATE` if another child
   *   has some of it, or the parent lies inside this subnet. In each case nothing changes.
   */
  attach(parent: Subnet, first: number, translation: Translation = offsetAdd): this {
    if (this.bits >= parent.bits)
      badAddress(`${this.name} (^${this.bits}) does not fit into ${parent.name} (^${parent.bits})`);
    const range = new PhoneRange(new PhoneAddress(first, parent.bits), this.bits);
    for (let at: Subnet | undefined = parent; at !== undefined; at = at.above) {
      if (at === this) throw new UsageError('ERR_INVALID_STATE', `${parent.name} lies inside ${this.name}`);
    }
    for (const child of parent.below) {
      if (child !== this && child.link?.range.overlaps(range) === true) {
        throw new UsageError('ERR_INVALID_STATE', `${range.toString()} of ${parent.name} belongs to ${child.name}`);
      }
    }
    this.detach();
    parent.below.add(this);
    this.above = parent;
    this.link = new Uplink(range, translation);
    return this;
  }

  /** Makes this subnet an apex. */
  detach(): void {
    this.above?.below.delete(this);
    this.above = undefined;
    this.link = undefined;
  }

  /** The child that has `address`, an address of this scope or a shorter one; `undefined` if it is this subnet's own, or not of it. */
  childAt(address: PhoneAddress): Subnet | undefined {
    if (address.bits > this.bits) return undefined;
    const here = new PhoneAddress(address.value, this.bits);
    for (const child of this.below) if (child.link?.range.contains(here) === true) return child;
    return undefined;
  }

  /**
   * What `local`, an address of this subnet, is in the scope of `bits` bits further up: "what is my offset in ^10?". `undefined` if nothing
   * above has just that scope, or a custom translation does not know the address.
   *
   * @throws UsageError `ERR_INVALID_ADDRESS` if `local` is of a longer scope than the subnet's
   */
  offsetIn(local: PhoneAddress, bits: number): PhoneAddress | undefined {
    if (local.bits > this.bits) badAddress(`${local.toString()} is not local to ${this.name} (^${this.bits})`);
    const here = new PhoneAddress(local.value, this.bits);
    if (bits === this.bits) return here;
    const above = this.link?.up(here);
    return above === undefined ? undefined : this.above?.offsetIn(above, bits);
  }

  /** The subnets that `address` of this scope lies in, from this one to the innermost. */
  pathTo(address: PhoneAddress): Subnet[] {
    const path: Subnet[] = [this];
    let at: Subnet | undefined = this.childAt(address);
    let local = at?.link?.down(new PhoneAddress(address.value % scopeSize(this.bits), this.bits));
    while (at !== undefined && local !== undefined) {
      path.push(at);
      const next: Subnet | undefined = at.childAt(local);
      local = next?.link?.down(local);
      at = next;
    }
    return path;
  }

  /**
   * The smallest subnet that both addresses of this scope lie in; its `bits` are their smallest common scope.
   *
   * @throws UsageError `ERR_INVALID_ADDRESS` for addresses of other scopes
   */
  commonSubnet(a: PhoneAddress, b: PhoneAddress): Subnet {
    for (const { bits } of [a, b])
      if (bits !== this.bits) badAddress(`${a.toString()} and ${b.toString()} are not both of ^${this.bits}`);
    const other = this.pathTo(b);
    return this.pathTo(a).findLast((subnet, depth) => other[depth] === subnet) ?? this;
  }

  /** The bits of {@link commonSubnet}. */
  commonScope(a: PhoneAddress, b: PhoneAddress): number {
    return this.commonSubnet(a, b).bits;
  }
}
